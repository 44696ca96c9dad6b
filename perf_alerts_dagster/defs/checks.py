"""What an execution writes about its sessions and at the checks of the strategies.

An event costs Dagster about 15 ms of CPU, so a check is written where its state is another one
than the last that was written, and once a session while it does not pass; the worst come first,
and what is beyond the limit is counted. What was written last is read from Dagster itself: a run
that is killed leaves nothing wrong behind.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date

import dagster as dg

from perf_alerts_dagster.bootstrap.records import store_url
from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.defs.catalog import (
    FAMILIES,
    judged_asset,
    pages_of,
    sessions_of,
    strategy_asset,
    strategy_page,
)
from perf_alerts_dagster.executions.execute import Execution
from perf_alerts_dagster.judging.evaluation import (
    UNMEASURED,
    Evaluation,
    Judgement,
    Outcome,
    severity_of,
)
from perf_alerts_dagster.judging.rules.catalogue import BY_ID
from perf_alerts_dagster.judging.store.sql import open_store
from perf_alerts_dagster.judging.summary import by_strategy, summary_of
from perf_alerts_dagster.notifications.text import clean
from perf_alerts_dagster.settings import Settings

# Entries of a check's metadata: what is compared with the last that was written.
_STATE = "state"
_AS_OF = "as_of"
_MAXIMUM_TEXT = 400
_WARN, _ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


def add_sessions(instance: dg.DagsterInstance, execution: Execution) -> None:
    """Add the judged sessions to the partitions of the alert's asset.

    The first time also those that the version before judged, whose partitions were every day.
    """
    name = sessions_of(execution.alert).name
    days = {judgement.as_of for judgement in execution.judgements}
    if name is None or not days:
        return
    if not instance.get_dynamic_partitions(name):
        judged = instance.get_materialized_partitions(judged_asset(execution.alert))
        days |= {day for text in judged if (day := _day(text))}
    instance.add_dynamic_partitions(name, [day.isoformat() for day in sorted(days)])


def _day(text: str) -> date | None:
    """A partition's day; Dagster takes any text as one."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def report(
    context: dg.OpExecutionContext, execution: Execution, *, maximum: int, pages: str
) -> Mapping[str, int]:
    """Write the checks that are due, and return the numbers of those written and left out.

    Args:
        context: Of the run, whose events they are.
        execution: The result of the run.
        maximum: The maximum number of events; 0 writes none, and reads nothing.
        pages: The address of the pages.
    """
    newest = execution.newest
    if newest is None or newest.recorded_only or execution.catalog is None or not maximum:
        return {}
    listed = {each.name for each in execution.catalog.strategies}
    found = results(newest, listed, gate=execution.gate, pages=pages)
    due = _due(found, _written(context.instance, list(found)))
    for key, each in due[:maximum]:
        evaluation = dg.AssetCheckEvaluation(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=each.passed,
            metadata=each.metadata,
            severity=each.severity,
            description=each.description,
        )
        # Its annotation does not have what its code takes.
        context.log_event(evaluation)  # type: ignore[arg-type]
    return {"checks": min(len(due), maximum), "checks_left_out": max(0, len(due) - maximum)}


