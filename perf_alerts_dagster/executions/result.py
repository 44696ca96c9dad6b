"""The result of an execution: judgements, notes, the incidents it touched, and its charts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from perf_alerts_dagster.executions.plan import Plan
from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.incidents.ports import Decisions
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.judging.judgement import Judgement
from perf_alerts_dagster.projections.chart import Chart, chart_of
from perf_alerts_dagster.projections.in_force import Outlook
from perf_alerts_dagster.records.reading import Reading

# A run's page is for reading: the worst strategies, and everything together.
MAXIMUM_CHARTS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What one execution did. `judgements` are oldest first, a provisional one last.

    `repeats` are those of them that an earlier run had recorded, equal in every number: they
    are shown and were not recorded again. `left_to` is the run that waited already when this
    one came, and that judges in its place. `charts` are the worst strategies' bands and paths.
    `incidents` are those that it opened, counted or resolved, worst first.
    """

    alert: str
    run_id: str
    executed_at: datetime
    judgements: tuple[Judgement, ...]
    notes: tuple[str, ...] = ()
    gate: bool = True
    summary: Path | None = None
    repeats: frozenset[date] = frozenset()
    left_to: str | None = None
    charts: tuple[Chart, ...] = ()
    incidents: tuple[Incident, ...] = ()

    @property
    def newest(self) -> Judgement | None:
        """The judgement of the newest date; None when nothing was judged."""
        return self.judgements[-1] if self.judgements else None


def incidents_of(decisions: Decisions) -> tuple[Incident, ...]:
    """The incidents that decisions touch, worst first."""
    return tuple(
        sorted(
            (*decisions.opened, *decisions.changed),
            key=lambda one: (one.is_over, -one.severity.rank, one.strategy, one.rule),
        )
    )


def repeat_notes(repeats: Mapping[date, str]) -> list[str]:
    """A note for each date that an earlier run had judged, with that run."""
    return [
        f"{session} was judged already by run {run_id}, on the same data and settings and with "
        "the same result; it was not recorded again"
        for session, run_id in repeats.items()
    ]


def notes_of(reading: Reading, plan: Plan, changes: Sequence[str]) -> tuple[str, ...]:
    """The notes of an execution, one line each: of the record, of changes, of sessions left out."""
    notes = [*reading.records.notes, *changes]
    if plan.given_up:
        notes.append(
            f"{plan.given_up} older due sessions lie further back than one execution catches up "
            "(ALERT_CATCHUP_SESSIONS) and were not judged"
        )
    return tuple(notes)


def charts_of(
    reading: Reading, outlook: Outlook, evaluations: Sequence[Evaluation], as_of: date
) -> tuple[Chart, ...]:
    """The charts of a judged session: the worst strategies first, at most six."""
    ranks: dict[str, int] = {}
    for one in evaluations:
        is_breach = one.outcome is Outcome.BREACH and one.notified_severity is not None
        rank = one.notified_severity.rank if is_breach and one.notified_severity else -1
        ranks[one.strategy] = max(ranks.get(one.strategy, -1), rank + 10 * one.is_notified())
    names = [
        name
        for name, forces in outlook.forces.items()
        if forces.launch is not None and name in reading.records.strategies
    ]
    chosen = sorted(names, key=lambda name: (-ranks.get(name, -1), name))[:MAXIMUM_CHARTS]
    charts = []
    for name in chosen:
        launch = outlook.forces[name].launch
        if launch is not None:
            charts.append(chart_of(reading.records.strategies[name], launch, as_of))
    return tuple(charts)
