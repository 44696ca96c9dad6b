"""Notes on rows that are valid and look like a mistake; never a fault."""

from dataclasses import replace

import numpy as np
import pytest

from perf_alerts_dagster.records.model import Dates, StrategyRecord
from perf_alerts_dagster.records.sources.suspicions import suspicions
from perf_alerts_tests.builders import a_record, weekdays

CHANCE = np.random.default_rng(3)


def drawn(volatility: float, per_year: float, dates: Dates) -> StrategyRecord:
    returns = CHANCE.standard_t(4, len(dates)) / np.sqrt(2) * volatility / np.sqrt(per_year)
    return a_record(np.maximum(returns, -0.9), dates=dates)


def every(days: int, count: int = 300) -> Dates:
    return np.datetime64("2015-01-02") + np.arange(count) * np.timedelta64(days, "D")


@pytest.mark.parametrize(
    ("volatility", "per_year", "days"),
    [(0.6, 365, 1), (1.0, 365, 1), (0.6, 52, 7), (0.6, 12, 30), (0.05, 365, 1), (0.4, 4, 91)],
)
def test_the_returns_of_coins_and_of_slow_books_are_no_percent_numbers(
    volatility: float, per_year: float, days: int
) -> None:
    assert suspicions(drawn(volatility, per_year, every(days))) == []


@pytest.mark.parametrize(("per_year", "days"), [(365, 1), (52, 7), (12, 30)])
@pytest.mark.parametrize("volatility", [0.04, 0.15])
def test_percent_numbers_are_noted_at_any_spacing(
    volatility: float, per_year: float, days: int
) -> None:
    record = drawn(volatility, per_year, every(days))
    (note,) = suspicions(replace(record, returns=100 * record.returns))

    assert note.startswith("trend: live returns look like percent numbers (median size of a")
    assert note.endswith("): 0.01 means 1 %")


def test_each_segment_is_looked_at_by_itself() -> None:
    fine, wrong = drawn(0.1, 252, every(1)), drawn(10.0, 252, every(1))
    record = replace(
        fine,
        dates=every(1, 600),
        returns=np.concatenate([fine.returns, wrong.returns]),
        live=np.repeat([True, False], 300),
    )
    (note,) = suspicions(record)

    assert "backtest returns look like percent" in note


def test_profits_in_another_unit_than_the_capital_are_noted() -> None:
    record = drawn(10.0, 252, every(1))
    (note,) = suspicions(replace(record, pnl=record.returns, capital=np.ones(300)))

    assert "live pnl looks too large for its capital" in note


@pytest.mark.parametrize("change", [-0.5, -0.501, -2 / 3, -0.75, -0.8, -0.9, 1.0, 2.0])
def test_one_return_of_a_splits_size_is_noted(change: float) -> None:
    returns = np.full(100, 0.01)
    returns[40] = change
    (note,) = suspicions(a_record(returns, dates=weekdays(100)))

    assert note == (
        f"trend: unadjusted split? The return of {weekdays(100)[40]} is {100 * change:.1f} %"
    )


@pytest.mark.parametrize("changes", [[-0.47], [-0.5, -0.3], [0.5]])
def test_other_large_returns_are_no_split(changes: list[float]) -> None:
    returns = np.full(100, 0.01)
    returns[40 : 40 + len(changes)] = changes

    assert suspicions(a_record(returns, dates=weekdays(100))) == []


def with_capital(*newest: float) -> StrategyRecord:
    capital = np.concatenate([np.full(30, 1000.0), newest])
    return replace(
        a_record(np.zeros(len(capital)), dates=weekdays(len(capital))),
        pnl=np.zeros(len(capital)),
        capital=capital,
    )


@pytest.mark.parametrize(
    ("capital", "said"),
    [
        (1500.0, "went from 1,000.00 to 1,500.00"),
        (700.0, "went from 1,000.00 to 700.00"),
    ],
)
def test_a_jump_of_capital_is_noted_with_both_values_and_the_day(capital: float, said: str) -> None:
    (note,) = suspicions(with_capital(capital))

    assert said in note
    assert str(weekdays(31)[-1]) in note


@pytest.mark.parametrize("newest", [[1250.0], [0.0, 1000.0], [1500.0] * 21])
def test_smaller_idle_and_older_jumps_are_not(newest: list[float]) -> None:
    assert suspicions(with_capital(*newest)) == []
