"""Power: how often and how soon each rule notifies of the change that it is made for.

Changed lives have the draws of healthy ones, with the change planted when the rule's first year of
life begins. All is kept at a few levels (shares of healthy years), since the level in force depends
on the size of the desk.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from perf_alerts_dagster.projections.lives import Life, LifeDraws
from perf_alerts_dagster.projections.walk import Walk
from perf_alerts_dagster.projections.watchers import (
    STATISTICS,
    WARM_UP,
    WILDER,
    YEAR,
    Alternative,
    Known,
    Statistic,
)
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.detection import (
    Shift,
    best_power,
    mean_shift,
    minimal_delay,
    volatility_shift,
)
from perf_alerts_dagster.statistics.ewma_volatility import Floats32

LEVELS = np.array([0.0002, 0.001, 0.004, 0.016, 0.06, 0.2])
_LOGS = np.log(LEVELS)
# Lives of a year, for power, and of ten years, for the delay.
LIVES_OF_A_YEAR, LIVES_OF_TEN = 1_000, 480
LIFETIME = 10
_SOON = 126


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What a rule sees of its own alternative, beside what could be seen.

    `power_126` and `power_252` are the chances that it notifies within so many rows, `days_to_half`
    the rows until that is as likely as not, None where 252 are not enough. `delay_sessions` is the
    mean number of rows until it notifies, in lives of ten years, `minimal_delay_sessions` the least
    possible at the same rate of false alarms, `share_of_limit` its power over 252 rows as a share
    of the best possible.
    """

    power_126: float | None = None
    power_252: float | None = None
    days_to_half: float | None = None
    delay_sessions: float | None = None
    minimal_delay_sessions: float | None = None
    share_of_limit: float | None = None


class ChangedLives:
    """The draws of changed lives: many of a year, and a few of ten; made once for all strategies.

    A long life is made of the draws of several.
    """

    def __init__(self, draws: LifeDraws, known: Sequence[Known]) -> None:
        year = max((one.year for one in known), default=YEAR)
        self.of_a_year = Walk(_longer(draws, LIVES_OF_A_YEAR, WARM_UP + max(YEAR, year)))
        self._of_ten = Walk(_longer(draws, LIVES_OF_TEN, WARM_UP + LIFETIME * year))

    def power(
        self, life: Life, known: Known, worst: Mapping[str, Floats32], least: Mapping[str, float]
    ) -> dict[str, Floats]:
        """The power of each rule whose alternative exists, see `worth_of`: (5, levels).

        Args:
            life: The strategy's healthy lives.
            known: What its rules know.
            worst: The worst badness of healthy years (N) by name of statistic.
            least: The least badness that is a breach, by rule.
        """
        best = {
            rule: limit
            for rule, statistic in STATISTICS.items()
            if statistic.name(1) in worst and (limit := _best(life, known, statistic)) is not None
        }
        limits = {
            rule: np.maximum(_rarer(worst, STATISTICS[rule]), least.get(rule, -math.inf))
            for rule in best
        }
        lifetime = LIFETIME * known.year
        within = self.of_a_year.first_passages(life, known, limits)
        ever = self._of_ten.first_passages(life, known, limits, lifetime)
        found = {}
        for rule, days in within.items():
            soon, year = (days < _SOON).mean(axis=1), (days < YEAR).mean(axis=1)
            half = np.minimum(np.median(days, axis=1) + 1.0, YEAR)
            if STATISTICS[rule].longest < LIFETIME:
                # It begins anew after its rows.
                mean, again = np.minimum(days + 1.0, YEAR).mean(axis=1), lifetime / YEAR
                delay = mean * (1.0 - (1.0 - year) ** again) / np.maximum(year, 1e-9)
                delay = np.where(year > 0.0, delay, lifetime)
            else:
                delay = np.minimum(ever[rule] + 1.0, lifetime).mean(axis=1)
            found[rule] = np.stack([soon, year, half, delay, best[rule]]).astype(np.float64)
        return found


