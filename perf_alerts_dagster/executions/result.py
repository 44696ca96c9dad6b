"""What one execution did, and what it notes for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from perf_alerts_dagster.executions.plan import Plan
from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.incidents.ports import Decisions
from perf_alerts_dagster.judging.evaluation import Judgement
from perf_alerts_dagster.projections.chart import Chart
from perf_alerts_dagster.records.reading import Reading


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


def said(repeats: Mapping[date, str]) -> list[str]:
    """That dates were judged before, and by which runs."""
    return [
        f"{session} was judged already by run {run_id}, on the same data and settings and with "
        "the same result; it was not recorded again"
        for session, run_id in repeats.items()
    ]


def notes_of(reading: Reading, plan: Plan, changes: Sequence[str]) -> tuple[str, ...]:
    """Everything worth saying beside the judgements, in one line each."""
    notes = [*reading.records.notes, *changes]
    if plan.given_up:
        notes.append(
            f"{plan.given_up} older due sessions lie further back than one execution catches up "
            "(ALERT_CATCHUP_SESSIONS) and were not judged"
        )
    return tuple(notes)
