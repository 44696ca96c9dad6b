"""Calibration: how bad each rule's statistic gets in the strategy's own healthy years.

Healthy years are simulated from the strategy's own reference, with the worst value of each rule
per year: `p_year` of an observed value is the share of healthy years that are at least as bad at
any time. Paths without the drift, or with 1.5 times the volatility, give the rule's power: how
soon it detects the change.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from perf_alerts_dagster.projections import simulation
from perf_alerts_dagster.projections.bands import Fan
from perf_alerts_dagster.projections.monitors import (
    COUNTED,
    CUSUM_YEARS,
    STATISTICS,
    TAIL_RULE,
    WARM_UP,
    YEAR,
    Alternative,
    Counts,
    Monitors,
)
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import NEWEST, Floats32, Residuals

# Fewer paths than for the healthy years, since power is stated in per cent.
POWER_PATHS = 1_000
# The changes that rules detect: no drift any more, or 1.5 times the volatility.
WILD = 1.5
_NO_EDGE, _WILD = (
    frozenset(
        statistic.watch for statistic in STATISTICS.values() if statistic.alternative is alternative
    )
    for alternative in Alternative
)


def notified_by_day(
    strategies: Sequence[Residuals],
    bands: Sequence[Fan],
    draws: simulation.Draws,
    notified: Mapping[str, Floats32],
) -> dict[str, Floats]:
    """Share of changed paths on which the rule has notified by each day (252, S), by rule.

    `notified` (S) is the badness from which a rule notifies. The change follows a healthy
    warm-up; for the band (from its projection on) and the CUSUM (from live on) it begins on the
    first day.
    """
    columns = simulation.batch(strategies)
    quiet: dict[str, list[Counts]] = {}
    count = min(POWER_PATHS, draws.paths)
    for paths in simulation.chunks(count, columns.size):
        shape = (paths.stop - paths.start, columns.size)
        dull = Monitors(strategies, bands, shape=shape, watched=_NO_EDGE)
        wild = Monitors(strategies, bands, shape=shape, watched=_WILD)
        for rule, days in _quiet_days(columns, draws, paths, dull, wild, notified).items():
            quiet.setdefault(rule, []).append(days)
    all_days = {rule: np.concatenate(parts).T for rule, parts in quiet.items()}
    curves = {
        rule: [np.bincount(days, minlength=YEAR + 1)[:YEAR].cumsum() / count for days in each]
        for rule, each in all_days.items()
    }
    return {rule: np.stack(each, axis=1) for rule, each in curves.items()}


def _quiet_days(
    columns: simulation.Batch,
    draws: simulation.Draws,
    paths: slice,
    dull: Monitors,
    wild: Monitors,
    notified: Mapping[str, Floats32],
) -> dict[str, Counts]:
    """Days before the notification of each path (c, S), by rule; 252 where there is none."""
    walk, drift = simulation.Walk(columns, draws, paths), simulation.drifts(columns, draws, paths)
    no_edge = drift - columns.mean
    early, late, rough = (np.empty_like(drift) for _ in range(3))
    limits = {rule: Monitors.limit(rule, badness) for rule, badness in notified.items()}
    is_quiet = {rule: np.ones(drift.shape, dtype=bool) for rule in notified}
    days: dict[str, Counts] = {}
    for day in range(WARM_UP + YEAR):
        shock, is_sick = walk.step(day), day >= WARM_UP
        np.add(shock, no_edge, out=early)
        np.add(shock, no_edge if is_sick else drift, out=late)
        dull.see(late, day, early=early)
        shock *= np.float32(WILD if is_sick else 1.0)
        np.add(shock, drift, out=rough)
        wild.see(rough, day)
        for rule, values in (*dull.now.items(), *wild.now.items()):
            begun = day if rule in Monitors.FROM_THE_FIRST_DAY else day - WARM_UP
            if 0 <= begun < YEAR:
                is_quiet[rule] &= values < limits[rule]
                waited = days.setdefault(rule, np.zeros(drift.shape, dtype=np.uint8))
                waited += is_quiet[rule].view(np.uint8)
    return days


# Share of the residuals that the tail's index is estimated from (Hill, Ann. Statist. 3, 1975).
_TAIL = 0.05
_MINIMUM = 1e-6


def yearly_share(standardised: float, residuals: Floats) -> float:
    """Probability of a day at least this bad in a healthy year, by a Pareto tail of residuals.

    `residuals` are sorted, worst first. Within the sample the share is empirical; beyond it the
    tail has Hill's index.
    """
    count = len(residuals)
    daily = float(np.searchsorted(residuals, standardised, side="right")) / count
    if daily == 0.0:
        tail = _losses(residuals)
        if len(tail) > 1:
            daily = float((tail[0] / -standardised) ** _index(tail)) / (count + 1)
    return float(1.0 - (1.0 - daily) ** YEAR)


def notified_from(residuals: Floats, budget: float) -> float:
    """The standardised return whose yearly share is the budget, at least as bad as all residuals.

    Where the yearly share of the worst residual is below the budget, it is that residual.
    """
    tail = _losses(residuals)
    if len(tail) < 2:
        return float(residuals[0])
    daily = 1.0 - (1.0 - budget) ** (1.0 / YEAR)
    times = (daily * (len(residuals) + 1)) ** (-1.0 / _index(tail))
    return -float(tail[0]) * max(float(times), 1.0)


def wild_curve(residuals: Floats, budget: float, *, stretch: float) -> Floats:
    """Probability (252) of a notification by each day after volatility rose `stretch` times.

    The EWMA volatility adapts: after d days its square has moved 1 - 0.94^d of the way.
    """
    tail = _losses(residuals)
    before = np.arange(YEAR)
    ratio = stretch / np.sqrt(1.0 + (stretch**2 - 1.0) * (1.0 - (1.0 - NEWEST) ** before))
    daily = 1.0 - (1.0 - yearly_share(notified_from(residuals, budget), residuals)) ** (1.0 / YEAR)
    index = _index(tail) if len(tail) > 1 else 0.0
    curve: Floats = 1.0 - np.cumprod(1.0 - np.minimum(daily * ratio**index, 1.0))
    return curve


def _losses(residuals: Floats) -> Floats:
    """The worst residuals as positive numbers, the worst first."""
    worst = -residuals[: max(2, int(_TAIL * len(residuals)))]
    losses: Floats = worst[worst > 0.0]
    return losses


def _index(tail: Floats) -> float:
    return 1.0 / max(float(np.log(tail[:-1] / tail[-1]).mean()), _MINIMUM)


PATHS = 2_000
# Days that the power is stated for.
SOON = 126
LIFE = YEAR * CUSUM_YEARS
# The 101 shares of healthy years at which the worst values are kept, dense in the tail.
TAILS = tuple(
    np.unique(
        np.concatenate([[0.0], np.geomspace(0.0005, 0.05, 41), np.linspace(0.05, 1.0, 60)])
    ).tolist()
)
_FROM_THE_TOP = tuple(1.0 - share for share in TAILS)
_STRATEGIES = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """The statistics of one strategy's healthy years.

    `worst` maps a rule to its badness (larger is worse) at `TAILS`. `notified` is the badness from
    which a warning is notified. `power` is its probability within 126 days of the rule's own
    alternative, `half` the days until it reaches one half, NaN where a year is not enough.
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
        # Beyond every simulated year the share is below the resolution of their number.
        minimum = 1.0 / (PATHS + 1)
        if position == len(rising):
            return minimum
        if rising[position] == badness:
            # A count is reached by all years with that count.
            return max(float(shares[position]), minimum)
        part = (badness - rising[position - 1]) / (rising[position] - rising[position - 1])
        return max(
            float(shares[position - 1] + part * (shares[position] - shares[position - 1])), minimum
        )

    def badness_at(self, rule: str, share: float) -> float:
        """The badness that a rule reaches in `share` of healthy years."""
        return float(np.interp(share, TAILS, self.worst[rule]))

    def days_to_half(self, rule: str) -> float | None:
        """Days until a notification is as likely as not; None where a year is not enough."""
        days = self.half.get(rule, math.nan)
        return None if math.isnan(days) else days

    def false_alarm_rate(self, rule: str) -> float:
        """Share of healthy years in which the rule notifies."""
        return self.p_year(rule, self.notified[rule])


