"""The limit of detection: how soon a watcher that knows both distributions sees a change.

That watcher is the CUSUM of the log likelihood ratio (Page, Biometrika 41, 1954), which is optimal
(Moustakides, Ann. Statist. 14, 1986; for Brownian motion Shiryaev 1996).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from perf_alerts_dagster.records.model import Floats

# Sessions that a power is stated for.
ROWS = 252
# States of the Markov chain; the rates that its thresholds are spread over, and how many.
_STATES = 48
_RATES = np.geomspace(0.9, 1e-4, 14)
_STEPS = 60
_normal = NormalDist().cdf
Law = Callable[[float], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A change of the distribution of independent normal rows.

    `information` is the mean log likelihood ratio of a row after the change; `healthy` and
    `changed` are the distribution functions of that ratio before and after it.
    """

    information: float
    healthy: Law
    changed: Law


def mean_shift(fall: float, rows_per_year: float) -> Shift:
    """The annual Sharpe ratio falls by `fall`, above 0."""
    deviation = fall / math.sqrt(rows_per_year)
    information = deviation * deviation / 2.0
    return Shift(
        information=information,
        healthy=lambda ratio: _normal((ratio + information) / deviation),
        changed=lambda ratio: _normal((ratio - information) / deviation),
    )


def volatility_shift(times: float) -> Shift:
    """The volatility becomes so many times as high, above 1."""
    slope, log = (1.0 - times**-2) / 2.0, math.log(times)

    def law(scale: float) -> Law:
        # The ratio is slope x^2 - log.
        return lambda ratio: 2.0 * _normal(math.sqrt(max(ratio + log, 0.0) / slope) / scale) - 1.0

    return Shift(
        information=(times * times - 1.0) / 2.0 - log, healthy=law(1.0), changed=law(times)
    )


def minimal_delay(shift: Shift, rate: float, rows_per_year: float) -> float:
    """Mean rows from the change to the alarm: (e^-h + h - 1) / I for I of a Brownian motion.

    h is the threshold at which (e^h - h - 1) / I rows lie between false alarms.

    Args:
        shift: The change.
        rate: Share of healthy years in which there is a false alarm, above 0 and below 1.
        rows_per_year: Rows of a year.
    """
    threshold = _threshold(shift, rate, rows_per_year)
    return (math.expm1(-threshold) + threshold) / shift.information


def _threshold(shift: Shift, rate: float, rows_per_year: float) -> float:
    between = shift.information * rows_per_year / -math.log1p(-rate)
    # Newton's steps from above the root of a convex function stay above it.
    threshold = math.log1p(between + math.sqrt(2.0 * between)) + 1.0
    for _ in range(_STEPS):
        rise = math.expm1(threshold)
        threshold -= (rise - threshold - between) / rise
    return threshold


def best_power(shift: Shift, rates: Floats, rows_per_year: int, rows: int = ROWS) -> Floats:
    """Probability of an alarm within so many rows of the change, for each rate of false alarms.

    By a Markov chain (Brook, Evans, Biometrika 59, 1972) that begins with the change, as it
    begins with a healthy year.

    Args:
        shift: The change.
        rates: Shares of healthy years (n) with a false alarm, each above 0 and below 1.
        rows_per_year: Rows of a year.
        rows: Rows after the change.
    """
    thresholds = np.array([_threshold(shift, rate, rows_per_year) for rate in _RATES])
    healthy = _survival(thresholds, shift.healthy, rows_per_year)
    changed = _survival(thresholds, shift.changed, rows)
    # The log of one hazard is nearly linear in that of the other.
    wanted = np.log(-np.log1p(-np.asarray(rates)))
    hazards = np.interp(wanted, _log_hazard(healthy)[::-1], _log_hazard(changed)[::-1])
    found: Floats = -np.expm1(-np.exp(hazards))
    return found


def _log_hazard(survival: Floats) -> Floats:
    hazard: Floats = np.log(np.maximum(-np.log(np.clip(survival, 1e-300, 1.0)), 1e-12))
    return hazard


def _survival(thresholds: Floats, law: Law, rows: int) -> Floats:
    """Probability that the chain from 0 stays below each threshold (n) for so many rows."""
    widths = thresholds * 2.0 / (2 * _STATES - 1)
    # The distribution at every half step between two states (n, 2 _STATES).
    halves = np.arange(-_STATES, _STATES) + 0.5
    reached = np.array([[law(width * half) for half in halves] for width in widths])
    ahead = np.arange(_STATES) - np.arange(_STATES)[:, np.newaxis] + _STATES
    moves = reached[:, ahead] - reached[:, ahead - 1]
    moves[:, :, 0] = reached[:, ahead[:, 0]]
    survival: Floats = np.linalg.matrix_power(moves, rows)[:, 0].sum(axis=1)
    return survival
