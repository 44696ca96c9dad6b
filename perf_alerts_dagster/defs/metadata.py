"""Metadata of a run in the Dagster UI: a materialisation per judged session, tables, numbers."""

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from math import isfinite

import dagster as dg

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.defs.catalog import RECORD, judged_asset
from perf_alerts_dagster.executions.catalog import Catalog
from perf_alerts_dagster.executions.execute import Execution
from perf_alerts_dagster.executions.plots import MAXIMUM_CHARTS
from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.judging.evaluation import (
    Evaluation,
    Judgement,
    Outcome,
    notified,
)
from perf_alerts_dagster.judging.rule import Unit
from perf_alerts_dagster.judging.rules.catalogue import BY_ID, unit_of
from perf_alerts_dagster.judging.summary import WORST_FIRST, outcomes, summaries
from perf_alerts_dagster.notifications import text as wording
from perf_alerts_dagster.plots.plot import Plot
from perf_alerts_dagster.plots.svg import svg

# A table is for reading: the worst rows come first and the rest is counted.
_MAXIMUM_ROWS = 200
_MAXIMUM_INCIDENTS = 50
# With a backslash before it, each of these is itself in Markdown.
_MARKS = re.compile(r"[!-/:-@\[-`{-~]")

# The log's sentence and the run's tag; PostgreSQL indexes tags of 2,700 bytes at most.
_MAXIMUM_NAMED = 5
_MAXIMUM_NOTE = 600
# The entry of the run's output that holds its sentence.
SENTENCE = "summary"
# The columns of the table that hold no number.
_WORDS = frozenset(("strategy", "rule", "outcome", "severity", "unit", "message"))
# A breach is what a reader of the run's page looks for.
_ORDER = sorted(WORST_FIRST, key=lambda outcome: outcome is not Outcome.BREACH)


def materialization(execution: Execution, judgement: Judgement) -> dg.AssetMaterialization:
    """The judged session as a partition, with numbers that plot over time."""
    return dg.AssetMaterialization(
        asset_key=judged_asset(judgement.alert),
        partition=judgement.as_of.isoformat(),
        description=_describe(judgement),
        metadata={**_numbers(judgement, gate=execution.gate), **_origin(judgement)},
    )


def record_event(
    catalog: Catalog, maximum_late: int
) -> dg.AssetMaterialization | dg.AssetObservation:
    """The record as it was read: fresh where it is late by no more sessions than `maximum_late`."""
    metadata: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(catalog.rows),
        "strategies": dg.MetadataValue.int(len(catalog.strategies) + catalog.left_out),
        "sessions_late": dg.MetadataValue.int(catalog.late),
    }
    if catalog.newest is not None:
        newest = datetime.combine(catalog.newest, time(), tzinfo=UTC).timestamp()
        metadata["newest_row"] = dg.MetadataValue.text(catalog.newest.isoformat())
        metadata["dagster/last_updated_timestamp"] = dg.MetadataValue.timestamp(newest)
    if catalog.late > maximum_late:
        return dg.AssetObservation(RECORD, metadata=metadata)
    return dg.AssetMaterialization(RECORD, metadata=metadata)


def output_metadata(execution: Execution, *, pages: str) -> Mapping[str, dg.MetadataValue]:
    """Metadata of the run's page: incidents, table and numbers of the newest judged session.

    `pages` is the address of the incidents' pages.
    """
    newest = execution.newest
    metadata: dict[str, dg.MetadataValue] = {SENTENCE: dg.MetadataValue.text(sentence(execution))}
    if execution.incidents:
        metadata["incidents"] = dg.MetadataValue.md(_incident_links(execution.incidents, pages))
    if execution.plots:
        metadata["plots"] = dg.MetadataValue.md(_plots(execution, pages))
    if newest is None:
        return metadata
    # First what a reader of the run's page looks for: the page cuts the list after the fifth.
    metadata["evaluations"] = _table(newest.evaluations)
    if execution.charts:
        metadata["bands"] = dg.MetadataValue.md(_images(execution.charts))
    if len(newest.evaluations) > _MAXIMUM_ROWS:
        metadata["evaluations_left_out"] = dg.MetadataValue.int(
            len(newest.evaluations) - _MAXIMUM_ROWS
        )
    metadata |= {**_numbers(newest, gate=execution.gate), **_origin(newest)}
    if execution.summary is not None:
        metadata["summary_file"] = dg.MetadataValue.path(str(execution.summary))
    return metadata


