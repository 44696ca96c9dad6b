"""What a run shows in the Dagster UI: one materialisation per judged session, tables, numbers."""

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence

import dagster as dg

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.defs.tags import judged_asset
from perf_alerts_dagster.executions.result import Execution
from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement, Outcome
from perf_alerts_dagster.judging.notifiable import notified, outcomes
from perf_alerts_dagster.notifications import text as wording
from perf_alerts_dagster.projections.chart import Chart, svg

# A table is for reading: the worst rows come first and the rest is counted.
_MAXIMUM_ROWS = 200
_MAXIMUM_INCIDENTS = 50
# With a backslash before it, each of these is itself in Markdown.
_MARKS = re.compile(r"[!-/:-@\[-`{-~]")

_ORDER = (
    Outcome.BREACH,
    Outcome.ERROR,
    Outcome.NO_DATA,
    Outcome.INSUFFICIENT_DATA,
    Outcome.OK,
)

_COLUMNS = dg.TableSchema(
    columns=[
        dg.TableColumn("strategy", "string"),
        dg.TableColumn("rule", "string"),
        dg.TableColumn("outcome", "string"),
        dg.TableColumn("severity", "string"),
        dg.TableColumn("value", "string"),
        dg.TableColumn("limit", "string"),
        dg.TableColumn("evidence", "string"),
        dg.TableColumn("p_year", "string"),
        dg.TableColumn("false_alarm_rate", "string"),
        dg.TableColumn("power", "string"),
        dg.TableColumn("message", "string"),
    ]
)


def materialization(execution: Execution, judgement: Judgement) -> dg.AssetMaterialization:
    """The judged session as a partition, with numbers that plot over time."""
    return dg.AssetMaterialization(
        asset_key=judged_asset(judgement.alert),
        partition=judgement.as_of.isoformat(),
        description=_describe(judgement),
        metadata={**_numbers(judgement, gate=execution.gate), **_origin(judgement)},
    )


def output_metadata(execution: Execution, *, pages: str) -> Mapping[str, dg.MetadataValue]:
    """What the run's page shows: incidents, the newest judged session's table and numbers.

    `pages` is where the pages of incidents are.
    """
    newest = execution.newest
    if newest is None:
        return {}
    shown: dict[str, dg.MetadataValue] = {}
    if execution.incidents:
        shown["incidents"] = dg.MetadataValue.md(_linked(execution.incidents, pages))
    shown |= {
        **_numbers(newest, gate=execution.gate),
        **_origin(newest),
        "evaluations": _table(newest.evaluations),
    }
    if len(newest.evaluations) > _MAXIMUM_ROWS:
        shown["evaluations_left_out"] = dg.MetadataValue.int(
            len(newest.evaluations) - _MAXIMUM_ROWS
        )
    if execution.charts:
        shown["bands"] = dg.MetadataValue.md(_pictures(execution.charts))
    if execution.summary is not None:
        shown["summary_file"] = dg.MetadataValue.path(str(execution.summary))
    return shown


def _linked(incidents: Sequence[Incident], pages: str) -> str:
    """The incidents that the execution touched, each with the link to its page."""
    lines = [
        f"- [{one.severity.value}, {one.status.value}]({pages}/incidents/{one.id}): "
        f"{_plain(one.strategy or 'the system')}, {_plain(one.rule)}"
        for one in incidents[:_MAXIMUM_INCIDENTS]
    ]
    rest = len(incidents) - _MAXIMUM_INCIDENTS
    if rest > 0:
        lines.append(f"- [and {rest} more]({pages}/incidents)")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """A name of the record as Markdown that shows it, whatever is in it."""
    return _MARKS.sub(r"\\\g<0>", wording.clean(text))


def _pictures(charts: Sequence[Chart]) -> str:
    """Fan charts as pictures within the Markdown: the UI fetches nothing for them."""
    return "\n\n".join(
        f"![band and live path {place}](data:image/svg+xml;base64,"
        f"{b64encode(svg(chart).encode()).decode()})"
        for place, chart in enumerate(charts, start=1)
    )


