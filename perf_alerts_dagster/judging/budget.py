"""The false-alarm budget: which share of healthy years each rule may notify in.

One figure is stated: openings a year, per strategy and per desk. It is shared among a strategy's
rules by their weights, scaled by one factor that its healthy lives give. The mean over years is
promised, whatever the correlation of a desk's strategies.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from perf_alerts_dagster.projections.calibration import (
    CRITICAL,
    METHOD,
    SEVERITIES,
    WARNING,
    Calibration,
    Pair,
)
from perf_alerts_dagster.projections.watchers import HEDGED, STATISTICS

Shares = Mapping[str, float]
# What is calibrated as a share of what is stated, at warning and at critical: a finite history
# understates its tails (docs/statistics.md).
CALIBRATED: Pair = (0.8, 0.65)
# No strategy of a large desk is given less, at warning and at critical; it is said where it binds.
LEAST: Pair = (0.004, 0.001)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """The stated share of years in which one strategy notifies, at warning and at critical.

    `is_least`: a desk of so many strategies would need less than may be given.
    """

    warning: float
    critical: float
    is_least: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The openings a year of one strategy in which nothing changes, in the mean over years.

    `warnings` are those from warning on, `criticals` those of them from critical on. `line` are
    those by its own line of the drawdown: emergencies, in both.
    """

    warnings: float
    criticals: float
    line: float