def calibrate(
    strategies: Sequence[Residuals],
    bands: Sequence[Fan],
    draws: simulation.Draws,
    *,
    budget: float,
    documented: Mapping[str, float | Floats],
) -> list[Calibration]:
    """Calibrate strategies along shared draws; none depends on the others.

    Args:
        strategies: Their filtered reference segments.
        bands: Their launch projections' fans.
        draws: Of at least `LIFE` days.
        budget: Share of healthy years in which a warning may be notified.
        documented: Minimum badness of each rule's documented warning, where it has one: of all
            strategies, or of each (S).

    Raises:
        ValueError: the draws are shorter than `LIFE`.
    """
    if draws.horizon < LIFE:
        raise ValueError(f"the draws hold {draws.horizon} days, fewer than {LIFE}")
    calibrations: list[Calibration] = []
    for first in range(0, len(strategies), _STRATEGIES):
        part = slice(first, first + _STRATEGIES)
        minimum = {
            rule: np.broadcast_to(badness, len(strategies))[part]
            for rule, badness in documented.items()
        }
        calibrations += _calibrate_batch(strategies[part], bands[part], draws, budget, minimum)
    return calibrations


def _calibrate_batch(
    strategies: Sequence[Residuals],
    bands: Sequence[Fan],
    draws: simulation.Draws,
    budget: float,
    documented: Mapping[str, Floats],
) -> list[Calibration]:
    columns = simulation.batch(strategies)
    worst: dict[str, Floats32] = {}
    for paths in simulation.chunks(draws.paths, columns.size):
        monitors = Monitors(strategies, bands, shape=(paths.stop - paths.start, columns.size))
        walk = simulation.Walk(columns, draws, paths)
        drift = simulation.drifts(columns, draws, paths)
        for day in range(LIFE):
            returns = walk.step(day)
            returns += drift
            monitors.see(returns, day)
        for rule, values in monitors.worst.items():
            kept = worst.setdefault(rule, np.empty((columns.size, draws.paths), dtype=np.float32))
            kept[:, paths] = values.T
    notified = {
        rule: np.maximum(_rarer(values, budget), documented.get(rule, -np.inf)).astype(np.float32)
        for rule, values in worst.items()
    }
    curves = notified_by_day(strategies, bands, draws, notified)
    sorted_residuals = [np.sort(residuals.standardised) for residuals in strategies]
    curves[TAIL_RULE] = np.stack(
        [wild_curve(each, budget, stretch=WILD) for each in sorted_residuals], axis=1
    )
    union = _union(worst, notified, budget)
    # Counts are exact: not interpolated.
    tails = {
        rule: np.quantile(values.astype(np.float64), _FROM_THE_TOP, axis=1).T
        if rule in COUNTED
        else simulation.quantiles(values, _FROM_THE_TOP)
        for rule, values in worst.items()
    }
    return [
        Calibration(
            worst={rule: values[position] for rule, values in tails.items()},
            notified={rule: float(values[position]) for rule, values in notified.items()},
            power={rule: float(curve[SOON - 1, position]) for rule, curve in curves.items()},
            half={rule: _half(curve[:, position]) for rule, curve in curves.items()},
            union=float(union[position]),
        )
        for position in range(columns.size)
    ]


def _union(
    worst: Mapping[str, Floats32], notified: Mapping[str, Floats32], budget: float
) -> Floats:
    """Share of healthy years (S) in which any rule notifies.

    The daily exceedance is added as independent, at its budget.
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
    position = values.shape[1] - 1 - allowed
    ranked = np.partition(values, position, axis=1)
    return np.nextafter(ranked[:, position], np.float32(np.inf), dtype=np.float32)


def _half(curve: Floats) -> float:
    reached = np.flatnonzero(curve >= 0.5)
    return float(reached[0] + 1) if len(reached) else math.nan
