"""Power: how likely a rule notifies under its alternative; the tail beyond the sample."""

from collections.abc import Mapping, Sequence

import numpy as np

from perf_alerts_dagster.projections.bands import Fan
from perf_alerts_dagster.projections.monitors import (
    STATISTICS,
    WARM_UP,
    YEAR,
    Alternative,
    Counts,
    Monitors,
)
from perf_alerts_dagster.projections.simulation import Batch, Draws, Walk, batch, chunks, drifts
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import NEWEST, Floats32, Residuals

# Fewer paths than for the healthy years do for a chance that is read in per cent.
PATHS = 1_000
# What a rule is there to see: no edge any more, or 1.5 times the volatility.
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
    draws: Draws,
    notified: Mapping[str, Floats32],
) -> dict[str, Floats]:
    """Share of changed paths on which the rule has notified by each day (252, S), by rule.

    `notified` (S) is the badness from which a rule notifies. The change comes after a healthy
    warm-up; for the band and the CUSUM, which begin with the projection and with live, on the
    first day.
    """
    given = batch(strategies)
    quiet: dict[str, list[Counts]] = {}
    count = min(PATHS, draws.paths)
    for paths in chunks(count, given.size):
        shape = (paths.stop - paths.start, given.size)
        dull = Monitors(strategies, bands, shape=shape, watched=_NO_EDGE)
        wild = Monitors(strategies, bands, shape=shape, watched=_WILD)
        for rule, days in _quiet_days(given, draws, paths, dull, wild, notified).items():
            quiet.setdefault(rule, []).append(days)
    return {
        rule: np.stack(
            [
                np.bincount(days, minlength=YEAR + 1)[:YEAR].cumsum() / count
                for days in np.concatenate(parts).T
            ],
            axis=1,
        )
        for rule, parts in quiet.items()
    }


def _quiet_days(
    given: Batch,
    draws: Draws,
    paths: slice,
    dull: Monitors,
    wild: Monitors,
    notified: Mapping[str, Floats32],
) -> dict[str, Counts]:
    """Days before the notification of each path (c, S), by rule; 252 where there is none."""
    walk, drift = Walk(given, draws, paths), drifts(given, draws, paths)
    no_edge = drift - given.mean
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


_YEAR = 252
# Share of the residuals that the tail's index is estimated from (Hill, Ann. Statist. 3, 1975).
_TAIL = 0.05
_MINIMUM = 1e-6


def yearly_share(standardised: float, residuals: Floats) -> float:
    """Chance of a healthy year with a day at least this bad, by a Pareto tail of the residuals.

    `residuals` are sorted, worst first. Within the sample the empirical share counts; beyond it
    the tail's index is Hill's estimate.
    """
    count = len(residuals)
    daily = float(np.searchsorted(residuals, standardised, side="right")) / count
    if daily == 0.0:
        tail = _losses(residuals)
        if len(tail) > 1:
            daily = float((tail[0] / -standardised) ** _index(tail)) / (count + 1)
    return float(1.0 - (1.0 - daily) ** _YEAR)


def notified_from(residuals: Floats, budget: float) -> float:
    """The standardised day, worse than all `residuals`, whose yearly share is the budget.

    Where the budget is larger than that of the worst of them, it is that worst one.
    """
    tail = _losses(residuals)
    if len(tail) < 2:
        return float(residuals[0])
    daily = 1.0 - (1.0 - budget) ** (1.0 / _YEAR)
    times = (daily * (len(residuals) + 1)) ** (-1.0 / _index(tail))
    return -float(tail[0]) * max(float(times), 1.0)


def wild_curve(residuals: Floats, budget: float, *, stretch: float) -> Floats:
    """Chance (252) of a notification by each day after the volatility rose `stretch` times.

    The volatility that the days are measured in follows: after d days its square has come
    1 - 0.94^d of the way.
    """
    tail = _losses(residuals)
    before = np.arange(_YEAR)
    ratio = stretch / np.sqrt(1.0 + (stretch**2 - 1.0) * (1.0 - (1.0 - NEWEST) ** before))
    daily = 1.0 - (1.0 - yearly_share(notified_from(residuals, budget), residuals)) ** (1.0 / _YEAR)
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
