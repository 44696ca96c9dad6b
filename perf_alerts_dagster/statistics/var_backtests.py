"""Backtests of a value at risk: how often losses exceed it, and whether independently.

Counts are rows in which the loss was beyond the quantile ("exceedances"). All formulas are exact
or closed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from perf_alerts_dagster.records.model import Flags

Zone = Literal["green", "yellow", "red"]

YELLOW_ABOVE = 0.95
RED_ABOVE = 0.9999


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelihoodRatio:
    """A likelihood-ratio test: its statistic (>= 0) and its p-value."""

    statistic: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Transitions:
    """Counts of transitions between rows without (0) and with (1) an exceedance."""

    n00: int
    n01: int
    n10: int
    n11: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficLight:
    """The Basel zone; for a right model `cumulative` is P(X <= x), `at_least` is P(X >= x)."""

    zone: Zone
    cumulative: float
    at_least: float


def kupiec(exceedances: int, rows: int, probability: float) -> LikelihoodRatio | None:
    """Proportion-of-failures test, two-sided, chi2(1); None without rows.

    -2 ln[(1-p)^(N-x) p^x / ((1-x/N)^(N-x) (x/N)^x)], 0 ln 0 = 0. `probability` is the expected
    share of exceedances. Source: Kupiec, J. Derivatives 3(2), 1995.

    Raises:
        ValueError: the counts or the probability are out of range.
    """
    _check(exceedances, rows, probability)
    if rows == 0:
        return None
    share = exceedances / rows
    quiet = rows - exceedances
    claimed = _log_likelihood(quiet, exceedances, probability)
    return _chi2_1(2.0 * (_log_likelihood(quiet, exceedances, share) - claimed))


def transitions(hits: Sequence[bool] | Flags) -> Transitions:
    """Count the transitions from each row to the next, oldest first; True is an exceedance."""
    rows = np.asarray(hits, dtype=np.int64)
    n00, n01, n10, n11 = np.bincount(2 * rows[:-1] + rows[1:], minlength=4).tolist()
    return Transitions(n00=n00, n01=n01, n10=n10, n11=n11)


def christoffersen_independence(counts: Transitions) -> LikelihoodRatio | None:
    """Independence test of successive exceedances, chi2(1); None without transitions.

    Source: Christoffersen, Int. Econ. Rev. 39, 1998.

    Raises:
        ValueError: a count is negative.
    """
    if min(counts.n00, counts.n01, counts.n10, counts.n11) < 0:
        raise ValueError(f"transition counts are {counts}; accepted are numbers from 0 on")
    after_quiet, after_hit = counts.n00 + counts.n01, counts.n10 + counts.n11
    total = after_quiet + after_hit
    if total == 0:
        return None
    hits = counts.n01 + counts.n11
    same = _log_likelihood(total - hits, hits, hits / total)
    apart = 0.0
    if after_quiet:
        apart += _log_likelihood(counts.n00, counts.n01, counts.n01 / after_quiet)
    if after_hit:
        apart += _log_likelihood(counts.n10, counts.n11, counts.n11 / after_hit)
    return _chi2_1(2.0 * (apart - same))


def traffic_light(exceedances: int, rows: int, probability: float) -> TrafficLight | None:
    """The Basel traffic light for any number of rows and probability; None without rows.

    With F = P(Binomial(rows, probability) <= x): green up to .95, yellow up to .9999, red above.
    Source: Basel Committee 1996; MAR32.

    Raises:
        ValueError: the counts or the probability are out of range.
    """
    _check(exceedances, rows, probability)
    if rows == 0:
        return None
    yellow, red = traffic_light_cuts(rows, probability)
    zone: Zone = "green" if exceedances < yellow else "yellow" if exceedances < red else "red"
    return TrafficLight(
        zone=zone,
        cumulative=binomial_at_most(exceedances, rows, probability),
        at_least=binomial_at_least(exceedances, rows, probability),
    )


def traffic_light_cuts(rows: int, probability: float) -> tuple[int, int]:
    """The minimum number of exceedances in the yellow zone, and in the red one.

    Both are at most `rows`: all rows as exceedances make F = 1, which is red.

    Raises:
        ValueError: the counts or the probability are out of range.
    """
    _check(0, rows, probability)
    cumulative, cuts = 0.0, [rows, rows]
    for x in range(rows + 1):
        cumulative += _binomial_term(x, rows, probability)
        if cumulative > YELLOW_ABOVE:
            cuts[0] = min(cuts[0], x)
        if cumulative > RED_ABOVE:
            cuts[1] = x
            break
    return cuts[0], cuts[1]


def binomial_at_least(successes: int, trials: int, probability: float) -> float:
    """P(X >= successes) for X binomial, with a relative error of about 1e-12.

    Raises:
        ValueError: trials are negative or the probability is outside [0, 1].
    """
    return _binomial_sum(max(successes, 0), trials, trials, probability)


def binomial_at_most(successes: int, trials: int, probability: float) -> float:
    """P(X <= successes) for X binomial, with a relative error of about 1e-12.

    Raises:
        ValueError: trials are negative or the probability is outside [0, 1].
    """
    return _binomial_sum(0, min(successes, trials), trials, probability)


def _binomial_sum(first: int, last: int, trials: int, probability: float) -> float:
    """P(first <= X <= last)."""
    if trials < 0:
        raise ValueError(f"trials is {trials}; accepted is a number from 0 on")
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"probability is {probability}; accepted is a number from 0 to 1")
    if first > last:
        return 0.0
    if first == 0 and last == trials:
        return 1.0
    if probability in (0.0, 1.0):
        return float(first <= round(trials * probability) <= last)
    terms = (_binomial_term(k, trials, probability) for k in range(first, last + 1))
    return min(1.0, math.fsum(terms))


def _binomial_term(successes: int, trials: int, probability: float) -> float:
    """P(X = successes), for a probability inside (0, 1)."""
    misses = trials - successes
    ways = math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(misses + 1)
    return math.exp(ways + successes * math.log(probability) + misses * math.log1p(-probability))


def _check(exceedances: int, rows: int, probability: float) -> None:
    if not 0 <= exceedances <= rows:
        raise ValueError(f"exceedances is {exceedances} of {rows} rows; accepted is 0 to {rows}")
    if not 0.0 < probability < 1.0:
        raise ValueError(f"probability is {probability}; accepted is a number between 0 and 1")


def _log_likelihood(quiet: int, hits: int, share: float) -> float:
    """Ln[(1 - share)^quiet share^hits] with 0 ln 0 = 0."""
    likelihood = quiet * math.log1p(-share) if quiet else 0.0
    return likelihood + (hits * math.log(share) if hits else 0.0)


def _chi2_1(statistic: float) -> LikelihoodRatio:
    # By rounding, a ratio of equal likelihoods can be slightly below zero.
    statistic = max(0.0, statistic)
    return LikelihoodRatio(statistic=statistic, p_value=math.erfc(math.sqrt(statistic / 2.0)))
