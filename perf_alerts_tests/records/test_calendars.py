"""Which calendar each strategy gets, and what follows from it."""

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from perf_alerts_dagster.records.calendars import Origin, StrategyCalendar, finality_notes
from perf_alerts_dagster.records.desk import Kept, KeptCalendar
from perf_alerts_dagster.records.inference import EXCHANGES, assume, infer
from perf_alerts_dagster.records.model import Dates, Status, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.reading import Market, Reading, read
from perf_alerts_dagster.records.sessions import NEXT_DAY, Closing, open_calendar
from perf_alerts_tests.builders import MARKET, a_record, noise, weekdays
from perf_alerts_tests.fakes import FakeRecordsSource

FIRST, LAST = date(2023, 11, 27), date(2026, 11, 27)
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
DAYS = np.arange(np.datetime64(FIRST), np.datetime64(LAST)) + 1


def every(name: str) -> Dates:
    """All sessions of three years."""
    return open_calendar(name).sessions(FIRST, LAST)


def month_ends(count: int) -> Dates:
    return (np.datetime64("2016-11", "M") + np.arange(1, count + 1)).astype("M8[D]") - 1


def thinned(dates: Dates, share: float) -> Dates:
    """About `share` of the dates, the first and the last among them."""
    keep = np.random.default_rng(5).random(len(dates)) < share
    keep[[0, -1]] = True
    return dates[keep]


def with_dates(name: str, dates: Dates, **changes: Any) -> StrategyRecord:
    return a_record(noise(len(dates)), dates=dates, strategy=name, **changes)


def a_reading(
    *records: StrategyRecord,
    market: Market = MARKET,
    now: datetime = NOW,
    kept: Kept | None = None,
    as_of: date | None = None,
    is_sample: bool = False,
) -> Reading:
    source = TrackRecords(
        source="test", strategies={one.strategy: one for one in records}, is_sample=is_sample
    )
    return read(
        FakeRecordsSource(source),
        market,
        as_of=as_of,
        now=now,
        timezone=ZoneInfo("UTC"),
        kept=kept or Kept(),
    )


def calendar_of(record: StrategyRecord, **changes: Any) -> StrategyCalendar:
    return a_reading(record, **changes).calendars[record.strategy]


def shown(calendar: StrategyCalendar) -> tuple[str, Origin, float]:
    return calendar.name, calendar.origin, calendar.periods_per_year


QUARTERS = month_ends(120)[2::3]


@pytest.mark.parametrize(
    ("dates", "found"),
    [
        (month_ends(24), ("monthly", 12.0)),
        (np.busday_offset(month_ends(120), 0, roll="backward"), ("monthly", 12.0)),
        (month_ends(120)[:-1] + 1, ("monthly", 12.0)),
        (np.arange("2023-02-03", "2026-11-28", 7, dtype="M8[D]"), ("weekly", 52.0)),
        (QUARTERS, ("sparse", 4.0)),
        (DAYS, ("24/7", 365.0)),
        (every("weekdays"), ("weekdays", 252.0)),
        # A year of weekdays, and Sundays as well.
        (DAYS[np.is_busday(DAYS, weekmask="1111101")], ("weekdays", 313.5)),
        # Sunday to Thursday has no calendar here: its own days are its sessions.
        (DAYS[np.is_busday(DAYS, weekmask="1111001")], ("sparse", 261.3)),
        (DAYS[np.is_busday(DAYS, weekmask="1111000")], ("sparse", 209.2)),
        (thinned(every("weekdays"), 0.35), ("sparse", 94.6)),
        # Every tenth day is missing: no exchange rests as often, and nothing is guessed.
        (thinned(every("weekdays"), 0.85), ("weekdays", 227.7)),
    ],
    ids=[
        "month ends", "last business days", "first days", "Fridays", "quarters", "every day",
        "weekdays", "six days", "Sunday to Thursday", "four days", "active days", "many gaps",
    ],
)  # fmt: skip
def test_a_calendar_is_inferred_from_the_dates(dates: Dates, found: tuple[str, float]) -> None:
    assert infer(dates) == found


