"""Calibration: how bad each rule's statistic gets in the strategy's own healthy lives.

Healthy lives are drawn from the strategy's own rows, with the worst value of each rule per year:
`p_year` of an observed value is the share of healthy years that are at least as bad at any time.
On the same lives stands which shares all rules together may notify at, so that the strategy's
union of false alarms is the one that is stated.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from perf_alerts_dagster.projections.lives import Change, Life, LifeDraws
from perf_alerts_dagster.projections.power import ChangedLives, Worth, edge_of, worth_of
from perf_alerts_dagster.projections.simulation import quantiles
from perf_alerts_dagster.projections.walk import Walk, days_of
from perf_alerts_dagster.projections.watchers import BY_NAME, STATISTICS, YEAR, Known
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.decay import DecayReference
from perf_alerts_dagster.statistics.ewma_volatility import Floats32
from perf_alerts_dagster.statistics.hedge import Hedge

# Share of the residuals that the tail's index is estimated from (Hill, Ann. Statist. 3, 1975).
_TAIL = 0.05
# The few worst days.
_WORST = 6
_MINIMUM = 1e-6


def yearly_share(standardised: float, residuals: Floats, year: int = YEAR) -> float:
    """Probability of a day at least this bad in a healthy year of so many rows.

    `residuals` are sorted, worst first. Up to the 5 % quantile the share is empirical; beyond it
    a Pareto tail hangs on that quantile (Weissman, JASA 73, 1978), with Hill's index: hung on the
    worst day, it would rise and fall with a single one. Where the few worst days have a heavier
    tail, theirs counts: a crash a year among small gains is no tail of the small ones.
    """
    count = len(residuals)
    daily = float(np.searchsorted(residuals, standardised, side="right")) / count
    tails = [_losses(residuals, most) for most in (int(_TAIL * count), _WORST)]
    # Before a tail begins its share is empirical, else a worse day would be more common behind.
    shares = [
        len(tail) / count * float((tail[-1] / -standardised) ** _index(tail))
        if len(tail) > 1 and -standardised > tail[-1]
        else daily
        for tail in tails
    ]
    return float(1.0 - (1.0 - max(shares)) ** year)


def _losses(residuals: Floats, most: int) -> Floats:
    """So many worst residuals at most as positive numbers, the worst first."""
    worst = -residuals[: max(2, most)]
    losses: Floats = worst[worst > 0.0]
    return losses


def _index(tail: Floats) -> float:
    return 1.0 / max(float(np.log(tail[:-1] / tail[-1]).mean()), _MINIMUM)


# What the stored form of a calibration depends on, besides settings; a new one is made anew, and
# what the change alone finds is held back (`judging.upgrade`).
METHOD = "7"
LIVES = 5_000
LIFE = days_of()
# The shares of healthy years at which the worst values are kept, dense in the tail.
TAILS = np.concatenate(
    [
        [0.0],
        np.geomspace(1.0 / LIVES, 0.05, 56),
        np.linspace(0.05, 0.2, 20)[1:],
        np.linspace(0.2, 1.0, 26)[1:],
    ]
)
# Share of healthy years in which a strategy passes its own line of the drawdown, and the least and
# the greatest depth of that line (simple returns).
EMERGENCY = 0.01
EMERGENCY_DEPTHS = (0.05, 0.50)
WARNING, CRITICAL = "warning", "critical"
SEVERITIES = (WARNING, CRITICAL)
# Falls of the annual Sharpe ratio that the rules together are asked about.
LOSSES = (0, 1, 2, 3)
# By severity: of warnings and of criticals.
Pair = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """The statistics of one strategy's healthy years.

    `worst` maps the name of a statistic to its badness (larger is worse) at `tails`, shares of
    healthy years that are at least as bad. `factors` gives by severity, at the same shares of
    years, the factor of all weights at which any of the rules notifies in that share, besides the
    years in which a drawdown passes its own line. `losses` gives the same of years after an annual
    Sharpe ratio of some size is lost, own lines included, by that size and the severity
    (`2:warning`), and `power` what `power.worth_of` reads, by rule. `decay` is what decay is
    measured against, `edge` the mean per row in standard deviations, `hedge` how it is hedged, None
    without a benchmark, `year` the rows of a year, `lives` how many were drawn.
    """

    worst: Mapping[str, Floats]
    factors: Mapping[str, Floats] = field(default_factory=dict)
    losses: Mapping[str, Floats] = field(default_factory=dict)
    power: Mapping[str, Floats] = field(default_factory=dict)
    tails: Floats = field(default_factory=lambda: TAILS)
    decay: DecayReference | None = None
    edge: float = 0.0
    hedge: Hedge | None = None
    year: int = YEAR
    lives: int = LIVES

    def p_year(self, name: str, badness: float) -> float:
        """Share of healthy years in which the statistic is at least this bad at any time."""
        rising, shares = self.worst[name][::-1], self.tails[::-1]
        statistic = BY_NAME.get(name)
        counts = statistic is not None and statistic.counts
        # A share of rows was divided in single precision.
        badness = float(np.float32(badness)) if counts else badness
        position = int(np.searchsorted(rising, badness, side="left"))
        if position == 0:
            return 1.0
        # Beyond every simulated year the share is below the resolution of their number.
        minimum = 1.0 / (self.lives + 1)
        if position == len(rising):
            return minimum
        if counts:
            # As many years reach the count as lie between two kept shares: the larger is meant.
            return max(float(shares[position - 1]), minimum)
        part = (badness - rising[position - 1]) / (rising[position] - rising[position - 1])
        return max(
            float(shares[position - 1] + part * (shares[position] - shares[position - 1])), minimum
        )

    def badness_at(self, name: str, share: float) -> float:
        """The badness that a statistic reaches in `share` of healthy years."""
        return float(np.interp(share, self.tails, self.worst[name]))

    def factor(self, severity: str, union: float, others: float = 0.0) -> float:
        """The factor of all weights at which `union` of healthy years notify at a severity.

        `others` is the sum of the weights of rules that the lives do not know: they are taken to
        be independent. Where drawdowns past their own line, which no weight decides, take more than
        half of the union, the rules have half of it in the years without one: else nothing but
        losses would be notified.
        """
        factors = self.factors[severity]
        unions = 1.0 - (1.0 - self.tails) * np.exp(-others * np.minimum(factors, 1e6))
        drawdown, lost = STATISTICS["drawdown"].name(1), 0.0
        if severity == WARNING and drawdown in self.worst:
            lost = self.p_year(drawdown, -math.log1p(-self.emergency_depth(1)))
        return float(np.interp(max(union - lost, union / 2.0), unions, factors))

    def seen(self, lost_sharpe: int, severity: str, factor: float) -> float:
        """Share of lives in which any rule notifies in the year after the loss, in its own rows.

        Args:
            lost_sharpe: The annual Sharpe ratio that is lost, one of `LOSSES`.
            severity: `warning` or `critical`.
            factor: Of all weights.
        """
        factors = self.losses[f"{lost_sharpe}:{severity}"]
        place = int(np.searchsorted(factors, factor, side="right"))
        if place in (0, len(factors)):
            return float(place > 0)
        part = (factor - factors[place - 1]) / (factors[place] - factors[place - 1])
        return float(self.tails[place - 1] + part * (self.tails[place] - self.tails[place - 1]))

    def worth(self, rule: str, level: float, rate: float) -> Worth:
        """What a rule is worth that notifies at `level`, in `rate` of healthy years."""
        if rule not in self.power:
            return Worth()
        statistic, edge = STATISTICS[rule], self.edge
        if statistic.hedged and self.hedge is not None:
            edge = self.hedge.edge
        return worth_of(self.power[rule], statistic.alternative, edge, self.year, level, rate)

    def emergency_depth(self, live_rows: int) -> float:
        """The depth of drawdown, a positive share, that 1 % of healthy years of its age pass."""
        name = STATISTICS["drawdown"].name_after(live_rows, self.year)
        least, most = EMERGENCY_DEPTHS
        return min(max(-math.expm1(-self.badness_at(name, EMERGENCY)), least), most)


def weights_with(weights: Mapping[str, Pair], *, has_backtest: bool) -> dict[str, Pair]:
    """The weights that a strategy pays for: only live below a backtest has a gap since launch."""
    return {
        rule: pair for rule, pair in weights.items() if has_backtest or rule != "gap_since_launch"
    }


def calibrate(
    lives: Sequence[Life],
    known: Sequence[Known],
    draws: LifeDraws,
    *,
    weights: Sequence[Mapping[str, Pair]],
    documented: Sequence[Mapping[str, Pair]],
    power: bool = True,
) -> list[Calibration]:
    """Calibrate strategies along shared draws; none depends on the others.

    Args:
        lives: Their healthy lives (S).
        known: What their rules know.
        draws: Of at least `days_of(year=...)` days for each one's year.
        weights: Of each strategy, by rule: the shares of healthy years that a warning and a
            critical may notify in, before they are scaled to the union.
        documented: Of each, the least badness of each rule's documented limits, where it has any.
        power: What rules see of changed lives is measured as well, which no level depends on.

    Raises:
        ValueError: the draws are too short.
    """
    walk, changed = Walk(draws), ChangedLives(draws, known) if power else None
    return [
        _calibrate_one(*each, walk, changed)
        for each in zip(lives, known, weights, documented, strict=True)
    ]


def _calibrate_one(
    life: Life,
    known: Known,
    weights: Mapping[str, Pair],
    documented: Mapping[str, Pair],
    walk: Walk,
    changed: ChangedLives | None,
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
            values[order] = np.maximum(values[order], by_chance(len(values), known.year))
    tails = _at_tails(np.stack(list(worst.values())))
    kept = dict(zip(worst, tails, strict=True))
    kept |= {name: _reached(values) for name, values in worst.items() if BY_NAME[name].counts}
    losses: dict[str, Floats] = {}
    seen: dict[str, Floats] = {}
    if changed is not None:
        least = {rule: _least_badness(rule, known, documented, 0) for rule in STATISTICS}
        losses = _losses_of(life, known, changed, worst, weights, documented)
        seen = changed.power(life, known, worst, least)
    return Calibration(
        worst=kept,
        factors={
            severity: _at_shares(least_factors(worst, known, weights, documented, place))
            for place, severity in enumerate(SEVERITIES)
        },
        losses=losses,
        power=seen,
        decay=known.decay,
        edge=edge_of(life),
        hedge=known.hedge,
        year=known.year,
        lives=len(next(iter(worst.values()))),
    )


def _losses_of(
    life: Life,
    known: Known,
    changed: ChangedLives,
    worst: Mapping[str, Floats32],
    weights: Mapping[str, Pair],
    documented: Mapping[str, Pair],
) -> dict[str, Floats]:
    """See `Calibration.losses`; the loss begins with each rule's first year of life."""
    found = {}
    for lost in LOSSES:
        fall = lost * life.deviation / math.sqrt(known.year)
        years: dict[str, Floats32] = {}
        for start in {statistic.starts for statistic in STATISTICS.values()}:
            rules = [rule for rule, statistic in STATISTICS.items() if statistic.starts == start]
            years |= changed.of_a_year.yearly_worst(
                life, known, rules=rules, years=1, change=Change(day=start, fall=fall)
            )
        lives = {STATISTICS[rule].name(1): values[0] for rule, values in years.items()}
        for place, severity in enumerate(SEVERITIES):
            least = least_factors(lives, known, weights, documented, place, healthy=worst)
            found[f"{lost}:{severity}"] = _at_shares(least, with_line=True)
    return found


