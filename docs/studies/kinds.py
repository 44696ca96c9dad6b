"""Healthy strategies of ten kinds, for the studies beside this file and for tests.

Each gives simple returns (rows, N) of N strategies, whose annual Sharpe ratios are 0.3 to 3.
"""

from collections.abc import Callable

import numpy as np

from perf_alerts_dagster.records.model import Floats

YEAR = 252
SD = 0.008
# The annual Sharpe ratios of the strategies of a kind, one after the other.
SHARPES = (0.3, 0.7, 1.0, 2.0, 3.0)
Make = Callable[[np.random.Generator, int, int], Floats]


def switching(rng: np.random.Generator, rows: int, count: int, into: float, out: float) -> Floats:
    """A state (rows, N) that is entered and left with these probabilities a day."""
    drawn = rng.random((rows, count))
    states = np.empty((rows, count), dtype=bool)
    state = rng.random(count) < into / (into + out)
    for day, numbers in enumerate(drawn):
        state = np.where(state, numbers >= out, numbers < into)
        states[day] = state
    return states


def normal(rng: np.random.Generator, rows: int, count: int) -> Floats:
    """Independent normal returns."""
    return rng.standard_normal((rows, count))


def student(rng: np.random.Generator, rows: int, count: int) -> Floats:
    """Heavy tails."""
    return rng.standard_t(5, (rows, count)) / np.sqrt(5 / 3)


def autoregressive(weight: float) -> Make:
    """Normal shocks with a first autocorrelation of `weight`."""

    def make(rng: np.random.Generator, rows: int, count: int) -> Floats:
        shocks = rng.normal(0.0, np.sqrt(1 - weight**2), (rows, count))
        for day in range(1, rows):
            shocks[day] += weight * shocks[day - 1]
        return shocks

    return make


def short_volatility(rng: np.random.Generator, rows: int, count: int) -> Floats:
    """Small gains, and a loss of 8 % about once a year."""
    crashes = rng.random((rows, count)) < 1 / YEAR
    moves = rng.normal(0.0, 0.003, (rows, count))
    moves = np.where(crashes, rng.normal(-0.08, 0.015, (rows, count)), moves)
    mean = -0.08 / YEAR
    return (moves - mean) / np.sqrt(0.003**2 + (0.08**2 + 0.015**2) / YEAR - mean**2)


def regimes(rng: np.random.Generator, rows: int, count: int) -> Floats:
    """Three times as wild for about thirty of a hundred and thirty days."""
    wild = switching(rng, rows, count, 0.01, 0.03)
    return rng.standard_normal((rows, count)) * np.where(wild, 3.0, 1.0) / np.sqrt(3.0)


def jumps(rng: np.random.Generator, rows: int, count: int) -> Floats:
    """Gaps on 2 % of days, six times as wide as a day."""
    gaps = np.where(rng.random((rows, count)) < 0.02, rng.normal(0.0, 6.0, (rows, count)), 0.0)
    return (rng.standard_normal((rows, count)) + gaps) / np.sqrt(1.0 + 0.02 * 36.0)


def seasonal(rng: np.random.Generator, rows: int, count: int) -> Floats:
    """Volatility and mean by month, mean by weekday; each strategy in its own phase."""
    day = np.arange(rows)[:, np.newaxis]
    month = (day // 21 + rng.integers(0, 12, count)) % 12 * (2.0 * np.pi / 12.0)
    weekday = (day + rng.integers(0, 5, count)) % 5
    means = 0.1 * np.sin(month) + np.array([-0.1, 0.0, 0.0, 0.0, 0.1])[weekday]
    sizes = 1.0 + 0.5 * np.cos(month)
    spread = np.sqrt(1.125 + 0.005 + 0.004)
    return (rng.standard_normal((rows, count)) * sizes + means) / spread


def flat(rng: np.random.Generator, rows: int, count: int) -> Floats:
    """In the market on two days of five, a few days at a time."""
    held = switching(rng, rows, count, 0.2, 0.3)
    return np.where(held, rng.standard_t(5, (rows, count)) / np.sqrt(0.4 * 5 / 3), 0.0)


def garch(rng: np.random.Generator, rows: int, count: int) -> Floats:
    """GARCH(1, 1) with t(8) shocks."""
    shocks = rng.standard_t(8, (rows, count)) / np.sqrt(8 / 6)
    variance = np.ones(count)
    for day, shock in enumerate(shocks):
        size = np.sqrt(variance)
        variance = 0.02 + 0.06 * variance * shock**2 + 0.92 * variance
        shocks[day] = size * shock
    return shocks


KINDS: dict[str, Make] = {
    "normal": normal,
    "t(5)": student,
    "short volatility": short_volatility,
    "autocorrelation +.15": autoregressive(0.15),
    "autocorrelation -.15": autoregressive(-0.15),
    "regimes of volatility": regimes,
    "jumps": jumps,
    "seasonal": seasonal,
    "flat on 60 % of days": flat,
    "GARCH(1, 1), t(8)": garch,
}


def records(kind: str, rows: int, count: int, seed: int) -> Floats:
    """Simple returns (rows, N) of healthy strategies of a kind."""
    rng = np.random.default_rng([seed, *kind.encode()])
    # Volatility has settled after a year.
    shocks = KINDS[kind](rng, rows + YEAR, count)[YEAR:]
    sharpes = np.resize(SHARPES, count)
    drift = sharpes / np.sqrt(YEAR)
    moves = shocks != 0.0
    share = 0.4 if kind.startswith("flat") else 1.0
    returns: Floats = np.expm1(SD * np.where(moves, shocks + drift / share, 0.0))
    return returns
