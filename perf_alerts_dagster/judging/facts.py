"""What is put beside a rule's own parts: the day of a breach, and the false discovery rate."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.evaluation import UNMEASURED, Evaluation, Outcome
from perf_alerts_dagster.records.members import Group
from perf_alerts_dagster.records.model import Floats, StrategyRecord

# Years before a day of which the worst day is stated, and the losses of members that are named.
_YEARS = 3
_LOSERS = 3


def with_facts(
    evaluations: Sequence[Evaluation], context: JudgeContext, groups: Mapping[str, Group]
) -> tuple[Evaluation, ...]:
    """The evaluations, where each that opens an incident by itself says what a person asks first.

    `day` of the parts is the newest judged session: its return, P&L and currency (None without),
    and the worst day of at most three years before. `owner` and `in_group` are the strategy's,
    where it has them. `contributions` of a group are the three largest losses of that session,
    what each adds to the group's return, and its `share` of the loss where the group lost.
    """
    return tuple(
        replace(each, parts={**each.parts, **_facts(each, context, groups)})
        if _opens(each)
        else each
        for each in evaluations
    )


def _opens(evaluation: Evaluation) -> bool:
    severity = evaluation.notified_severity
    if evaluation.outcome is not Outcome.BREACH:
        return evaluation.outcome in UNMEASURED and severity is not None
    is_bad = severity is not None and severity.rank >= Severity.WARNING.rank
    return is_bad or bool(evaluation.notifies)


def _facts(
    evaluation: Evaluation, context: JudgeContext, groups: Mapping[str, Group]
) -> dict[str, Json]:
    name, is_provisional = evaluation.strategy, evaluation.provisional
    record = context.records.get(name)
    if record is None:
        return {}
    rows = record if is_provisional else context.finals(record)
    if not len(rows):
        return {}

    def made() -> dict[str, Json]:
        known = rows.until_wipe_out()
        facts: dict[str, Json] = {"day": _day(known, context.periods_of(name))}
        if record.owner:
            facts["owner"] = record.owner
        if record.group:
            facts["in_group"] = record.group
        if name in groups:
            facts["contributions"] = _contributions(groups[name], known)
        return facts

    return context.once(("facts", name, is_provisional), made)


def _day(rows: StrategyRecord, periods_per_year: float) -> dict[str, Json]:
    """The newest of the rows (n >= 1), and the worst of those before."""
    before = rows.returns[:-1][-round(_YEARS * periods_per_year) :]
    worst: dict[str, Json] | None = None
    if len(before):
        at = int(before.argmin())
        session = str(rows.dates[len(rows) - 1 - len(before) + at])
        worst = {"return": float(before[at]), "session": session}
    return {
        "session": str(rows.dates[-1]),
        "return": float(rows.returns[-1]),
        "pnl": None if rows.pnl is None else float(rows.pnl[-1]),
        "currency": None if rows.pnl is None else rows.currency,
        "worst_before": worst,
        "years_before": round(len(before) / periods_per_year, 1),
    }


def _contributions(group: Group, rows: StrategyRecord) -> list[Json]:
    """The largest losses of members in the newest session of the group's rows."""
    losses, total = group.losses(rows.dates[-1].astype(object))
    found: list[Json] = []
    for name, pnl, added in losses[:_LOSERS]:
        each: dict[str, Json] = {
            "strategy": name,
            "return": added,
            "pnl": None if rows.pnl is None else pnl,
        }
        found.append(each | {"share": pnl / total} if total < 0.0 else each)
    return found


def benjamini_hochberg(shares: Floats) -> Floats:
    """Adjusted p-values (n): of each test the lowest false discovery rate that rejects it.

    Source: Benjamini, Hochberg, J. R. Stat. Soc. B 57, 1995.
    """
    count = len(shares)
    order = np.argsort(shares, kind="stable")
    ranked = shares[order] * count / np.arange(1, count + 1)
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    return adjusted


def with_discovery(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Put the Benjamini-Hochberg value of `p_year`, across strategies, into each rule's parts.

    It is shown only: it gates nothing.
    """
    positions: dict[str, list[int]] = {}
    for position, evaluation in enumerate(evaluations):
        if evaluation.p_year is not None:
            positions.setdefault(evaluation.rule, []).append(position)
    adjusted = list(evaluations)
    for members in positions.values():
        shares = np.array([adjusted[position].p_year for position in members], dtype=np.float64)
        for position, value in zip(members, benjamini_hochberg(shares).tolist(), strict=True):
            evaluation = adjusted[position]
            adjusted[position] = replace(
                evaluation, parts={**evaluation.parts, "benjamini_hochberg": value}
            )
    return adjusted