def _least_badness(rule: str, known: Known, documented: Mapping[str, Pair], place: int) -> float:
    """The least badness of a breach, at warning or at critical."""
    limits = documented.get(rule, (-math.inf, -math.inf))
    return max(limits[place], STATISTICS[rule].minimum(known))


def least_factors(
    worst: Mapping[str, Floats32],
    known: Known,
    weights: Mapping[str, Pair],
    documented: Mapping[str, Pair],
    place: int,
    healthy: Mapping[str, Floats32] | None = None,
) -> Floats:
    """Per life (N) the least factor of all weights at which any rule notifies in its first year.

    0 where the drawdown passes its own line, which no weight decides; infinite where no rule
    passes its documented limit. No rule is given more than the largest of the weights. `healthy`
    are the lives whose shares count, by default the same.
    """
    least = np.full(len(next(iter(worst.values()))), np.inf)
    watched = {rule: one.name(1) for rule, one in STATISTICS.items() if one.name(1) in worst}
    unwatched = STATISTICS.keys() - watched.keys()
    bound = max((pair[place] for r, pair in weights.items() if r not in unwatched), default=0.0)
    for rule, name in watched.items():
        values, of_healthy = worst[name], (healthy or worst)[name]
        shares = _shares(values, of_healthy)
        least_badness = _least_badness(rule, known, documented, place)
        weight = weights.get(rule, (0.0, 0.0))[place]
        if weight > 0.0:
            notifies = (values >= least_badness) & (shares <= bound)
            least = np.where(notifies, np.minimum(least, shares / weight), least)
        if rule == "drawdown" and place == 0:
            # A line that is capped is passed more often, and would leave evidence no budget.
            passes = (shares <= EMERGENCY) & (values >= -math.log1p(-EMERGENCY_DEPTHS[0]))
            least = np.where(passes, 0.0, least)
    return least


