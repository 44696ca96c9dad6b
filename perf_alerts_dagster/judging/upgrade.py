"""What a new method of evidence finds by the change alone: held back until it gets worse.

The first judgement of an alert under a new method finds levels that have been beyond their new
limits for weeks. Nobody is notified of those on the day of an upgrade, and an incident that is
open is not raised by it. A held breach is shown, and is notified as soon as it gets worse, or
breaches again after it was within its limits. An incident that is open does not end by the change
alone either: it is judged by the new method from the next session on. Events, rules that no
evidence gates, and what the method before would have notified as well are never held.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import (
    HELD,
    Evaluation,
    Judgement,
    Kind,
    Outcome,
    escaped,
)
from perf_alerts_dagster.judging.rules.catalogue import BY_ID
from perf_alerts_dagster.judging.rules.gap import RULE as GAP

# Worse: `p_year` is at most this share of what it was; where it says nothing, the value is further
# beyond the limit by this share of the larger of both.
_RARER = 0.5
_FURTHER = 0.25
# Rules whose value is of another measure since method 7: it has passed no limit of the one before.
_REMEASURED = frozenset({"volatility_shift"})
_MEASURED = frozenset({Outcome.OK, Outcome.BREACH})
_NOTE = "not notified: found by the new method of an upgrade, and not worse since"


def hold_back(
    evaluations: Sequence[Evaluation], before: Judgement, method_version: str | None
) -> list[Evaluation]:
    """The evaluations, with those that only a new method found held back.

    Args:
        evaluations: Of one judgement.
        before: The newest judgement of the same alert.
        method_version: That of this judgement, "<method>-<settings of evidence>": what a person
            changed in the settings is notified at once.

    A gap since launch is held back as well where an incident of decay of the version before goes
    on: people know of it by that.
    """
    held = {key: entry for each in before.evaluations for key, entry in _entries(each)}
    is_upgrade = _method(before.method_version) != _method(method_version)
    known = {each.strategy for each in before.evaluations} if is_upgrade else set()
    of_gap = {each.strategy for each in evaluations if each.parts.get("goes_on")}
    earlier = {each.dedup_key: each for each in before.evaluations}
    found = []
    for each in evaluations:
        entry = held.get(each.dedup_key)
        if not _may_be_held(each):
            entry = None
        elif entry is None and each.rule == GAP.id and each.strategy in of_gap:
            was = earlier.get(each.dedup_key)
            entry = None if was is not None and was.is_notified() else _held(each, None)
        elif entry is None and each.strategy in known:
            entry = _held(each, earlier.get(each.dedup_key))
        elif entry is not None and _is_worse(each, entry):
            entry = None
        if entry is not None:
            found.append(_with(each, entry))
        elif is_upgrade and _has_ended(each, earlier.get(each.dedup_key)):
            found.append(replace(each, parts={**each.parts, "upgraded": True}))
        else:
            found.append(each)
    return _waiting(found, held)


def _has_ended(evaluation: Evaluation, before: Evaluation | None) -> bool:
    """Whether an evidence's breach was notified by the method before, and is not by this one."""
    was_notified = before is not None and before.is_notified(gate=True)
    is_gated = evaluation.kind is Kind.LEVEL and BY_ID[evaluation.rule].gated
    return was_notified and is_gated and not evaluation.is_notified(gate=True)


def _method(version: str | None) -> str:
    return (version or "").partition("-")[0]


def _entries(evaluation: Evaluation) -> list[tuple[str, dict[str, Json]]]:
    held = evaluation.parts.get(HELD)
    entries = held.items() if isinstance(held, dict) else ()
    return [(key, entry) for key, entry in entries if isinstance(entry, dict)]


def _may_be_held(evaluation: Evaluation) -> bool:
    return (
        evaluation.kind is Kind.LEVEL
        and evaluation.is_notified(gate=True)
        and BY_ID[evaluation.rule].gated
    )


def _rank(evaluation: Evaluation) -> int:
    return (evaluation.notified_severity or Severity.INFO).rank


def _held(evaluation: Evaluation, before: Evaluation | None) -> dict[str, Json] | None:
    """What is kept of a breach that the change alone may have found; None where it is news.

    `as` is the severity that it is notified as: info, or that of the breach before.
    """
    notified_as = Severity.INFO
    if before is not None and before.outcome is Outcome.BREACH:
        has_risen = (evaluation.severity or Severity.INFO).rank > (
            before.severity or Severity.INFO
        ).rank
        if has_risen and evaluation.value != before.value:
            return None
        if before.is_notified(gate=True):
            if _rank(evaluation) <= _rank(before):
                return None
            notified_as = before.notified_severity or Severity.INFO
    elif before is not None and _has_crossed(evaluation, before):
        return None
    return {
        "severity": (evaluation.notified_severity or Severity.INFO).value,
        "p_year": evaluation.p_year,
        "value": _finite(evaluation.value),
        "limit": _finite(evaluation.limit),
        "as": notified_as.value,
    }


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _has_crossed(evaluation: Evaluation, before: Evaluation) -> bool:
    """Whether the value has passed the limit that it was within before, where it was measured."""
    value, was, limit = evaluation.value, before.value, before.limit
    is_other = evaluation.rule in _REMEASURED
    if is_other or value is None or was is None or limit is None:
        return False
    return (was - limit) * (value - limit) <= 0.0 and value != was


def _is_worse(evaluation: Evaluation, entry: Mapping[str, Json]) -> bool:
    if _rank(evaluation) > Severity(str(entry["severity"])).rank:
        return True
    share, was = evaluation.p_year, entry["p_year"]
    if share is not None and isinstance(was, float) and share != was:
        return share <= _RARER * was
    # No share, or one at the resolution of the healthy years.
    value, earlier, limit = evaluation.value, entry["value"], entry["limit"]
    if value is None or not isinstance(earlier, float) or not isinstance(limit, float):
        return False
    further = abs(value - limit) - abs(earlier - limit)
    return further >= _FURTHER * max(abs(earlier), abs(limit))


def _with(evaluation: Evaluation, entry: Mapping[str, Json]) -> Evaluation:
    parts: dict[str, Json] = {HELD: {evaluation.dedup_key: dict(entry)}, "told_as": entry["as"]}
    message = evaluation.message
    if entry["as"] == Severity.INFO:
        message = f"{message}; {_NOTE}"
    return replace(evaluation, message=message, parts={**evaluation.parts, **parts})


def _waiting(
    evaluations: list[Evaluation], held: Mapping[str, dict[str, Json]]
) -> list[Evaluation]:
    """The evaluations, where those that could not be measured carry what is held of a strategy."""
    measured = {each.dedup_key for each in evaluations if each.outcome in _MEASURED}
    waiting = {key: entry for key, entry in held.items() if key not in measured}
    found = []
    for each in evaluations:
        entries: dict[str, Json] = {}
        if each.outcome not in _MEASURED:
            own = [key for key in waiting if key.startswith(f"{escaped(each.strategy)}|")]
            entries = {key: waiting.pop(key) for key in own}
        found.append(replace(each, parts={**each.parts, HELD: entries}) if entries else each)
    return found