def edge_of(life: Life) -> float:
    """The mean of a life per row, in standard deviations."""
    return life.mean / life.deviation


def worth_of(
    power: Floats, alternative: Alternative, edge: float, year: int, level: float, rate: float
) -> Worth:
    """What a rule is worth that notifies at `level`, in `rate` of healthy years.

    Args:
        power: Chance to notify within 126 and 252 rows, rows to one half, mean rows, and the best
            possible chance within 252 rows at rates of false alarms; at `LEVELS` each.
        alternative: The rule's.
        edge: See `edge_of`.
        year: Rows per year.
        level: The largest share of healthy years at which it notifies.
        rate: The share of healthy years in which it does.
    """
    shift = _shift(alternative, edge, year)
    if shift is None or min(level, rate) <= 0.0:
        return Worth()
    soon, within, half, delay = (
        float(np.interp(math.log(level), _LOGS, values)) for values in power[:4]
    )
    best = float(np.interp(math.log(rate), _LOGS, power[4]))
    return Worth(
        power_126=soon,
        power_252=within,
        days_to_half=half if within >= 0.5 else None,
        delay_sessions=delay,
        minimal_delay_sessions=minimal_delay(shift, min(rate, 0.999), year),
        share_of_limit=within / best,
    )


def _shift(alternative: Alternative, edge: float, year: int) -> Shift | None:
    """The alternative as a shift of normal rows; None without an edge to lose."""
    if alternative is Alternative.WILD:
        return volatility_shift(WILDER)
    return mean_shift(edge * math.sqrt(year), year) if edge > 0.0 else None


def _best(life: Life, known: Known, statistic: Statistic) -> Floats | None:
    """The best possible chance within 252 rows at `LEVELS`; None without an edge to lose."""
    if statistic.alternative is Alternative.WILD:
        return _wild(known.year)
    if statistic.hedged and life.hedged is not None and known.hedged is not None:
        life, rows = life.hedged, known.hedged.rows
    else:
        rows = known.decay.rows
    if life.mean <= 0.0:
        return None
    # Fat tails hold more information on the mean than normal ones of the same variance,
    # autocorrelated rows less: the error of the mean knows both.
    fall = life.mean / (life.mean_error * math.sqrt(rows))
    return _lost(fall * math.sqrt(known.year), known.year)


# Asked by one rule after the other.
@lru_cache(maxsize=2)
def _lost(sharpe: float, year: int) -> Floats:
    return best_power(mean_shift(sharpe, year), LEVELS, year)


@cache
def _wild(year: int) -> Floats:
    return best_power(volatility_shift(WILDER), LEVELS, year)


def _rarer(worst: Mapping[str, Floats32], statistic: Statistic) -> Floats:
    """The least badness that at most each level of healthy years reach (levels, years of life)."""
    found = []
    for year in range(1, statistic.years + 1):
        values = worst[statistic.name(year)]
        places = len(values) - 1 - (LEVELS * (len(values) + 1)).astype(np.int64)
        places = np.maximum(places, 0)
        found.append(np.nextafter(np.partition(values, places)[places], np.float32(np.inf)))
    return np.stack(found, axis=1)


def _longer(draws: LifeDraws, lives: int, days: int) -> LifeDraws:
    """As many lives of so many days, each made of the draws of several."""
    pieces = -(-days // draws.days)
    lives = max(min(lives, draws.size // pieces), 1)
    day = np.repeat(np.arange(draws.days), np.diff(draws.first))
    day += draws.lives // lives * draws.days
    order = np.argsort(day, kind="stable")
    order = order[: np.searchsorted(day[order], days)]
    counts = np.bincount(day[order], minlength=days)
    return LifeDraws(
        first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        lives=draws.lives[order] % lives,
        numbers=draws.numbers[order],
        errors=np.ascontiguousarray(draws.errors[:, :lives]),
    )