def _incident_links(incidents: Sequence[Incident], pages: str) -> str:
    """The incidents that the execution touched, each with the link to its page."""
    lines = [f"- {_link(incident, pages)}" for incident in incidents[:_MAXIMUM_INCIDENTS]]
    rest = len(incidents) - _MAXIMUM_INCIDENTS
    if rest > 0:
        lines.append(f"- [and {rest} more]({pages}/incidents)")
    return "\n".join(lines)


def _link(incident: Incident, pages: str) -> str:
    return (
        f"[{incident.severity.value}, {incident.status.value}]({pages}/incidents/{incident.id}): "
        f"{_escaped(incident.strategy or 'the system')}, {_escaped(incident.rule)}"
    )


def _plots(execution: Execution, pages: str) -> str:
    """The plots of the worst incidents, each below its link."""
    shown = [each for each in execution.incidents if each.id in execution.plots][:MAXIMUM_CHARTS]
    pictures = [_image("plot", execution.plots[each.id]) for each in shown]
    lines = [f"{_link(each, pages)}\n\n{it}" for each, it in zip(shown, pictures, strict=True)]
    rest = len(execution.plots) - len(shown)
    return "\n\n".join([*lines, *([f"[and {rest} more]({pages}/incidents)"] if rest else [])])


def _escaped(text: str) -> str:
    """A name of the record, escaped for Markdown."""
    return _MARKS.sub(r"\\\g<0>", wording.clean(text))


def _images(charts: Sequence[Plot]) -> str:
    """Fan charts, one below the other."""
    return "\n\n".join(
        _image(f"band and live path {number}", chart)
        for number, chart in enumerate(charts, start=1)
    )


def _image(title: str, plot: Plot) -> str:
    """A picture within the Markdown: the UI fetches nothing for it."""
    content = b64encode(svg(plot, standalone=True).encode()).decode()
    return f"![{title}](data:image/svg+xml;base64,{content})"


def outcome_word(execution: Execution) -> str:
    """The worst outcome in a word, for the run's tag.

    `alerts`: people are notified. `error`, `no_data`: of a strategy. `breach`: without evidence,
    or not rated yet, so nobody is notified. `insufficient_data`, `partial`: of a strategy, too.
    `ok`: of every strategy.
    """
    newest = execution.newest
    if execution.left_to is not None:
        return f"left to {execution.left_to}"
    if execution.shrunk:
        return Outcome.NO_DATA.value
    if newest is None:
        return "nothing judged"
    if any(notified(judgement, gate=execution.gate) for judgement in execution.judgements):
        return "alerts"
    by_strategy = outcomes(newest).values()
    return min(by_strategy, key=WORST_FIRST.index).value if by_strategy else "nothing judged"


def not_judged(execution: Execution) -> str:
    """What was not judged, or not in full, and why, for the run's tag; "" where all was."""
    if execution.shrunk:
        return wording.cut(wording.clean(execution.shrunk), _MAXIMUM_NOTE)
    found = summaries(execution.newest) if execution.newest else {}
    worst = sorted(found.items(), key=lambda pair: WORST_FIRST.index(pair[1].outcome))
    named = [
        f"{wording.clean(name)}: {each.note}"
        for name, each in worst
        if each.note and not each.is_explained
    ]
    rest = len(named) - _MAXIMUM_NAMED
    more = [f"and {rest} more"] if rest > 0 else []
    return wording.cut(" | ".join([*named[:_MAXIMUM_NAMED], *more]), _MAXIMUM_NOTE)