@pytest.mark.slow
@pytest.mark.parametrize("code", EXCHANGES)
def test_every_exchange_of_the_list_is_known_by_its_sessions(code: str) -> None:
    name, rows = infer(every(code)) or ("", 0.0)

    assert (name, rows) == (code, open_calendar(code).periods_per_year)


@pytest.mark.slow
@pytest.mark.parametrize(("removed", "name"), [(4, "XNYS"), (12, "weekdays")])
def test_at_most_a_hundredth_of_an_exchanges_sessions_is_missed(removed: int, name: str) -> None:
    dates = np.delete(every("XNYS"), np.arange(removed) * 30 + 300)

    assert (infer(dates) or ("",))[0] == name


@pytest.mark.parametrize(("rows", "origin"), [(249, Origin.ASSUMED), (250, Origin.INFERRED)])
def test_a_daily_calendar_is_inferred_from_250_rows_on(rows: int, origin: Origin) -> None:
    assert calendar_of(with_dates("trend", weekdays(rows))).origin is origin
    assert calendar_of(with_dates("coin", DAYS[-rows:])).origin is origin


@pytest.mark.parametrize(
    ("dates", "name"),
    [
        (weekdays(40), "weekdays"),
        (DAYS[:40], "24/7"),
        (month_ends(12), "monthly"),
        (DAYS[:100:7], "weekly"),
        (DAYS[:2:1], "weekdays"),
        (DAYS[np.is_busday(DAYS, weekmask="1111001")][:60], "sparse"),
        # Two years of active days are not yet enough for anything but weekdays.
        (thinned(weekdays(100), 0.3), "weekdays"),
    ],
    ids=["weekdays", "coin", "monthly", "weekly", "two rows", "Sunday to Thursday", "gaps"],
)
def test_with_few_rows_weekdays_are_assumed_unless_the_dates_say_more(
    dates: Dates, name: str
) -> None:
    assert assume(dates) == name


def test_the_first_calendar_that_is_there_counts() -> None:
    coin, kept = (
        with_dates("trend", DAYS),
        KeptCalendar(name="weekly", periods_per_year=52.0, since=date(2026, 1, 1)),
    )
    everything = Kept(calendars={"trend": kept})
    declared = with_dates("trend", DAYS, calendar="monthly")
    setting = Market(calendar=open_calendar("weekdays"), own_days=False, name="weekdays")

    assert shown(calendar_of(declared, kept=everything, market=setting))[:2] == (
        "monthly",
        Origin.DECLARED,
    )
    assert shown(calendar_of(coin, kept=everything, market=setting)) == (
        "weekdays",
        Origin.SETTING,
        252.0,
    )
    assert shown(calendar_of(coin, kept=everything)) == ("weekly", Origin.KEPT, 52.0)
    assert calendar_of(coin, kept=everything).since == kept.since
    assert shown(calendar_of(coin)) == ("24/7", Origin.INFERRED, 365.0)
    assert shown(calendar_of(coin.rows(0, 40))) == ("24/7", Origin.ASSUMED, 365.0)


def test_a_kept_calendar_is_not_changed_by_later_rows() -> None:
    before = a_reading(with_dates("trend", every("weekdays")[:300]), now=NOW)
    later = np.concatenate([every("weekdays")[:300], DAYS[every("weekdays")[299] < DAYS]])
    after = a_reading(with_dates("trend", later), kept=Kept(calendars=before.inferred))

    assert before.inferred["trend"].name == "weekdays"
    assert before.inferred["trend"].since == NOW.date()
    assert (infer(later) or ("",))[0] == "24/7"
    assert shown(after.calendars["trend"]) == ("weekdays", Origin.KEPT, 252.0)
    assert after.inferred == {}


def test_what_is_inferred_is_said_once_for_those_alike_and_ordinary_weekdays_are_not() -> None:
    books = [with_dates(f"coin{number}", DAYS) for number in range(7)]
    found = a_reading(*books, with_dates("trend", every("weekdays")))
    again = a_reading(*books, kept=Kept(calendars=found.inferred))

    assert found.records.notes == (
        "coin0, coin1, coin2, coin3, coin4 and 2 more: calendar 24/7 inferred from 504 rows",
    )
    assert again.records.notes == ()


