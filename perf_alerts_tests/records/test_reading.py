from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable, UsageError
from perf_alerts_dagster.records.model import RecordFault, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.reading import Market, Reading, read
from perf_alerts_dagster.records.sessions import open_calendar
from perf_alerts_tests.builders import MARKET, a_record
from perf_alerts_tests.fakes import FakeRecordsSource

# Monday to Friday, without the Wednesday.
DAYS = np.array(["2026-01-05", "2026-01-06", "2026-01-08", "2026-01-09"], dtype="datetime64[D]")
FRIDAY = date(2026, 1, 9)


def at(hour: int, minute: int = 0, *, day: date = FRIDAY) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


AFTER_CLOSE = at(18)
CLOSING = MARKET.calendar.closing


def one(rows: int = 4, *, strategy: str = "trend") -> StrategyRecord:
    return a_record([0.01] * rows, dates=DAYS[:rows], strategy=strategy)


def a_reading(
    *records: StrategyRecord,
    calendar: str = "record",
    now: datetime = AFTER_CLOSE,
    as_of: date | None = None,
    at_or_before: bool = False,
    zone: str = "UTC",
) -> Reading:
    given = records or (one(),)
    return read(
        FakeRecordsSource(
            TrackRecords(source="test", strategies={each.strategy: each for each in given})
        ),
        Market(
            calendar=open_calendar(calendar, CLOSING), own_days=calendar == "record", name=calendar
        ),
        as_of=as_of,
        now=now,
        timezone=ZoneInfo(zone),
        at_or_before=at_or_before,
    )


def test_a_young_strategy_has_the_weekdays_as_sessions() -> None:
    found = a_reading()

    assert found.sessions == tuple(date(2026, 1, day) for day in range(5, 10))
    assert found.as_of == FRIDAY


def test_a_calendars_sessions_count_also_without_a_row() -> None:
    found = a_reading(calendar="weekdays")

    assert date(2026, 1, 7) in found.sessions
    assert len(found.sessions) == 5


def test_a_row_on_a_day_that_is_no_session_is_accepted() -> None:
    saturday = a_record([0.01, 0.02], dates=np.array(["2026-01-09", "2026-01-10"], "M8[D]"))
    found = a_reading(saturday, calendar="XNYS", now=at(18, day=date(2026, 1, 11)))

    assert found.as_of == date(2026, 1, 10)


@pytest.mark.parametrize(
    ("now", "final"),
    [(at(16, 59), date(2026, 1, 8)), (at(17), FRIDAY), (at(23), FRIDAY)],
)
def test_the_newest_row_is_final_exactly_from_its_close_on(now: datetime, final: date) -> None:
    found = a_reading(now=now)

    assert (found.as_of, found.last_final) == (FRIDAY, final)


def test_a_first_row_that_is_still_open_leaves_nothing_final() -> None:
    found = a_reading(one(1), now=at(9, day=date(2026, 1, 5)))

    assert found.last_final is None


def test_today_is_the_day_of_the_zone_not_of_utc() -> None:
    early = at(22, day=date(2026, 1, 8))

    assert a_reading(now=early).as_of == date(2026, 1, 8)
    assert a_reading(now=early, zone="Asia/Tokyo").as_of == FRIDAY


def test_the_source_is_asked_with_the_zones_today() -> None:
    source = FakeRecordsSource(TrackRecords(source="test", strategies={"trend": one()}))
    read(
        source,
        MARKET,
        as_of=None,
        now=at(22, day=date(2026, 1, 8)),
        timezone=ZoneInfo("Asia/Tokyo"),
    )

    assert source.loaded == [FRIDAY]


@pytest.mark.parametrize(
    "wanted",
    [date(2026, 1, 4), date(2026, 1, 10), date(2026, 1, 12)],
    ids=["before", "weekend", "after"],
)
def test_an_as_of_date_that_is_no_session_is_refused_with_the_range(wanted: date) -> None:
    with pytest.raises(UsageError, match="must be a session from 2026-01-05 to 2026-01-09"):
        a_reading(as_of=wanted)


def test_a_tick_takes_the_session_before() -> None:
    found = a_reading(as_of=date(2026, 1, 10), at_or_before=True, now=at(18, day=date(2026, 1, 10)))

    assert found.as_of == FRIDAY
    assert found.records.notes == (
        "2026-01-10 is a session of no strategy; the last day with a row is 2026-01-09",
    )


def test_a_tick_on_a_session_without_a_row_takes_the_last_day_with_one_and_says_nothing() -> None:
    found = a_reading(calendar="weekdays", as_of=date(2026, 1, 7), at_or_before=True)

    assert (found.as_of, found.records.notes) == (date(2026, 1, 6), ())
    assert a_reading(calendar="weekdays", as_of=date(2026, 1, 7)).as_of == date(2026, 1, 7)


def test_lateness_at_an_older_as_of_date_counts_up_to_that_date() -> None:
    found = a_reading(as_of=date(2026, 1, 6))

    assert (found.as_of, found.last_final) == (date(2026, 1, 6),) * 2
    assert found.late("trend", date(2026, 1, 5), found.as_of) == 1


@pytest.mark.parametrize(
    ("now", "late"),
    [
        (at(18), 0),
        # Before Monday's close nothing more can be expected than Friday's row.
        (at(9, day=date(2026, 1, 12)), 0),
        (at(18, day=date(2026, 1, 12)), 1),
        (at(18, day=date(2026, 1, 14)), 3),
    ],
)
def test_lateness_counts_closed_weekdays_after_the_newest_row(now: datetime, late: int) -> None:
    found = a_reading(now=now)

    assert found.late("trend", FRIDAY, found.as_of) == late


def test_standing_on_an_older_date_lateness_counts_up_to_it() -> None:
    found = a_reading(one(4), one(1, strategy="carry"), now=at(18, day=date(2026, 1, 20)))

    assert found.late("carry", date(2026, 1, 5), date(2026, 1, 8)) == 3


def test_groups_are_part_of_the_reading() -> None:
    assert "ALL" in a_reading(one(), one(strategy="carry")).records.strategies


def test_a_source_of_which_no_strategy_is_good_is_refused_with_its_first_fault() -> None:
    fault = RecordFault(where="daily.csv", row=2, column="pnl", rule="is not a number")
    source = FakeRecordsSource(
        TrackRecords(source="book", strategies={}, faults={"trend": (fault,)})
    )

    with pytest.raises(RecordsInvalid) as caught:
        read(
            source,
            MARKET,
            as_of=None,
            now=at(18),
            timezone=ZoneInfo("UTC"),
        )
    assert str(caught.value) == (
        "book: no strategy has good rows; daily.csv, row 2, column pnl: is not a number"
    )


def test_a_source_that_is_away_is_said_as_it_says() -> None:
    source = FakeRecordsSource(
        TrackRecords(source="book", strategies={}), error=RecordsUnavailable("book is away")
    )

    with pytest.raises(RecordsUnavailable, match="book is away"):
        read(
            source,
            MARKET,
            as_of=None,
            now=at(18),
            timezone=ZoneInfo("UTC"),
        )
