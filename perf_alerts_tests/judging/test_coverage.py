"""What a strategy is judged by now, and what it is judged by from when on."""

from datetime import date

from perf_alerts_dagster.judging.coverage import Coverage, coverage_of
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_tests.builders import a_record, noise, trades, weekdays
from perf_alerts_tests.executions.trading_desk import judge

EXCEEDANCES = ("daily exceedance", "consecutive exceedances", "exceedance rate")
RUNS = ("flat run", "repeated P&L", "volatility shift")
DECAY = (
    "mean shortfall of 126 sessions",
    "mean shortfall of 252 sessions",
    "decay since live began",
)
PROJECTED = ("interval breach", "P&L deviation", *DECAY)


def coverage(record: StrategyRecord) -> Coverage:
    return coverage_of(record, judge(record).evaluations)


def test_a_desk_without_a_backtest_learns_what_is_judged_from_when() -> None:
    # Weekdays from 2023-01-02 on: the 40th is 2023-02-24.
    assert coverage(a_record(noise(40))) == Coverage(
        live=40,
        backtest=0,
        now=("data", "drawdown"),
        later=(
            (63, date(2023, 3, 28), ("rolling Sharpe ratio",)),
            (76, date(2023, 4, 15), ("Sharpe degradation",)),
            (282, date(2024, 1, 29), EXCEEDANCES),
            (756, date(2025, 11, 22), PROJECTED),
        ),
        lacking=(("252 backtest rows are needed", RUNS),),
    )


def test_each_rule_is_judged_from_the_row_that_is_named() -> None:
    found = coverage(a_record(noise(10)))

    for rows, _, titles in found.later:
        before, then = (coverage(a_record(noise(count))).now for count in (rows - 1, rows))
        assert not set(titles) & set(before)
        # A projection is issued in its first row; what it projects is compared with later ones.
        assert set(titles) - set(PROJECTED) <= set(then)


def test_a_backtest_leaves_little_to_wait_for() -> None:
    found = coverage(a_record(noise(10), backtest=noise(600)))

    assert [rows for rows, _, _ in found.later] == [20, 21, 63, 76]
    assert [titles for _, _, titles in found.later][:2] == [
        ("exceedance rate",),
        ("P&L deviation",),
    ]
    assert found.lacking == ()


def test_what_time_does_not_bring_is_named() -> None:
    short = a_record(noise(80), backtest=noise(100))
    few = a_record(
        noise(80), backtest=noise(300), trades=trades([1.0, -1.0], exits=weekdays(380)[-2:])
    )
    flat = coverage(a_record([0.0] * 800))

    assert coverage(short).lacking == (
        ("252 backtest rows are needed", (*PROJECTED, "gap since launch", *RUNS)),
    )
    assert coverage(few).lacking == (
        ("20 closed live trades are needed", ("win rate", "profit factor", "losing run")),
    )
    assert any("do not vary" in what for what, _ in flat.lacking)


def test_the_day_follows_the_distance_of_the_strategys_own_rows() -> None:
    weekly = a_record(noise(40), dates=weekdays(200)[::5])
    (first, *_) = coverage(weekly).later
    (alone, *_) = coverage(a_record([0.01])).later
    (young, *_) = coverage(a_record([0.01, -0.02, 0.01])).later

    # 23 more weeks after 2023-10-02.
    assert first == (63, date(2024, 3, 11), ("rolling Sharpe ratio",))
    # After a single row weekdays are assumed.
    assert alone[1] == date(2023, 3, 30)
    # 60 more rows after Wednesday 2023-01-04, a day each.
    assert young == (63, date(2023, 3, 5), ("rolling Sharpe ratio",))