def test_a_declared_calendar_that_is_unknown_is_a_fault_of_its_strategy_alone() -> None:
    found = a_reading(with_dates("trend", DAYS), with_dates("carry", DAYS, calendar="US")).records

    (fault,) = found.faults["carry"]
    assert str(fault) == (
        "test, column calendar: must be weekdays, 24/7, weekly, monthly, sparse, or a code that "
        "exchange_calendars can make, such as XNYS or XLON, not 'US'"
    )
    assert "carry" not in found.strategies
    assert "trend" in found.strategies


def test_the_sample_keeps_the_dates_of_its_rows() -> None:
    found = a_reading(
        with_dates("trend", DAYS[:300]), with_dates("carry", DAYS[5:300:2]), is_sample=True
    )

    assert shown(found.calendars["carry"]) == ("record", Origin.ASSUMED, 252.0)
    assert np.array_equal(found.own_sessions("carry"), DAYS[5:300])
    assert found.inferred == {}
    assert not found.calendars["carry"].is_assumed


def test_rows_per_year_of_the_settings_are_those_of_every_calendar() -> None:
    market = Market(calendar=MARKET.calendar, own_days=True, periods_per_year=100.0)
    found = a_reading(with_dates("a", DAYS), with_dates("b", month_ends(60)), market=market)

    assert found.periods_per_year == {"a": 100.0, "b": 100.0, "ALL": 100.0}


def test_a_groups_rows_per_year_are_its_members_or_the_largest_of_them() -> None:
    found = a_reading(
        with_dates("coin", DAYS, group="fast"),
        with_dates("stock", every("weekdays"), group="fast"),
        with_dates("slow", month_ends(120), group="slow"),
        with_dates("slower", month_ends(120), group="slow"),
    )

    rates = found.periods_per_year
    assert (rates["group:fast"], rates["group:slow"], rates["ALL"]) == (365.0, 12.0, 365.0)


def test_sessions_are_those_of_any_strategy_and_each_has_its_own() -> None:
    found = a_reading(
        with_dates("coin", DAYS[-20:]), with_dates("stock", every("weekdays")[-300:-1])
    )

    assert date(2026, 11, 22) in found.sessions
    # A weekday without a row is one, a weekend none.
    assert found.own_sessions("stock")[-2:].astype(str).tolist() == ["2026-11-26", "2026-11-27"]
    assert np.is_busday(found.own_sessions("stock")).all()
    assert np.array_equal(found.own_sessions("coin"), DAYS[-20:])


@pytest.mark.parametrize("rows", [40, 300], ids=["assumed", "inferred"])
def test_a_weekday_on_which_nobody_has_a_row_may_be_a_lost_one(rows: int) -> None:
    days = np.delete(weekdays(rows), 20)
    found = a_reading(with_dates("a", days), with_dates("b", days))

    assert weekdays(rows)[20] in found.own_sessions("a")


def test_a_retired_strategy_has_no_sessions_after_its_last_row() -> None:
    coin = with_dates("coin", DAYS[:400], status=Status.RETIRED)
    found = a_reading(coin, with_dates("stock", every("weekdays")))

    assert date(2026, 11, 21) not in found.sessions


def test_lateness_counts_a_strategys_own_sessions() -> None:
    found = a_reading(
        with_dates("coin", DAYS[:-4]),
        with_dates("stock", every("weekdays")[:-3]),
        with_dates("month", month_ends(120)),
        with_dates("week", np.arange("2023-02-03", "2026-11-20", 7, dtype="M8[D]")),
        now=datetime(2026, 11, 28, 18, tzinfo=UTC),
    )
    late = {
        name: found.late(name, one.dates[-1].astype(object), found.as_of)
        for name, one in found.records.strategies.items()
    }

    assert (late["coin"], late["stock"], late["month"], late["week"]) == (5, 3, 0, 2)


def test_a_sparse_book_may_be_as_late_as_its_longest_gap_of_the_last_year() -> None:
    dates = np.busday_offset(np.datetime64("2023-11-27"), np.arange(0, 700, 3))
    holes = np.delete(dates, [30, 31, 32, 33, 34, 35, 200, 201, 202])
    calendar = calendar_of(with_dates("active", holes))

    assert calendar.name == "sparse"
    # The older hole, of seven, lies more than a year back.
    assert calendar.longest_gap == 12
    assert calendar.late(date(2026, 7, 31), date(2026, 8, 7)) == 5


