"""The plots of an execution: those of the incidents that it opened, and of the run's page."""

import logging
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cache

from perf_alerts_dagster.core.alerts import Alert
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.executions.session_judge import SessionJudge
from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.incidents.ports import Decisions
from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement, Outcome
from perf_alerts_dagster.plots.of_bands import fan
from perf_alerts_dagster.plots.of_rules import plot_of
from perf_alerts_dagster.plots.plot import Plot
from perf_alerts_dagster.plots.store import PlotStore
from perf_alerts_dagster.projections.projection import Outlook
from perf_alerts_dagster.records.reading import Reading

# The page of a run shows the worst strategies only.
MAXIMUM_CHARTS = 6
# More incidents than that are no picture but a list.
MAXIMUM_PLOTS = 60
# What a record that is like no other may do to a picture of it.
_FAULTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
# Entries of incidents that people are notified of anew, since they became worse.
_NEWS = ("opened", "raised")
_LOG = logging.getLogger(__name__)


def charts(reading: Reading, outlook: Outlook, judgement: Judgement) -> tuple[Plot, ...]:
    """The fans of a judged session: the worst strategies first, at most six."""
    ranks: dict[str, int] = {}
    for evaluation in judgement.evaluations:
        severity = evaluation.notified_severity
        is_breach = evaluation.outcome is Outcome.BREACH
        rank = severity.rank if is_breach and severity is not None else -1
        rank += 10 * evaluation.is_notified()
        ranks[evaluation.strategy] = max(ranks.get(evaluation.strategy, -1), rank)
    launches = {
        name: projections.launch
        for name, projections in outlook.in_force.items()
        if projections.launch is not None and name in reading.records.strategies
    }
    worst = sorted(launches, key=lambda name: (-ranks.get(name, -1), name))[:MAXIMUM_CHARTS]
    return tuple(
        fan(
            reading.records.strategies[name],
            launches[name],
            judgement.as_of,
            reading.calendars[name].days,
        )
        for name in worst
    )


def evaluation_of(incident: Incident) -> Evaluation:
    """The newest breach of an incident as an evaluation."""
    return Evaluation(
        strategy=incident.strategy,
        rule=incident.rule,
        outcome=Outcome.BREACH,
        kind=incident.kind,
        severity=incident.newest_severity,
        value=incident.value,
        limit=incident.limit,
        evidence=incident.evidence,
        p_year=incident.p_year,
        session=incident.session,
        projection=incident.projection,
        provisional=incident.provisional,
        message=incident.message,
        parts=incident.parts,
    )


def keep_plots(
    store: PlotStore,
    decisions: Decisions,
    session_judge: SessionJudge,
    alert: Alert,
    reading: Reading,
    *,
    judged: Sequence[date],
    now: datetime,
) -> Mapping[str, Plot]:
    """Store the plots of the incidents that were opened or raised, the worst 60 first; return them.

    A message goes without a plot that cannot be made or stored: that is a warning in the log.

    Args:
        store: Where they are kept.
        decisions: Of the incidents, as they were applied.
        session_judge: That which judged the sessions `judged`; it reads the projections of others.
        alert: The alert.
        reading: The records.
        judged: The sessions that were judged now.
        now: The time of the execution, aware.
    """
    news = {entry.incident_id for entry in decisions.entries if entry.what in _NEWS}
    incidents = [
        each
        for each in (*decisions.opened, *decisions.changed)
        if each.id in news and each.strategy and each.as_of is not None
    ]
    incidents.sort(key=lambda each: (-each.severity.rank, each.strategy, each.rule))

    @cache
    def context(session: date) -> JudgeContext:
        worker = session_judge if session in judged else session_judge.for_sessions([session])
        return worker.context(alert, reading, session)

    plots: dict[str, Plot] = {}
    try:
        for incident in incidents[:MAXIMUM_PLOTS]:
            plot = _plot(incident, context(incident.as_of or reading.as_of))
            if plot is not None:
                plots[incident.id] = plot
        store.save(plots, now)
    except StoreUnavailable as error:
        _LOG.warning("the plots of %s are not kept: %s", alert.name, error)
    return plots


def _plot(incident: Incident, context: JudgeContext) -> Plot | None:
    try:
        return plot_of(evaluation_of(incident), context)
    except _FAULTS as error:
        text = "no plot of %s, %s: %s: %s"
        _LOG.warning(text, incident.strategy, incident.rule, type(error).__name__, error)
        return None