def _shares(values: Floats32, healthy: Floats32) -> Floats:
    """The share of healthy years (M) that are at least as bad as each value (N); never zero."""
    rising = np.sort(healthy)
    reached = len(rising) - np.searchsorted(rising, values, side="left")
    shares: Floats = np.maximum(reached, 1) / (len(rising) + 1.0)
    return shares


def _at_tails(values: Floats32) -> Floats:
    """The badness (R, T) that `TAILS` of years (R, N) reach."""
    return quantiles(values, tuple((1.0 - TAILS).tolist())).astype(np.float64)


def _at_shares(least: Floats, *, with_line: bool = False) -> Floats:
    """The largest factor at which rules notify in no more than `TAILS` of lives (N), rising.

    Lives in which a drawdown passes its own line are counted only `with_line`.
    """
    counted = least if with_line else np.where(least > 0.0, least, np.inf)
    rising = np.minimum(np.sort(counted), 1e9)
    beyond = rising[np.minimum((TAILS * len(least) + 1e-9).astype(np.int64), len(least) - 1)]
    # As many lives may share the next factor: they notify all or none.
    below = np.searchsorted(rising, beyond, side="left")
    found: Floats = np.where(beyond < 1e9, np.append(0.0, rising)[below], beyond)
    return found


def _reached(counts: Floats32) -> Floats:
    """The counts of years (N) at `TAILS`; unlike a quantile no number between two of them."""
    last = np.ceil(np.multiply(1.0 - TAILS, len(counts)) - 1e-9).astype(np.int64) - 1
    return np.sort(counts)[np.maximum(last, 0)].astype(np.float64)