@pytest.mark.parametrize(
    ("now", "final"),
    [
        # The stock's row of Friday, and the coin's of the weekend, are final a day later.
        (datetime(2026, 11, 27, 23, tzinfo=UTC), date(2026, 11, 26)),
        (datetime(2026, 11, 28, tzinfo=UTC), date(2026, 11, 27)),
        (datetime(2026, 11, 28, 23, tzinfo=UTC), date(2026, 11, 27)),
        (datetime(2026, 11, 29, tzinfo=UTC), date(2026, 11, 28)),
    ],
)
def test_a_row_is_final_when_the_next_day_has_begun(now: datetime, final: date) -> None:
    market = Market(calendar=open_calendar("record", NEXT_DAY), own_days=True)
    coin = np.arange(np.datetime64("2026-01-01"), np.datetime64(now.date()) + 1)
    found = a_reading(
        with_dates("coin", coin), with_dates("stock", every("weekdays")), market=market, now=now
    )

    assert found.as_of == now.date()
    assert found.last_final == final
    assert found.final_through(now) == final


@pytest.mark.slow
def test_a_declared_exchange_closes_its_rows_and_an_inferred_one_does_not() -> None:
    market = Market(calendar=open_calendar("record", NEXT_DAY), own_days=True)
    dates = open_calendar("XNYS").sessions(FIRST, date(2026, 11, 25))
    declared = with_dates("stock", dates, calendar="XNYS")
    evening = datetime(2026, 11, 25, 21, tzinfo=UTC)

    assert a_reading(declared, market=market, now=evening).last_final == date(2026, 11, 25)
    inferred = a_reading(with_dates("stock", dates), market=market, now=evening)
    assert inferred.calendars["stock"].name == "XNYS"
    assert inferred.last_final == date(2026, 11, 24)


@pytest.mark.slow
def test_what_check_says_of_calendars_and_of_the_daily_checks_time() -> None:
    market = Market(calendar=open_calendar("record", NEXT_DAY), own_days=True)
    found = a_reading(
        with_dates("alpha", every("XNYS"), calendar="XNYS"),
        with_dates("coin", DAYS),
        market=market,
    )
    zone = ZoneInfo("UTC")

    assert finality_notes(found.calendars, daily=time(17), now=NOW, zone=zone) == [
        "alpha: XNYS (declared), 252 rows a year, rows are final at the close of XNYS",
        "coin: 24/7 (inferred since 2026-11-28), 365 rows a year, rows are final when the next "
        "day begins in UTC",
        "17:00 UTC is before the close of XNYS: this judges yesterday; 21:30 would judge today",
        "17:00 UTC is before the day's rows are final: this judges yesterday; "
        "ALERT_SESSION_CLOSE says when a day closes earlier",
    ]
    tokyo = ZoneInfo("Asia/Tokyo")
    assert finality_notes(found.calendars, daily=time(16), now=NOW, zone=tokyo)[-2:] == [
        "16:00 Asia/Tokyo is before the close of XNYS: this judges yesterday",
        "16:00 Asia/Tokyo is before the day's rows are final: this judges yesterday; "
        "ALERT_SESSION_CLOSE says when a day closes earlier",
    ]
    closed = a_reading(with_dates("coin", DAYS), market=MARKET)
    assert finality_notes(closed.calendars, daily=time(17), now=NOW, zone=zone) == [
        "coin: 24/7 (inferred since 2026-11-28), 365 rows a year, rows are final at 17:00 UTC"
    ]
    late = Market(calendar=open_calendar("record", Closing(at=time(20))), own_days=True)
    assert finality_notes(
        a_reading(with_dates("coin", DAYS), market=late).calendars,
        daily=time(17),
        now=NOW,
        zone=zone,
    )[1:] == [
        "17:00 UTC is before the day's rows are final: this judges yesterday; "
        "20:30 would judge today"
    ]