def crossings(calibration: Calibration, depth: float, live_rows: int) -> float:
    """The share of healthy years, after so many live rows, with a drawdown of `depth` (above 0)."""
    name = STATISTICS["drawdown"].name_after(live_rows, calibration.year)
    return calibration.p_year(name, -math.log1p(-min(depth, 1.0 - 1e-12)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """The settings of false alarms.

    `warning` and `critical` bound every rule's share of healthy years. `rules` maps a rule to
    `{"warning": share, "critical": share}`, either of which may be missing, in place of its
    weight; `of_strategy` maps a strategy to the same, and takes precedence. `of_each` are the
    stated shares of one strategy, `of_desk` the notifications a year of the whole desk.
    `shadowed` are the strategies with a shadow: no other pays for the rules of shadows.
    """

    warning: float = 0.05
    critical: float = 0.01
    rules: Mapping[str, Shares] = field(default_factory=dict)
    of_strategy: Mapping[str, Mapping[str, Shares]] = field(default_factory=dict)
    of_each: Pair = (0.10, 0.02)
    of_desk: Pair = (4.0, 1.0)
    shadowed: frozenset[str] = frozenset()

    def stated(self, strategies: int) -> Stated:
        """What is stated for each of so many strategies, groups among them."""
        shares = [
            min(each, desk / max(strategies, 1))
            for each, desk in zip(self.of_each, self.of_desk, strict=True)
        ]
        least = [min(each, low) for each, low in zip(self.of_each, LEAST, strict=True)]
        given = [max(share, low) for share, low in zip(shares, least, strict=True)]
        # Criticals are among the warnings.
        critical = min(given[1], given[0])
        return Stated(warning=given[0], critical=critical, is_least=given != shares)

    def weights_of(self, strategy: str) -> dict[str, Pair]:
        """Each rule's share of healthy years before it is scaled, at warning and at critical."""
        # Imported late: the rules import this module.
        from perf_alerts_dagster.judging.rules.catalogue import OF_SHADOWS, WEIGHTS

        found: dict[str, Pair] = {}
        for rule, weight in WEIGHTS.items():
            if rule in OF_SHADOWS and strategy not in self.shadowed:
                continue
            shares = {WARNING: weight * self.warning, CRITICAL: weight * self.critical}
            shares |= self.rules.get(rule, {})
            shares |= self.of_strategy.get(strategy, {}).get(rule, {})
            found[rule] = (shares[WARNING], shares[CRITICAL])
        return found

    def _weights(self, strategy: str, calibration: Calibration) -> dict[str, Pair]:
        """The weights of the rules that a strategy has: only one with a hedge has hedged rules."""
        return {
            rule: pair
            for rule, pair in self.weights_of(strategy).items()
            if rule not in HEDGED or STATISTICS[rule].name(1) in calibration.worst
        }

    def bounds_of(self, strategy: str, rule: str) -> Pair:
        """The largest shares that a rule is ever given: its own, where a person set them."""
        own = {**self.rules.get(rule, {}), **self.of_strategy.get(strategy, {}).get(rule, {})}
        return own.get(WARNING, self.warning), own.get(CRITICAL, self.critical)

    def levels_of(
        self, strategy: str, calibration: Calibration, strategies: int
    ) -> dict[str, Pair]:
        """The largest `p_year` at which each rule notifies, at warning and at critical.

        `strategies` is how many the desk has, groups among them.
        """
        factors = self.factors_of(strategy, calibration, strategies)
        levels = {}
        for rule, pair in self._weights(strategy, calibration).items():
            bounds = self.bounds_of(strategy, rule)
            warning, critical = (
                min(factor * share, bound)
                for factor, share, bound in zip(factors, pair, bounds, strict=True)
            )
            # What is rare enough for a critical is so for a warning.
            levels[rule] = (max(warning, critical), critical)
        return levels

    def factors_of(self, strategy: str, calibration: Calibration, strategies: int) -> Pair:
        """The factors of a strategy's weights, at warning and at critical; see `levels_of`."""
        stated, others = self.stated(strategies), self._unknown_to_lives(strategy)
        warning, critical = (
            calibration.factor(severity, share * of_it, other)
            for severity, share, of_it, other in zip(
                SEVERITIES, CALIBRATED, (stated.warning, stated.critical), others, strict=True
            )
        )
        return warning, critical

    def expected(
        self,
        strategy: str,
        calibration: Calibration,
        strategies: int,
        *,
        live_rows: int = 1,
        has_line: bool = True,
    ) -> Expected:
        """What a strategy opens a year at the levels in force; see `levels_of`.

        `live_rows` is its age; without `has_line` a mandate is in place of its own line. It is less
        than what is stated where bounds hold levels down: then at most so much, as if no two rules
        notified in one year. It is more where its own line of the drawdown is.
        """
        levels = self.levels_of(strategy, calibration, strategies)
        weights, others = self._weights(strategy, calibration), self._unknown_to_lives(strategy)
        unions = []
        for place, factor in enumerate(self.factors_of(strategy, calibration, strategies)):
            lives, shares = calibration.factors[SEVERITIES[place]], calibration.tails
            within = float(np.interp(factor, lives, shares))
            union = 1.0 - (1.0 - within) * math.exp(-others[place] * min(factor, 1e6))
            if any(levels[rule][place] < factor * pair[place] for rule, pair in weights.items()):
                union = min(union, 1.0 - math.prod(1.0 - pair[place] for pair in levels.values()))
            unions.append(union)
        first, line = (
            crossings(calibration, calibration.emergency_depth(rows), rows)
            for rows in (1, live_rows)
        )
        line = line if has_line else 0.0
        # The stated figure has room for the line of the first year.
        warnings = (unions[0] + first) / CALIBRATED[0] + max(line - first, 0.0)
        criticals = min(unions[1] / CALIBRATED[1] + line, 1.0)
        return Expected(warnings=max(min(warnings, 1.0), criticals), criticals=criticals, line=line)

    def _unknown_to_lives(self, strategy: str) -> Pair:
        """The sum of the weights of the rules that healthy lives do not know."""
        pairs = [pair for rule, pair in self.weights_of(strategy).items() if rule not in STATISTICS]
        return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)

    def version(self, limits: Mapping[str, Mapping[str, float]]) -> str:
        """What calibrations depend on, as 8 hex digits; others are made anew.

        `limits` are the documented ones by strategy, those of all others under "".
        """
        weights = {name: self.weights_of(name) for name in ("", *self.of_strategy)}
        text = json.dumps([METHOD, weights, limits], sort_keys=True, default=dict)
        return hashlib.sha256(text.encode()).hexdigest()[:8]
