"""The source of an execution against its last accepted reading, and what people decide about it."""

from dataclasses import dataclass, replace
from datetime import date, datetime

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.ports import Decisions
from perf_alerts_dagster.records.desk import Desk, Kept, Retirement, SourceReading
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_dagster.records.source_changes import Comparison, compare


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceCheck:
    """The records of a source, compared with its last accepted reading `before`."""

    desk: Desk
    lifecycle: Lifecycle
    name: str
    before: SourceReading | None
    found: Comparison

    @property
    def notes(self) -> tuple[str, ...]:
        """What is gone, for the run's notes, a line each."""
        if self.found.shrunk:
            return (f"{self.found.shrunk}: nothing was judged by this reading",)
        vanished = [
            f"{strategy} is no longer in the source, last seen on {each.last}"
            for strategy, each in self.found.accepted.vanished.items()
        ]
        return (*([self.found.note] if self.found.note else []), *vanished)

    def refuse(self, alert: str, *, run_id: str, now: datetime) -> Decisions:
        """Keep that the source shrank, and open its incident."""
        before = self.before or SourceReading()
        self.desk.save_source(self.name, replace(before, pending=self.found.pending))
        return self.lifecycle.source_shrunk(alert, shrunk=self.found.shrunk, run_id=run_id, now=now)

    def accept(self, now: datetime, change: Change | None = None) -> None:
        """Make it the last accepted reading, and resolve the incidents that this ends."""
        accepted = self.found.accepted
        if change is not None:
            change = replace(change, before=_counts(self.before), after=_counts(accepted))
        if change is not None or accepted != self.before:
            self.desk.save_source(self.name, accepted, change)
        self.lifecycle.source_accepted(now=now)
        for strategy, (by, reason) in self.found.ended.items():
            self.lifecycle.strategy_ended(strategy, by=by, comment=reason, now=now)


def check_source(
    desk: Desk, lifecycle: Lifecycle, records: TrackRecords, *, kept: Kept, today: date
) -> SourceCheck:
    """Compare the records with the last accepted reading of their source; change nothing.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    before = desk.source(records.source)
    return SourceCheck(
        desk=desk,
        lifecycle=lifecycle,
        name=records.source,
        before=before,
        found=compare(before, records, kept=kept, today=today),
    )


def retire(desk: Desk, lifecycle: Lifecycle, retirement: Retirement, change: Change) -> None:
    """End a strategy as a person, with its incident of missing data.

    Raises:
        UnknownStrategy: it was never read; nothing is changed.
        StoreUnavailable: the store cannot be written.
    """
    desk.retire(retirement, change)
    lifecycle.strategy_ended(
        retirement.strategy, by=retirement.by, comment=retirement.reason, now=retirement.at
    )


def _counts(reading: SourceReading | None) -> Json:
    if reading is None:
        return None
    return {
        "strategies": len(reading.accepted),
        "rows": sum(each.rows for each in reading.accepted.values()),
        "vanished": list[Json](sorted(reading.vanished)),
    }
