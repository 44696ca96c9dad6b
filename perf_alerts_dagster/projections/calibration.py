"""Calibration: how bad each rule's statistic gets in the strategy's own healthy lives.

Healthy lives are drawn from the strategy's own rows, with the worst value of each rule per year:
`p_year` of an observed value is the share of healthy years that are at least as bad at any time.
The same lives without the mean, or with 1.5 times the volatility, give the rule's power: how soon
it detects the change.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from perf_alerts_dagster.projections.lives import Life, LifeDraws
from perf_alerts_dagster.projections.simulation import quantiles
from perf_alerts_dagster.projections.walk import Walk, days_of
from perf_alerts_dagster.projections.watchers import BY_NAME, STATISTICS, YEAR, Known
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import Floats32

# Fewer lives than for the healthy years, since power is stated in per cent.
POWER_LIVES = 1_000
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


def _losses(residuals: Floats) -> Floats:
    """The worst residuals as positive numbers, the worst first."""
    worst = -residuals[: max(2, int(_TAIL * len(residuals)))]
    losses: Floats = worst[worst > 0.0]
    return losses


def _index(tail: Floats) -> float:
    return 1.0 / max(float(np.log(tail[:-1] / tail[-1]).mean()), _MINIMUM)


LIVES = 2_000
# Days that the power is stated for.
SOON = 126
LIFE = days_of()
# The 101 shares of healthy years at which the worst values are kept, dense in the tail.
TAILS = tuple(
    np.unique(
        np.concatenate([[0.0], np.geomspace(0.0005, 0.05, 41), np.linspace(0.05, 1.0, 60)])
    ).tolist()
)
# Of the worst values in rising order.
_RISING_SHARES = np.asarray(TAILS)[::-1]
_FROM_THE_TOP = tuple(1.0 - share for share in TAILS)


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
        rising, shares = self.worst[rule][::-1], _RISING_SHARES
        statistic = BY_NAME.get(rule)
        counts = statistic is not None and statistic.counts
        # A share of rows was divided in single precision.
        badness = float(np.float32(badness)) if counts else badness
        position = int(np.searchsorted(rising, badness, side="left"))
        if position == 0:
            return 1.0
        # Beyond every simulated year the share is below the resolution of their number.
        minimum = 1.0 / (LIVES + 1)
        if position == len(rising):
            return minimum
        if counts:
            # As many years reach the count as lie between two kept shares: the larger is meant.
            return max(float(shares[position - 1]), minimum)
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
    lives: Sequence[Life],
    known: Sequence[Known],
    draws: LifeDraws,
    *,
    budget: float,
    documented: Mapping[str, float | Floats],
) -> list[Calibration]:
    """Calibrate strategies along shared draws; none depends on the others.

    Args:
        lives: Their healthy lives.
        known: What their rules know: the reference, and the launch projection's band.
        draws: Of at least `LIFE` days.
        budget: Share of healthy years in which a warning may be notified.
        documented: Minimum badness of each rule's documented warning, where it has one: of all
            strategies, or of each (S).

    Raises:
        ValueError: the draws are shorter than `LIFE`.
    """
    if draws.days < LIFE:
        raise ValueError(f"the draws hold {draws.days} days, fewer than {LIFE}")
    walk, few = Walk(draws), Walk(draws.first_lives(POWER_LIVES))
    minima = {rule: np.broadcast_to(value, len(lives)) for rule, value in documented.items()}
    return [
        _calibrate_one(
            life, one, walk, few, budget, {rule: float(each[at]) for rule, each in minima.items()}
        )
        for at, (life, one) in enumerate(zip(lives, known, strict=True))
    ]


def _calibrate_one(
    life: Life,
    known: Known,
    walk: Walk,
    few: Walk,
    budget: float,
    documented: Mapping[str, float],
) -> Calibration:
    years = walk.yearly_worst(life, known)
    worst = {
        STATISTICS[rule].name(year): values
        for rule, all_years in years.items()
        for year, values in enumerate(all_years, start=1)
    }
    for name, values in worst.items():
        if (by_chance := BY_NAME[name].by_chance) is not None:
            order = np.argsort(values, kind="stable")
            values[order] = np.maximum(values[order], by_chance(len(values)))
    notified = {
        name: max(
            _rarer(values, budget),
            documented.get(BY_NAME[name].rule, -math.inf),
            BY_NAME[name].minimum(known),
        )
        for name, values in worst.items()
    }
    first_year = {rule: notified[statistic.name(1)] for rule, statistic in STATISTICS.items()}
    curves = {
        STATISTICS[rule].name(1): np.bincount(rows.astype(np.int64), minlength=YEAR + 1)[
            :YEAR
        ].cumsum()
        / len(rows)
        for rule, rows in few.first_passages(life, known, first_year).items()
    }
    tails = dict(zip(worst, quantiles(np.stack(list(worst.values())), _FROM_THE_TOP), strict=True))
    tails |= {name: _reached(values) for name, values in worst.items() if BY_NAME[name].counts}
    return Calibration(
        worst=tails,
        notified=notified,
        power={name: float(curve[SOON - 1]) for name, curve in curves.items()},
        half={name: _half(curve) for name, curve in curves.items()},
        union=_union(worst, notified),
    )


def _union(worst: Mapping[str, Floats32], notified: Mapping[str, float]) -> float:
    """Share of healthy years in which any rule notifies, each in its first year of life."""
    notifies = [
        worst[statistic.name(1)] >= np.float32(notified[statistic.name(1)])
        for statistic in STATISTICS.values()
        if statistic.in_union
    ]
    return float(np.any(notifies, axis=0).mean())


def _rarer(values: Floats32, budget: float) -> float:
    """The minimum badness that at most `budget` of the years (N) reach; counts have ties."""
    place = max(len(values) - 1 - int(budget * len(values)), 0)
    ranked = np.partition(values, place)
    return float(np.nextafter(ranked[place], np.float32(np.inf)))


def _reached(counts: Floats32) -> Floats:
    """The counts of years (N) at `TAILS`; unlike a quantile no number between two of them."""
    last = np.ceil(np.multiply(_FROM_THE_TOP, len(counts)) - 1e-9).astype(np.int64) - 1
    return np.sort(counts)[np.maximum(last, 0)].astype(np.float64)


def _half(curve: Floats) -> float:
    reached = np.flatnonzero(curve >= 0.5)
    return float(reached[0] + 1) if len(reached) else math.nan
