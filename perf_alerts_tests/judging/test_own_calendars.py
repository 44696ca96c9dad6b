"""Strategies of different calendars beside each other: none silences another."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from perf_alerts_dagster.core.alerts import BY_NAME, DAILY_PNL_CHECK, Alert
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement, Outcome
from perf_alerts_dagster.judging.judge import Judge
from perf_alerts_dagster.judging.limits import limit_book
from perf_alerts_dagster.records.model import Dates, RecordsSource, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.reading import Market, Reading, read
from perf_alerts_dagster.records.sessions import open_calendar
from perf_alerts_dagster.records.sources.open import TableNames, open_records
from perf_alerts_tests.builders import a_record, noise
from perf_alerts_tests.fakes import FakeRecordsSource

CASES = Path(__file__).parents[1] / "records" / "cases"
THRESHOLDS = BY_NAME["performance_threshold_check"]
EXCHANGES = ("XNYS", "XTKS", "XSHG", "XLON")
# Each row is final when the next day has begun, as where nothing is set.
MARKET = Market(calendar=open_calendar("record"), own_days=True)


def a_reading(source: RecordsSource, now: datetime, as_of: date | None = None) -> Reading:
    return read(source, MARKET, as_of=as_of, now=now, timezone=ZoneInfo("UTC"))


def judged(reading: Reading, alert: Alert = DAILY_PNL_CHECK) -> Judgement:
    return Judge(
        book=limit_book({}, {}), max_lag_sessions=2, budgets=Budgets(), settings_version="test"
    ).judge(alert, reading, reading.as_of, run_id="run", now=datetime(2026, 1, 1, tzinfo=UTC))


def rule(judgement: Judgement, strategy: str, name: str) -> Evaluation:
    (found,) = [
        one for one in judgement.evaluations if (one.strategy, one.rule) == (strategy, name)
    ]
    return found


def a_desk(*records: StrategyRecord) -> FakeRecordsSource:
    return FakeRecordsSource(
        TrackRecords(source="desk", strategies={one.strategy: one for one in records})
    )


def book(name: str, dates: Dates, **changes: Any) -> StrategyRecord:
    """Half backtest and half live."""
    returns = noise(len(dates), seed=sum(name.encode()))
    half = len(dates) // 2
    return a_record(returns[half:], backtest=returns[:half], dates=dates, strategy=name, **changes)


def opened(path: Path) -> RecordsSource:
    tables = TableNames(daily="daily", trades="trades", strategies="strategies", trials=None)
    return open_records(str(path), shown=str(path), tables=tables, columns={})


def test_a_stock_beside_a_coin_is_judged_as_if_it_were_alone(tmp_path: Path) -> None:
    last, now = date(2026, 6, 18), datetime(2026, 6, 19, 12, tzinfo=UTC)
    alone = tmp_path / "alone.csv"
    lines = (CASES / "coin_and_stock.csv").read_text().splitlines()
    alone.write_text("\n".join(line for line in lines if not line.startswith("coin")) + "\n")

    both = judged(a_reading(opened(CASES / "coin_and_stock.csv"), now, last), THRESHOLDS)
    single = judged(a_reading(opened(alone), now, last), THRESHOLDS)

    sharpe = rule(both, "stock", "rolling_sharpe")
    assert sharpe == rule(single, "stock", "rolling_sharpe")
    assert sharpe.outcome is not Outcome.INSUFFICIENT_DATA
    assert rule(both, "coin", "rolling_sharpe").outcome is not Outcome.INSUFFICIENT_DATA


def test_a_weekly_book_is_annualised_with_its_own_rows_per_year() -> None:
    reading = a_reading(opened(CASES / "weekly_rs.csv"), datetime(2026, 11, 28, 12, tzinfo=UTC))

    found = rule(judged(reading, THRESHOLDS), "w", "rolling_sharpe")
    assert (found.outcome, found.severity) == (Outcome.BREACH, Severity.CRITICAL)
    assert found.value == pytest.approx(0.235, abs=5e-4)


def test_a_weekly_book_beside_a_daily_one_is_no_gap_and_not_late() -> None:
    weekly = book("weekly", np.arange("2018-11-16", "2026-11-27", 7, dtype="M8[D]"))
    daily = book("daily", open_calendar("weekdays").sessions(date(2023, 1, 2), date(2026, 11, 26)))
    # Thursday: the week's row is of last Friday.
    judgement = judged(a_reading(a_desk(weekly, daily), datetime(2026, 11, 27, 12, tzinfo=UTC)))

    for name in ("weekly", "daily"):
        outcomes = {one.outcome for one in judgement.evaluations if one.strategy == name}
        assert Outcome.NO_DATA not in outcomes
        assert rule(judgement, name, "no_data").value == 0.0
        assert rule(judgement, name, "rolling_sharpe").outcome is not Outcome.INSUFFICIENT_DATA


@pytest.mark.slow
@pytest.mark.parametrize(
    "day",
    [
        # After Golden Week in China and in Japan, Chinese New Year, and Christmas.
        date(2025, 10, 9),
        date(2026, 5, 7),
        date(2026, 2, 24),
        date(2026, 2, 25),
        date(2025, 12, 29),
        # In the middle of them.
        date(2025, 10, 6),
        date(2026, 5, 5),
        date(2026, 2, 19),
        date(2025, 12, 26),
    ],
)
def test_long_holidays_of_one_exchange_are_neither_gaps_nor_late(day: date) -> None:
    first, last = day - timedelta(days=3 * 365), day - timedelta(days=1)
    books = [book(code, open_calendar(code).sessions(first, last)) for code in EXCHANGES]
    reading = a_reading(
        a_desk(*books, book("coin", open_calendar("24/7").sessions(first, last))),
        datetime.combine(day, datetime.min.time(), tzinfo=UTC).replace(hour=12),
    )
    judgement = judged(reading)

    assert {name: one.name for name, one in reading.calendars.items() if name != "ALL"} == {
        **{code: code for code in EXCHANGES},
        "coin": "24/7",
    }
    assert reading.last_final == last
    for name, record in reading.records.strategies.items():
        assert np.array_equal(reading.own_sessions(name), record.dates)
        assert rule(judgement, name, "no_data").value == 0.0
    assert Outcome.NO_DATA not in {one.outcome for one in judgement.evaluations}
    assert not [one for one in judgement.evaluations if "have no row" in one.message]


def test_ten_sparse_books_of_forty_are_no_storm() -> None:
    days = open_calendar("weekdays").sessions(date(2023, 11, 27), date(2026, 11, 26))
    daily = [book(f"daily{number}", days) for number in range(30)]
    rng = np.random.default_rng(7)
    # Active on a day in ten; the newest rows are days or weeks old.
    sparse = [book(f"sparse{number}", days[rng.random(len(days)) < 0.1]) for number in range(10)]

    judgement = judged(a_reading(a_desk(*daily, *sparse), datetime(2026, 11, 27, 12, tzinfo=UTC)))

    assert not [one for one in judgement.evaluations if one.outcome is Outcome.NO_DATA]
    assert not [
        one
        for one in judgement.evaluations
        if one.rule == "stale_data" and one.outcome is Outcome.BREACH
    ]


@pytest.mark.parametrize(("rows", "severity"), [(100, Severity.WARNING), (300, Severity.CRITICAL)])
def test_the_late_rows_of_a_young_strategy_are_stale_and_not_critical(
    rows: int, severity: Severity
) -> None:
    days = open_calendar("weekdays").sessions(date(2023, 11, 27), date(2026, 11, 26))
    late = book("late", days[-rows - 5 : -5])
    judgement = judged(
        a_reading(a_desk(late, book("trend", days)), datetime(2026, 11, 27, 12, tzinfo=UTC))
    )

    found = rule(judgement, "late", "no_data")
    assert (found.outcome, found.severity, found.value) == (Outcome.NO_DATA, severity, 5.0)


def test_a_calendar_that_is_not_ordinary_is_part_of_the_datas_hash() -> None:
    days = open_calendar("weekdays").sessions(date(2023, 11, 27), date(2026, 11, 26))
    plain = book("trend", days)
    declared = book("trend", days, calendar="24/7")
    assumed = book("trend", days, calendar="weekdays")
    now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    hashes = [judged(a_reading(a_desk(one), now)).data_hash for one in (plain, assumed, declared)]

    assert hashes[0] == hashes[1] != hashes[2]
