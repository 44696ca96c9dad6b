"""Days without profit or loss stay so in healthy and in changed lives."""

import numpy as np
import pytest

from perf_alerts_dagster.projections.lives import (
    NO_CHANGE,
    Change,
    Life,
    draw_lives,
    life_of,
    returns_of,
)
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.decay import decay_reference
from perf_alerts_dagster.statistics.ewma_volatility import Floats32, filter_returns

ROWS, DAYS, LIVES = 1_000, 300, 480


def record(flat: float) -> Floats:
    rng = np.random.default_rng(17)
    trades = rng.random(ROWS) >= flat
    return np.where(trades, rng.normal(0.002, 0.012, ROWS), 0.0)


def healthy(returns: Floats) -> Life:
    known, decay = filter_returns(returns), decay_reference(np.log1p(returns))
    assert known is not None
    assert decay is not None
    return life_of(returns, known, decay)


def walked(life: Life, change: Change) -> Floats32:
    returns = np.empty((DAYS, LIVES), dtype=np.float32)
    returns_of(life, draw_lives(1, LIVES, DAYS), change, returns)
    return returns


@pytest.mark.parametrize("flat", [0.3, 0.6, 0.9])
def test_a_flat_day_stays_flat_whatever_the_mean(flat: float, by_kernels: str) -> None:
    returns = record(flat)
    life = healthy(returns)

    for change in (NO_CHANGE, Change(lost_mean=1.0), Change(fall=0.001), Change(stretch=1.5)):
        assert (walked(life, change) == 0.0).mean() == pytest.approx(flat, abs=0.05)


@pytest.mark.parametrize("flat", [0.0, 0.3, 0.6, 0.9])
def test_the_days_with_a_move_carry_the_whole_mean(flat: float) -> None:
    returns = record(flat)
    life, error = healthy(returns), float(np.log1p(returns).std()) / np.sqrt(DAYS * LIVES)

    before, after = (walked(life, change) for change in (NO_CHANGE, Change(fall=0.001)))

    assert float(before.mean()) == pytest.approx(life.mean, abs=12.0 * error)
    assert float(before.mean() - after.mean()) == pytest.approx(0.001, rel=0.1)


def test_a_strategy_that_trades_every_day_has_the_mean_on_every_day() -> None:
    life = healthy(record(0.0))

    assert (life.parts == 1.0).all()
