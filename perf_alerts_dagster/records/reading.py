"""Read the source once: the records with their groups, their sessions, and the as-of date.

Groups of strategies are judged like strategies: by group name, and ALL per currency.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from perf_alerts_dagster.core.errors import RecordsInvalid
from perf_alerts_dagster.records.desk import Kept, KeptCalendar, Seen
from perf_alerts_dagster.records.groups import with_groups
from perf_alerts_dagster.records.model import Dates, RecordsSource, TrackRecords
from perf_alerts_dagster.records.sessions import Calendar, is_final, lateness, resolve_as_of
from perf_alerts_dagster.records.source_changes import with_retirements

_NOTHING_KEPT = Kept()


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """The calendar that defines the sessions.

    `own_days`: the record's own days are the sessions, and the calendar gives only their closing
    times and the lateness of rows.
    """

    calendar: Calendar
    own_days: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """The records of a source at one moment, with their groups.

    `sessions` are rising; `as_of` is one of them. `last_final` is the last closed session at or
    before `as_of` on which some strategy has a row. Lateness is counted up to `counted_to`.

    `vanished` are the strategies that were judged and that the source no longer has, with what
    it last held of them. `inferred` are calendars that are to be kept from now on.
    """

    records: TrackRecords
    market: Market
    sessions: tuple[date, ...]
    as_of: date
    last_final: date | None
    counted_to: date
    vanished: Mapping[str, Seen] = field(default_factory=dict)
    inferred: Mapping[str, KeptCalendar] = field(default_factory=dict)

    def own_sessions(self, name: str) -> Dates:
        """The sessions of one strategy or group up to `as_of`, rising."""
        days = np.asarray(self.sessions, dtype="datetime64[D]")
        own: Dates = days[days <= np.datetime64(self.as_of, "D")]
        return own

    def late(self, newest: date, as_of: date) -> int:
        """The number of closed sessions after a strategy's `newest` row, up to `as_of`."""
        to = self.counted_to if as_of == self.as_of else as_of
        return lateness(newest, to, self.market.calendar)


def read(
    source: RecordsSource,
    market: Market,
    *,
    as_of: date | None,
    now: datetime,
    timezone: ZoneInfo,
    at_or_before: bool = False,
    kept: Kept = _NOTHING_KEPT,
) -> Reading:
    """Read the source and resolve the as-of date.

    Args:
        source: The track records.
        market: The calendar.
        as_of: The as-of date; None for the last one at or before today.
        now: The time of the reading, aware.
        timezone: The zone of today's date.
        at_or_before: Take the last session at or before `as_of` where it is no session.
        kept: The calendars and retirements that the alert store keeps.

    Raises:
        RecordsInvalid: no strategy has any good row.
        RecordsUnavailable: the source cannot be read.
        UsageError: `as_of` is no session of the record.
    """
    today = now.astimezone(timezone).date()
    records = with_groups(with_retirements(source.load(today), kept))
    days = rows = records.dates
    if not len(rows):
        faults = [str(fault) for faults in records.faults.values() for fault in faults]
        raise RecordsInvalid(
            f"{records.source}: no strategy has good rows" + (f"; {faults[0]}" if faults else "")
        )
    if not market.own_days:
        days = np.union1d(rows, market.calendar.sessions(rows[0].astype(object), today))
    sessions = tuple(days.astype(object).tolist())
    chosen = resolve_as_of(as_of, sessions, today, at_or_before=at_or_before)
    with_rows = rows[rows <= np.datetime64(chosen, "D")].astype(object).tolist()
    finals = [day for day in with_rows if is_final(day, market.calendar, now)]
    last_closed = today if is_final(today, market.calendar, now) else today - timedelta(days=1)
    return Reading(
        records=records,
        market=market,
        sessions=sessions,
        as_of=chosen,
        last_final=finals[-1] if finals else None,
        counted_to=last_closed if as_of is None or at_or_before else chosen,
    )
