"""Calibration: how bad each rule's statistic gets in the strategy's own healthy years.

Healthy years are simulated from the strategy's own reference. Of each rule the worst value of a
year is kept: `p_year` of an observed value is the share of healthy years that are at least as
bad at any time. The same walk without the drift, or with 1.5 times the volatility, gives the
rule's power: how soon it would see the change that it is there for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from perf_alerts_dagster.projections.bands import Fan
from perf_alerts_dagster.projections.detection_power import WILD, notified_by_day, wild_curve
from perf_alerts_dagster.projections.monitors import (
    COUNTED,
    CUSUM_YEARS,
    STATISTICS,
    TAIL_RULE,
    YEAR,
    Monitors,
)
from perf_alerts_dagster.projections.simulation import Draws, Walk, batch, chunks, drifts
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import Floats32, Residuals
from perf_alerts_dagster.statistics.quantiles import quantiles

PATHS = 2_000
# Days that the power is stated for.
SOON = 126
LIFE = YEAR * CUSUM_YEARS
# The shares of healthy years at which the worst values are kept: 101, dense where it matters.
TAILS = tuple(
    np.unique(
        np.concatenate([[0.0], np.geomspace(0.0005, 0.05, 41), np.linspace(0.05, 1.0, 60)])
    ).tolist()
)
_FROM_THE_TOP = tuple(1.0 - share for share in TAILS)
_STRATEGIES = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """One strategy's healthy years.

    `worst` maps a rule to its badness (larger is worse) at `TAILS`. `notified` is the badness from
    which a warning is notified. `power` is the chance of that within 126 days of the rule's own
    alternative, `half` the days until that chance is one half, NaN where a year is not enough.
    `union` is the share of healthy years in which any of the rules notifies, the CUSUM in its
    first year of life.
    """

    worst: Mapping[str, Floats]
    notified: Mapping[str, float]
    power: Mapping[str, float]
    half: Mapping[str, float]
    union: float

    def p_year(self, rule: str, badness: float) -> float:
        """Share of healthy years in which the rule is at least this bad at any time."""
        rising, shares = self.worst[rule][::-1], np.asarray(TAILS)[::-1]
        position = int(np.searchsorted(rising, badness, side="left"))
        if position == 0:
            return 1.0
        # Beyond every simulated year, the share is below the resolution of so many years.
        minimum = 1.0 / (PATHS + 1)
        if position == len(rising):
            return minimum
        if rising[position] == badness:
            # A count is reached by all years of that count.
            return max(float(shares[position]), minimum)
        part = (badness - rising[position - 1]) / (rising[position] - rising[position - 1])
        return max(
            float(shares[position - 1] + part * (shares[position] - shares[position - 1])), minimum
        )

    def badness_at(self, rule: str, share: float) -> float:
        """The badness that this share of healthy years reaches."""
        return float(np.interp(share, TAILS, self.worst[rule]))

    def days_to_half(self, rule: str) -> float | None:
        """Days until the chance of a notification is one half; None where a year is not enough."""
        days = self.half.get(rule, math.nan)
        return None if math.isnan(days) else days

    def false_alarm_rate(self, rule: str) -> float:
        """Share of healthy years in which the rule notifies."""
        return self.p_year(rule, self.notified[rule])


def calibrate(
    strategies: Sequence[Residuals],
    bands: Sequence[Fan],
    draws: Draws,
    *,
    budget: float,
    documented: Mapping[str, float],
) -> list[Calibration]:
    """Calibrate strategies together, along shared draws; none depends on the others.

    Args:
        strategies: Their filtered reference segments.
        bands: Their launch projections' fans.
        draws: Of at least `LIFE` days.
        budget: Share of healthy years in which a warning may be notified.
        documented: Minimum badness of a rule's documented warning; a rule that is not named has
            none.

    Raises:
        ValueError: the draws are shorter than `LIFE`.
    """
    if draws.horizon < LIFE:
        raise ValueError(f"the draws hold {draws.horizon} days, fewer than {LIFE}")
    calibrations: list[Calibration] = []
    for first in range(0, len(strategies), _STRATEGIES):
        part = slice(first, first + _STRATEGIES)
        calibrations += _some(strategies[part], bands[part], draws, budget, documented)
    return calibrations


def _some(
    strategies: Sequence[Residuals],
    bands: Sequence[Fan],
    draws: Draws,
    budget: float,
    documented: Mapping[str, float],
) -> list[Calibration]:
    given = batch(strategies)
    worst: dict[str, Floats32] = {}
    for paths in chunks(draws.paths, given.size):
        monitors = Monitors(strategies, bands, shape=(_length(paths), given.size))
        walk, drift = Walk(given, draws, paths), drifts(given, draws, paths)
        for day in range(LIFE):
            returns = walk.step(day)
            returns += drift
            monitors.see(returns, day)
        for rule, values in monitors.worst.items():
            kept = worst.setdefault(rule, np.empty((given.size, draws.paths), dtype=np.float32))
            kept[:, paths] = values.T
    notified = {
        rule: np.maximum(_rarer(values, budget), documented.get(rule, -np.inf)).astype(np.float32)
        for rule, values in worst.items()
    }
    curves = notified_by_day(strategies, bands, draws, notified)
    curves[TAIL_RULE] = np.stack(
        [
            wild_curve(np.sort(residuals.standardised), budget, stretch=WILD)
            for residuals in strategies
        ],
        axis=1,
    )
    union = _union(worst, notified, budget)
    # A count must stay the very number that it is.
    tails = {
        rule: np.quantile(values.astype(np.float64), _FROM_THE_TOP, axis=1).T
        if rule in COUNTED
        else quantiles(values, _FROM_THE_TOP)
        for rule, values in worst.items()
    }
    return [
        Calibration(
            worst={rule: values[place] for rule, values in tails.items()},
            notified={rule: float(values[place]) for rule, values in notified.items()},
            power={rule: float(curve[SOON - 1, place]) for rule, curve in curves.items()},
            half={rule: _half(curve[:, place]) for rule, curve in curves.items()},
            union=float(union[place]),
        )
        for place in range(given.size)
    ]


def _union(
    worst: Mapping[str, Floats32],
    notified: Mapping[str, Floats32],
    budget: float,
) -> Floats:
    """Share of healthy years (S) in which any rule notifies.

    Those of the daily exceedance, the budget, are added as if they came by themselves.
    """
    notifies = [
        values >= notified[rule][:, None]
        for rule, values in worst.items()
        if STATISTICS[rule].in_union
    ]
    share: Floats = 1.0 - (1.0 - np.any(notifies, axis=0).mean(axis=1)) * (1.0 - budget)
    return share


def _rarer(values: Floats32, budget: float) -> Floats32:
    """The minimum badness (S) that at most `budget` of the years (S, B) reach; counts have ties."""
    allowed = int(budget * values.shape[1])
    place = values.shape[1] - 1 - allowed
    ranked = np.partition(values, place, axis=1)
    return np.nextafter(ranked[:, place], np.float32(np.inf), dtype=np.float32)


def _half(curve: Floats) -> float:
    reached = np.flatnonzero(curve >= 0.5)
    return float(reached[0] + 1) if len(reached) else float("nan")


def _length(paths: slice) -> int:
    return int(paths.stop - paths.start)
