"""How soon each daily rule would see what it is there for, on simulated strategies gone bad."""

from collections.abc import Mapping, Sequence

import numpy as np

from perf_alerts_dagster.domain.fan import Fan
from perf_alerts_dagster.domain.monitors import WARM_UP, YEAR, Counts, Monitors, Watch
from perf_alerts_dagster.domain.record import Floats
from perf_alerts_dagster.domain.residuals import Floats32, Residuals
from perf_alerts_dagster.domain.simulation import Batch, Draws, Walk, batch, chunks, drifts

# Fewer paths than for the healthy years do for a chance that is read in per cent.
PATHS = 1_000
# What a rule is there to see: no edge any more, or 1.5 times the volatility.
WILD = 1.5
_DULL = tuple(watch for watch in Watch if watch is not Watch.EXCEEDANCES)


def told_by_day(
    strategies: Sequence[Residuals],
    bands: Sequence[Fan],
    draws: Draws,
    told: Mapping[str, Floats32],
) -> dict[str, Floats]:
    """Share of sick paths that were told by each day (252, S), by rule.

    `told` (S) is the badness from which a rule tells. The change comes after a healthy warm-up;
    for the band and the CUSUM, which begin with the projection and with live, on the first day.
    """
    given = batch(strategies)
    quiet: dict[str, list[Counts]] = {}
    count = min(PATHS, draws.paths)
    for paths in chunks(count, given.size):
        shape = (paths.stop - paths.start, given.size)
        dull = Monitors(strategies, bands, shape=shape, watched=_DULL)
        wild = Monitors(strategies, bands, shape=shape, watched=[Watch.EXCEEDANCES])
        for rule, days in _quiet_days(given, draws, paths, dull, wild, told).items():
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
    told: Mapping[str, Floats32],
) -> dict[str, Counts]:
    """Days before each path (c, S) is told, by rule; 252 where it never is."""
    walk, drift = Walk(given, draws, paths), drifts(given, draws, paths)
    no_edge = drift - given.mean
    early, late, rough = (np.empty_like(drift) for _ in range(3))
    limits = {rule: Monitors.limit(rule, badness) for rule, badness in told.items()}
    is_quiet = {rule: np.ones(drift.shape, dtype=bool) for rule in told}
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