def sentence(execution: Execution) -> str:
    """One line for the log: the judged sessions and their outcomes."""
    newest = execution.newest
    if execution.left_to is not None:
        return f"{execution.alert}: run {execution.left_to} is queued already and judges instead"
    if execution.shrunk:
        return f"{execution.alert}: nothing was judged, since {execution.shrunk}"
    if newest is None:
        return f"{execution.alert}: no session is due, nothing was judged"
    numbers = Counter(outcomes(newest).values())
    words = ", ".join(
        f"{numbers[outcome]} {outcome.value}" for outcome in _ORDER if numbers[outcome]
    )
    dates = ", ".join(judgement.as_of.isoformat() for judgement in execution.judgements)
    lacking = not_judged(execution)
    return f"{execution.alert}: judged {dates}; strategies: {words}" + (
        f"; not judged in full: {lacking}" if lacking else ""
    )


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
        evaluation.severity
        for evaluation in judgement.evaluations
        if evaluation.outcome is Outcome.BREACH
    )
    numbers = {"strategies": sum(by_outcome.values())}
    numbers |= {f"strategies_{outcome.value}": by_outcome[outcome] for outcome in _ORDER}
    numbers |= {f"breaches_{severity.value}": breaches[severity] for severity in Severity}
    numbers["told"] = len(notified(judgement, gate=gate))
    return {name: dg.MetadataValue.int(number) for name, number in numbers.items()}


def _origin(judgement: Judgement) -> dict[str, dg.MetadataValue]:
    return {
        "as_of": dg.MetadataValue.text(judgement.as_of.isoformat()),
        "provisional": dg.MetadataValue.bool(judgement.provisional),
        "settings_version": dg.MetadataValue.text(judgement.settings_version),
        "method_version": dg.MetadataValue.text(judgement.method_version or ""),
        "data_hash": dg.MetadataValue.text(judgement.data_hash),
        "seed": dg.MetadataValue.text(str(judgement.seed)),
    }


def _table(evaluations: tuple[Evaluation, ...]) -> dg.TableMetadataValue:
    worst_first = sorted(
        evaluations,
        key=lambda evaluation: (
            _ORDER.index(evaluation.outcome),
            -(evaluation.severity.rank if evaluation.severity else -1),
            evaluation.strategy,
            evaluation.rule,
        ),
    )
    rows = [
        {
            "strategy": evaluation.strategy,
            "rule": evaluation.rule,
            "outcome": evaluation.outcome.value,
            "severity": evaluation.severity.value if evaluation.severity else "",
            "value": _number(evaluation.value, is_share=_is_share(evaluation)),
            "limit": _number(evaluation.limit, is_share=_is_share(evaluation)),
            "unit": _unit(evaluation),
            "p_year_percent": _number(evaluation.p_year, is_share=True),
            "notifies": bool(evaluation.notifies),
            "message": evaluation.message,
        }
        for evaluation in worst_first[:_MAXIMUM_ROWS]
    ]
    return dg.MetadataValue.table(
        records=[dg.TableRecord(row) for row in rows],
        schema=dg.TableSchema(
            columns=[
                dg.TableColumn(
                    name, "string" if name in _WORDS else "bool" if name == "notifies" else "float"
                )
                for name in (rows[0] if rows else ())
            ]
        ),
    )


def _is_share(evaluation: Evaluation) -> bool:
    return unit_of(evaluation.rule, evaluation.parts) is Unit.PERCENT


def _unit(evaluation: Evaluation) -> str:
    return unit_of(evaluation.rule, evaluation.parts).value if evaluation.rule in BY_ID else ""


def _number(value: float | None, *, is_share: bool) -> float | str:
    """To four digits, a share as a percentage; Dagster's tables hold no empty number but ""."""
    if value is None or not isfinite(value):
        return ""
    return float(f"{100.0 * value if is_share else value:.4g}")