def outcome_word(execution: Execution) -> str:
    """The worst that was found, in one word.

    `alerts`: someone is told. `error`, `no_data`. `breach`: too weak or not rated yet, so nobody
    is told. `ok`.
    """
    newest = execution.newest
    if execution.left_to is not None:
        return f"left to {execution.left_to}"
    if newest is None:
        return "nothing judged"
    if any(notified(one, gate=execution.gate) for one in execution.judgements):
        return "alerts"
    found = set(outcomes(newest).values())
    for outcome in (Outcome.ERROR, Outcome.NO_DATA, Outcome.BREACH):
        if outcome in found:
            return outcome.value
    return "ok"


def sentence(execution: Execution) -> str:
    """One line for the log: what was judged and what came of it."""
    newest = execution.newest
    if execution.left_to is not None:
        return f"{execution.alert}: run {execution.left_to} waits already and judges instead"
    if newest is None:
        return f"{execution.alert}: no session is due, nothing was judged"
    numbers = Counter(outcomes(newest).values())
    words = ", ".join(f"{numbers[one]} {one.value}" for one in _ORDER if numbers[one])
    dates = ", ".join(one.as_of.isoformat() for one in execution.judgements)
    count = sum(len(notified(one, gate=execution.gate)) for one in execution.judgements)
    return f"{execution.alert}: judged {dates}; strategies: {words}; to be told: {count}"


def _describe(judgement: Judgement) -> str:
    words = [f"{judgement.alert} judged {judgement.as_of}"]
    if judgement.provisional:
        words.append("provisional: the session was not closed")
    if judgement.recorded_only:
        words.append("recorded only: a newer session is judged already")
    if judgement.restated:
        words.append("restated: its rows changed since it was judged")
    return "; ".join(words)


def _numbers(judgement: Judgement, *, gate: bool) -> dict[str, dg.MetadataValue]:
    by_outcome = Counter(outcomes(judgement).values())
    breaches = Counter(
        one.severity for one in judgement.evaluations if one.outcome is Outcome.BREACH
    )
    shown = {"strategies": sum(by_outcome.values())}
    shown |= {f"strategies_{one.value}": by_outcome[one] for one in _ORDER}
    shown |= {f"breaches_{one.value}": breaches[one] for one in Severity}
    shown["told"] = len(notified(judgement, gate=gate))
    return {name: dg.MetadataValue.int(number) for name, number in shown.items()}


def _origin(judgement: Judgement) -> dict[str, dg.MetadataValue]:
    return {
        "as_of": dg.MetadataValue.text(judgement.as_of.isoformat()),
        "provisional": dg.MetadataValue.bool(judgement.provisional),
        "settings_version": dg.MetadataValue.text(judgement.settings_version),
        "data_hash": dg.MetadataValue.text(judgement.data_hash),
        "seed": dg.MetadataValue.text(str(judgement.seed)),
    }


def _table(evaluations: tuple[Evaluation, ...]) -> dg.TableMetadataValue:
    worst_first = sorted(
        evaluations,
        key=lambda one: (
            _ORDER.index(one.outcome),
            -(one.severity.rank if one.severity else -1),
            one.strategy,
            one.rule,
        ),
    )
    return dg.MetadataValue.table(
        records=[_row(one) for one in worst_first[:_MAXIMUM_ROWS]], schema=_COLUMNS
    )


def _row(one: Evaluation) -> dg.TableRecord:
    # Dagster's tables know no empty number, so numbers are shown as text.
    return dg.TableRecord(
        {
            "strategy": one.strategy,
            "rule": one.rule,
            "outcome": one.outcome.value,
            "severity": one.severity.value if one.severity else "",
            "value": _shown(one.value),
            "limit": _shown(one.limit),
            "evidence": one.evidence.value if one.evidence else "",
            "p_year": _shown(one.p_year),
            "false_alarm_rate": _shown(one.false_alarm_rate),
            "power": _shown(one.power),
            "message": one.message,
        }
    )


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
