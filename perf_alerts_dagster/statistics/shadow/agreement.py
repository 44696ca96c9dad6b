"""How well live agrees with its model: the figures of `measure` and of the rule's parts.

Spearman's correlation and the distance of Kolmogorov and Smirnov, each with the zone that the
P&L attribution test of the Basel framework has (MAR32: amber from .80 and .09, red from .70 and
.12 on, over 250 days). A desk's own rule book need not be Basel's: they are shown, never judged.
"""

import math

import numpy as np

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.shadow.pairs import Pairs

# The newest pairs that zones are for.
DAYS = 250
_CORRELATIONS, _DISTANCES = (0.80, 0.70), (0.09, 0.12)
_FEWEST = 3
Figure = float | int | str | None


def agreement(pairs: Pairs, *, periods_per_year: float) -> dict[str, Figure]:
    """Live against its model by name; None with fewer than three pairs, or where nothing varies.

    `mean_difference` and `tracking_error` are fractions a year, of live minus the model's P&L and
    the expected costs; `beta` is the slope of live on the model. The zones are "green", "amber" or
    "red", of the newest 250 pairs.
    """
    live, model = pairs.live, pairs.shadow
    found: dict[str, Figure] = dict.fromkeys(
        (
            "rows",
            "mean_difference",
            "tracking_error",
            "correlation",
            "beta",
            "spearman",
            "spearman_zone",
            "kolmogorov_smirnov",
            "kolmogorov_smirnov_zone",
        )
    )
    found["rows"] = len(pairs)
    if len(pairs) < _FEWEST:
        return found
    error = float(pairs.differences.std(ddof=1))
    found["mean_difference"] = float(pairs.differences.mean()) * periods_per_year
    found["tracking_error"] = error * math.sqrt(periods_per_year)
    found["correlation"], found["beta"] = _correlation(live, model), _beta(live, model)
    newest = slice(-DAYS, None)
    ranks = _correlation(_ranks(live[newest]), _ranks(model[newest]))
    distance = _distance(live[newest], model[newest])
    found["spearman"], found["kolmogorov_smirnov"] = ranks, distance
    if ranks is not None:
        found["spearman_zone"] = _zone(-ranks, [-limit for limit in _CORRELATIONS])
    found["kolmogorov_smirnov_zone"] = _zone(distance, _DISTANCES)
    return found


def _zone(value: float, limits: list[float] | tuple[float, ...]) -> str:
    # Rounded, as rounding must not decide at a limit.
    return ("green", "amber", "red")[sum(round(value, 12) > limit for limit in limits)]


def _correlation(first: Floats, second: Floats) -> float | None:
    spread = float(first.std() * second.std())
    if spread <= 0.0:
        return None
    covariance = float(((first - first.mean()) * (second - second.mean())).mean())
    return min(max(covariance / spread, -1.0), 1.0)


def _beta(live: Floats, model: Floats) -> float | None:
    correlation = _correlation(live, model)
    return None if correlation is None else correlation * float(live.std() / model.std())


def _ranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    found: Floats = (last - (counts - 1) / 2.0)[places]
    return found


def _distance(first: Floats, second: Floats) -> float:
    """The largest difference of the two shares of values up to any size."""
    every = np.concatenate([first, second])
    shares = [
        np.searchsorted(np.sort(values), every, "right") / len(values) for values in (first, second)
    ]
    return float(np.abs(shares[0] - shares[1]).max())