def newest_results(
    settings: Settings, keys: Collection[dg.AssetCheckKey]
) -> Iterator[dg.AssetCheckResult]:
    """The newest stored result of each check; one that nothing was judged for does not pass.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    with closing(open_store(store_url(settings))) as store:
        stored = [judgement for alert in ALERTS if (judgement := store.latest(alert.name))]
    found: dict[dg.AssetCheckKey, dg.AssetCheckResult] = {}
    for judgement in sorted(stored, key=lambda each: (each.as_of, each.judged_at)):
        found |= results(
            judgement, gate=settings.rule_preset == "evidence", pages=pages_of(settings)
        )
    for key in keys:
        yield found.get(key) or dg.AssetCheckResult(
            passed=False,
            asset_key=key.asset_key,
            check_name=key.name,
            severity=_WARN,
            description="No execution has judged it yet.",
        )


def results(
    judgement: Judgement, listed: Collection[str] | None = None, *, gate: bool, pages: str
) -> dict[dg.AssetCheckKey, dg.AssetCheckResult]:
    """The result of each strategy and family of rules that a judgement holds.

    Args:
        judgement: The judgement of one session.
        listed: The strategies that have checks; None for all.
        gate: Whether only a breach with evidence is notified.
        pages: The address of the pages.
    """
    found = {}
    for name, evaluations in by_strategy(judgement).items():
        for family in FAMILIES if listed is None or name in listed else ():
            own = [e for e in evaluations if e.rule in BY_ID and BY_ID[e.rule].family is family]
            if own:
                key = dg.AssetCheckKey(strategy_asset(name), family.value)
                page = strategy_page(name, pages)
                found[key] = _result(key, judgement, own, gate=gate, page=page)
    return found


def _result(
    key: dg.AssetCheckKey,
    judgement: Judgement,
    evaluations: Sequence[Evaluation],
    *,
    gate: bool,
    page: str,
) -> dg.AssetCheckResult:
    """A check passes where nobody is notified and nothing is missing."""
    summary = summary_of(evaluations)
    breaches = [each for each in evaluations if each.outcome is Outcome.BREACH]
    breaches.sort(key=lambda each: (-_rank(each, gate=gate), each.rule))
    notified = [each for each in breaches if each.is_notified(gate=gate)]
    state, severity, words = summary.outcome.value, _WARN, summary.note
    if summary.outcome in UNMEASURED:
        severity = _ERROR
    elif notified:
        worst = severity_of(notified[0], gate=gate)
        state, words = worst.value, notified[0].message
        severity = _ERROR if worst.rank >= Severity.CRITICAL.rank else _WARN
    elif summary.outcome is Outcome.BREACH:
        state = "not_notified"
        words = f"{len(breaches)} beyond a limit, without the evidence to notify"
    metadata: dict[str, dg.MetadataValue] = {
        _STATE: dg.MetadataValue.text(state),
        _AS_OF: dg.MetadataValue.text(judgement.as_of.isoformat()),
        "alert": dg.MetadataValue.text(judgement.alert),
        "rules": dg.MetadataValue.int(len(evaluations)),
        "breaches": dg.MetadataValue.int(len(breaches)),
        "notified": dg.MetadataValue.int(len(notified)),
        "provisional": dg.MetadataValue.bool(judgement.provisional),
        "page": dg.MetadataValue.url(page),
    }
    if breaches:
        metadata["worst_rule"] = dg.MetadataValue.text(breaches[0].rule)
        if breaches[0].p_year is not None:
            metadata["p_year"] = dg.MetadataValue.float(float(f"{breaches[0].p_year:.4g}"))
    return dg.AssetCheckResult(
        passed=state in ("not_notified", Outcome.OK.value),
        asset_key=key.asset_key,
        check_name=key.name,
        severity=severity,
        description=clean(f"{state}: {words}" if words else state, _MAXIMUM_TEXT),
        metadata=metadata,
    )


def _rank(evaluation: Evaluation, *, gate: bool) -> int:
    return severity_of(evaluation, gate=gate).rank + 10 * evaluation.is_notified(gate=gate)


# Whether the last evaluation of a check passed, its state and its session.
_Written = tuple[bool, object, str]


def _written(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetCheckKey]
) -> dict[dg.AssetCheckKey, _Written]:
    """What was written last at each check; nothing where it was never evaluated."""
    found: dict[dg.AssetCheckKey, _Written] = {}
    for family in FAMILIES:
        own = [key for key in keys if key.name == family.value]
        records = instance.event_log_storage.get_latest_asset_check_execution_by_key(own)
        for key, record in records.items():
            if record.evaluation is not None:
                metadata = record.evaluation.metadata
                state, as_of = (
                    metadata[name].value if name in metadata else "" for name in (_STATE, _AS_OF)
                )
                found[key] = record.evaluation.passed, state, str(as_of)
    return found


def _due(
    found: Mapping[dg.AssetCheckKey, dg.AssetCheckResult],
    written: Mapping[dg.AssetCheckKey, _Written],
) -> list[tuple[dg.AssetCheckKey, dg.AssetCheckResult]]:
    """The results to write: what became bad, then well again, what stays bad, what is new."""
    ranked = []
    for key, result in found.items():
        passed, state, as_of = written.get(key, (True, None, ""))
        own_state, own_as_of = (str(result.metadata[name].value) for name in (_STATE, _AS_OF))
        is_changed, is_next = state != own_state, as_of < own_as_of
        if as_of > own_as_of or not (is_changed or (is_next and not result.passed)):
            continue
        place = (3 if passed else 1) if result.passed else 0 if is_changed else 2
        ranked.append((place, result.severity is not _ERROR, str(key), key, result))
    return [each[3:] for each in sorted(ranked, key=lambda each: each[:3])]
