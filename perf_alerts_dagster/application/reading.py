"""One reading of the source: the records, their sessions, and the date that is stood on."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from perf_alerts_dagster.application.ports import RecordsSource
from perf_alerts_dagster.domain.errors import UsageError
from perf_alerts_dagster.domain.groups import with_groups
from perf_alerts_dagster.domain.record import TrackRecords
from perf_alerts_dagster.domain.sessions import Calendar, is_final, resolve_as_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """What a source said at one moment, with its groups.

    `sessions` are the calendar's from the record's first date to its last, rising. `as_of` is
    one of them. `last_final` is the last of them, at or before `as_of`, that has closed.
    """

    records: TrackRecords
    sessions: tuple[date, ...]
    as_of: date
    last_final: date | None
    today: date


def read(
    source: RecordsSource,
    calendar: Calendar | None,
    *,
    as_of: date | None,
    now: datetime,
    timezone: ZoneInfo,
    at_or_before: bool = False,
) -> Reading:
    """Read the source and resolve the as-of date; see `Executor.execute` for the arguments."""
    raise UsageError
