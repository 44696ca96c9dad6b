import numpy as np
import pytest

from perf_alerts_dagster.records.model import Trades
from perf_alerts_dagster.statistics.scores.legacy_scores import (
    LegacyMonth,
    legacy_scores,
    months_from_trades,
)


def month_from_sharpe(trades: int, pnl: float, sharpe: float) -> LegacyMonth:
    """A month as the earlier reports printed it."""
    mean = pnl / trades
    return LegacyMonth(trades=trades, mean=mean, deviation=abs(mean / sharpe))


# April to September 2025: trades, P&L in USD, Sharpe ratio per trade.
PUBLISHED = [
    month_from_sharpe(20, -8398, -0.281),
    month_from_sharpe(32, 52595, 0.255),
    month_from_sharpe(37, 26099, 0.199),
    month_from_sharpe(15, 17759, 0.212),
    month_from_sharpe(15, -4459, -0.481),
    month_from_sharpe(36, -4393, -0.167),
]


def test_the_earlier_systems_three_numbers_are_reproduced() -> None:
    scores = legacy_scores(PUBLISHED)

    assert scores is not None
    assert scores.stability == pytest.approx(34.42, abs=0.005)
    assert scores.validation == pytest.approx(17.37, abs=0.005)
    assert scores.overfitting == pytest.approx(0.633, abs=0.0005)


def test_fewer_than_four_months_have_no_score() -> None:
    assert legacy_scores(PUBLISHED[:3]) is None


def test_a_division_by_zero_gives_no_number() -> None:
    flat = [LegacyMonth(trades=5, mean=0.0, deviation=0.0)] * 4

    scores = legacy_scores(flat)

    assert scores is not None
    assert (scores.stability, scores.validation, scores.overfitting) == (None, None, None)


def trades_on(days: list[str], pnl: list[float]) -> Trades:
    exits = np.array(days, dtype="datetime64[D]")
    return Trades(exits=exits, entries=exits, pnl=np.array(pnl), cost=np.zeros(len(pnl)))


def test_trades_are_grouped_by_the_month_of_their_exit_and_empty_months_left_out() -> None:
    trades = trades_on(["2024-12-30", "2024-12-31", "2025-02-03"], [1.0, 3.0, -2.0])

    assert months_from_trades(trades) == (
        LegacyMonth(trades=2, mean=2.0, deviation=1.0),
        LegacyMonth(trades=1, mean=-2.0, deviation=0.0),
    )


def test_no_trades_have_no_months() -> None:
    assert months_from_trades(trades_on([], [])) == ()
