"""Detection against the false-alarm budget, on strategies whose future is known.

Records of 2,520 rows with t(5) shocks and a Sharpe ratio of 1, 2 or 3, calibrated as the product
does it; futures from the same law, healthy and changed, that the calibration has not seen. Then
real years of the bundled sample, the change planted. `notified` is the first row at which any daily
rule notifies, or a drawdown passes the strategy's own line; what already notified before the change
is no news, and the limit of 20 % is not counted. Each rule alone has 5 % of healthy years. Prints
Markdown. Run: `OMP_NUM_THREADS=1 python benchmarks/frontier.py`, three minutes.
"""

import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perf_alerts_dagster.judging.budget import CALIBRATED, Budgets
from perf_alerts_dagster.judging.rules.catalogue import DOCUMENTED_LIMITS
from perf_alerts_dagster.judging.rules.decay import OWN_ROWS
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.calibration import (
    LIFE,
    LIVES,
    Calibration,
    calibrate,
    yearly_share,
)
from perf_alerts_dagster.projections.lives import draw_lives, life_of
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.walk import badness_of
from perf_alerts_dagster.projections.watchers import STATISTICS, YEAR, Known, documented_badness
from perf_alerts_dagster.records.model import Flags, Floats
from perf_alerts_dagster.records.sources import sample
from perf_alerts_dagster.records.sources.files import ParquetTable
from perf_alerts_dagster.statistics.decay import decay_reference
from perf_alerts_dagster.statistics.detection import best_power, mean_shift
from perf_alerts_dagster.statistics.ewma_volatility import WINDOW, filter_returns

RECORDS, FUTURES, ROWS, SD = 16, 160, 2_520, 0.01
DEGREES, LONG = 5, 5
# What t(5) shocks hold on the mean, in that of normal ones.
INFORMATION = (DEGREES + 1) / (DEGREES + 3) * DEGREES / (DEGREES - 2)
UNIONS = (0.02, 0.05, 0.08, 0.10, 0.20)
SHIPPED = {"10 %, as shipped": "warning", "2 %, as shipped, critical": "critical"}
# The share of healthy years of one rule alone.
ALONE = 0.05
RULES = tuple(rule for rule in STATISTICS if not rule.startswith("hedged"))
SUMS = {"mean_shortfall_126": 126, "mean_shortfall_252": 252}
# What these find against the backtest is notified once, as the gap since launch.
OF_GAP = (*SUMS, "decay_cusum", "gap_since_launch")
NAMES = (*(f"{union:.0%}".replace("%", " %") for union in UNIONS), *SHIPPED)
DOCUMENTED = documented_badness(DOCUMENTED_LIMITS, periods_per_year=YEAR)
# The annual Sharpe ratio that is lost, and the factor of the volatility.
CASES = {
    "nothing": (0.0, 1.0),
    "1 -> 0": (1.0, 1.0),
    "2 -> 0": (2.0, 1.0),
    "3 -> 0": (3.0, 1.0),
    "1 -> -1": (2.0, 1.0),
    "volatility x 1.5": (0.0, 1.5),
}
STARTS = {"first": 0, "third": 2 * YEAR}


@dataclass(frozen=True, kw_only=True, eq=False)
class Strategy:
    """What the rules know of a strategy at the start of live."""

    known: Known
    calibration: Calibration

    def limits(self, union: float | str) -> dict[str, Floats]:
        """The least badness that notifies, by rule and year of life.

        `union` is a stated share of years, a severity as shipped, or a rule that has `ALONE`.
        """
        budgets, one = Budgets(), self.calibration
        weights = {rule: pair[0] for rule, pair in budgets.weights_of("").items()}
        place = int(union == "critical")
        if union in SHIPPED.values():
            levels = {rule: each[place] for rule, each in budgets.levels_of("", one, 1).items()}
        elif isinstance(union, str):
            levels = {union: ALONE}
        else:
            others = sum(share for rule, share in weights.items() if rule not in STATISTICS)
            factor = one.factor("warning", CALIBRATED[0] * union, others)
            # No rule has more than its bound, whatever the union asks for.
            levels = {rule: min(factor * share, budgets.warning) for rule, share in weights.items()}
        found = {}
        for rule in (union,) if union in STATISTICS else RULES:
            statistic = STATISTICS[str(rule)]
            least = DOCUMENTED.get(rule, (-math.inf, -math.inf))[place]
            least = -math.inf if union in STATISTICS else max(least, statistic.minimum(self.known))
            years = []
            for year in range(1, statistic.years + 1):
                limit = max(self._badness(statistic.name(year), levels.get(rule, 0.0)), least)
                if rule == "daily_exceedance":
                    limit = max(limit, self._tail(levels.get(rule, 0.0)))
                if rule == "drawdown" and union not in STATISTICS:
                    line = one.emergency_depth(year * YEAR)
                    limit = min(limit, -math.log1p(-line))
                years.append(limit)
            found[rule] = np.array(years)
        return found

    def _badness(self, name: str, level: float) -> float:
        one = self.calibration
        reached = [bad for bad in np.unique(one.worst[name]) if one.p_year(name, bad) <= level]
        return float(min(reached)) if reached else math.inf

    def _tail(self, level: float) -> float:
        """The least loss that the tail of the residuals passes in that share of years."""
        residuals = np.sort(self.known.residuals.standardised)
        losses = np.geomspace(1.0, 100.0, 200)
        return next((loss for loss in losses if yearly_share(-loss, residuals) <= level), math.inf)

    def own(self, logs: Floats, rule: str) -> Floats:
        """A sum of scores against the mean of the rows before it (days, N), from row 252 on."""
        scores, rows = self.known.decay.scores(logs), SUMS[rule]
        total = np.concatenate([np.zeros((1, logs.shape[1])), scores.cumsum(axis=0)])
        ends = np.arange(OWN_ROWS + 1, len(logs) + 1)
        before = np.maximum(OWN_ROWS, ends - rows)
        mean = total[before] / before[:, np.newaxis]
        values = mean * (ends - before)[:, np.newaxis] - (total[ends] - total[before])
        return values / np.sqrt(rows + rows * rows / before)[:, np.newaxis]

    def notified(self, logs: Floats, start: int, unions: Sequence[float | str]) -> list[Floats]:
        """Rows from `start` to the first notification of each path (N), by union."""
        badness = badness_of(logs, self.known, rules=RULES)
        own = {rule: self.own(logs, rule) for rule in SUMS} if len(logs) > OWN_ROWS else {}
        days, found = len(logs) - start, []
        news = np.zeros(logs.shape, dtype=bool)
        for union in unions:
            notifies = np.zeros((days, logs.shape[1]), dtype=bool)
            gap = np.zeros(logs.shape, dtype=bool)
            for rule, limits in self.limits(union).items():
                reached = _reached(badness[rule], limits)
                if rule in OF_GAP:
                    gap |= reached
                if rule in own:
                    reached[:OWN_ROWS] = False
                    reached[OWN_ROWS:] = _reached(own[rule], limits)
                if rule in own or rule not in OF_GAP:
                    later = _since(reached, start)
                    notifies[: len(later)] |= later
            # One message, by whatever finds it first, with the severity of that day, to which it
            # may rise in the first rows: `warning` stands before `critical`.
            if union == "critical":
                gap[OWN_ROWS:] &= news[OWN_ROWS:]
            news = gap & (gap.cumsum(axis=0) == 1)
            notifies |= news[start:]
            found.append(np.where(notifies.any(axis=0), notifies.argmax(axis=0), math.inf))
        return found


def _reached(badness: Floats, limits: Floats) -> Flags:
    """Whether badness (days, N) reaches the limits of its years of life."""
    years = np.minimum(np.arange(len(badness)) // YEAR, len(limits) - 1)
    found: Flags = badness >= limits[years][:, np.newaxis]
    return found


def _since(reached: Flags, start: int) -> Flags:
    """From `start` on, without what was open before: that is no news. A band may have ended."""
    if not start:
        return reached
    after = reached[start - 1 :]
    found: Flags = (after & ~np.logical_and.accumulate(after, axis=0))[1:]
    return found


def strategies(records: Sequence[Floats]) -> Iterator[Strategy]:
    """As the product calibrates them, each by all its rows."""
    draws, paths = draw_lives(1, LIVES, LIFE), draw(1, 2_000, YEAR)
    for rows in records:
        residuals, decay = filter_returns(rows[-WINDOW:]), decay_reference(np.log1p(rows))
        if residuals is None or decay is None:
            raise ValueError("the rows vary")
        (band,) = fans([residuals], paths, YEAR)
        known = Known(residuals=residuals, band=band, decay=decay)
        (calibration,) = calibrate(
            [life_of(rows, residuals, decay)],
            [known],
            draws,
            weights=[Budgets().weights_of("")],
            documented=[DOCUMENTED],
        )
        yield Strategy(known=known, calibration=calibration)


def changed(healthy: Floats, mean: float, sd: float, case: str, start: int) -> Floats:
    """Healthy simple returns (days, N) with the change from row `start` on, as log returns."""
    lost, stretch = CASES[case]
    later = mean + (healthy[start:] - mean) * stretch - lost * sd / math.sqrt(YEAR)
    return np.log1p(np.maximum(np.concatenate([healthy[:start], later]), -0.99))


def shocks(rng: np.random.Generator, *shape: int) -> Floats:
    """t(5) shocks of standard deviation `SD`."""
    found: Floats = rng.standard_t(DEGREES, shape) * SD / math.sqrt(DEGREES / (DEGREES - 2))
    return found


def table(title: str, heads: Sequence[str], rows: Mapping[str, Sequence[str]]) -> None:
    """Print a table in Markdown."""
    sys.stdout.write(f"\n{title}\n\n| | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 1)}\n")
    for name, cells in rows.items():
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")
    sys.stdout.flush()


def frontier(title: str, found: Mapping[tuple[str, str], Sequence[Sequence[Floats]]]) -> None:
    """The share of paths notified within 126 and 252 rows, by union, year of life and change."""
    rows = {}
    for place, name in enumerate(NAMES):
        for year in STARTS:
            cells = []
            for case in CASES:
                notified = np.concatenate([each[place] for each in found[year, case]])
                cells.append(f"{(notified < 126).mean():.2f} / {(notified < YEAR).mean():.2f}")
            rows[f"{name}, {year} year"] = cells
    table(title, list(CASES), rows)


def alone(found: Mapping[tuple[str, str], Sequence[Sequence[Floats]]]) -> None:
    """The share of paths that each rule notifies of alone within 126 and 252 rows."""
    rows = {}
    for place, rule in enumerate(RULES, start=len(NAMES)):
        for year in STARTS:
            cells = []
            for case in CASES:
                days = np.concatenate([each[place] for each in found[year, case]])
                cells.append(f"{(days < 126).mean():.2f} / {(days < YEAR).mean():.2f}")
            rows[f"`{rule}`, {year} year"] = cells
    table(f"Each rule alone at {ALONE:.0%} of healthy years, by its evidence:", list(CASES), rows)


def simulated() -> None:
    """The frontier on simulated strategies, the rules' shares, and the product as shipped."""
    rng = np.random.default_rng(17)
    unions = [*UNIONS, *SHIPPED.values(), *RULES]
    found: dict[tuple[str, str], list[list[Floats]]] = {}
    worth: dict[int, list[Strategy]] = {}
    alarms: dict[int, dict[str, list[Floats]]] = {}
    loss: dict[int, list[Floats]] = {}
    for sharpe in (1, 2, 3):
        mean = sharpe * SD / math.sqrt(YEAR)
        of_sharpe = list(strategies([mean + shocks(rng, ROWS) for _ in range(RECORDS)]))
        worth[sharpe], alarms[sharpe], loss[sharpe] = of_sharpe, {"P0": [], "P": []}, []
        own = {f"{sharpe} -> 0", "nothing", "volatility x 1.5"} | (
            {"1 -> -1"} if sharpe == 1 else set()
        )
        for one in of_sharpe:
            healthy = mean + shocks(rng, 3 * YEAR, FUTURES)
            for year, start in STARTS.items():
                for case in own:
                    logs = changed(healthy[: start + YEAR], mean, SD, case, start)
                    notified = one.notified(logs, start, unions)
                    found.setdefault((year, case), []).append(notified)
                    if year == "first" and case in ("nothing", f"{sharpe} -> 0"):
                        alarms[sharpe]["P0" if case == "nothing" else "P"].append(
                            notified[len(UNIONS)] < YEAR
                        )
            lost = shocks(rng, LONG * YEAR, FUTURES // 2)
            (notified,) = one.notified(np.log1p(lost), 0, ["warning"])
            fallen = (mean - lost).cumsum(axis=0) / (SD * math.sqrt(YEAR))
            days = np.minimum(notified, len(lost) - 1).astype(np.int64)
            at_notice = fallen[days, np.arange(len(days))]
            loss[sharpe].append(np.where(notified < math.inf, at_notice, math.inf))
    frontier("Notified within 126 / 252 rows of the change, simulated strategies:", found)
    alone(found)
    per_rule: dict[str, list[str]] = {}
    for rule in RULES:
        cells = []
        for each in worth.values():
            levels = [
                Budgets().levels_of("", one.calibration, 1).get(rule, (0.0,))[0] for one in each
            ]
            worths = [
                one.calibration.worth(rule, level, level)
                for one, level in zip(each, levels, strict=True)
            ]
            if None in [one.power_252 for one in worths]:
                cells.append("-")
                continue
            values = [
                float(np.median([getattr(one, name) for one in worths]))
                for name in (
                    "power_252",
                    "delay_sessions",
                    "minimal_delay_sessions",
                    "share_of_limit",
                )
            ]
            cells.append("{:.2f}; {:,.0f} of {:,.0f}; {:.2f}".format(*values))
        per_rule[f"`{rule}`"] = cells
    heads = [f"Sharpe ratio {sharpe}" for sharpe in worth]
    table(
        "Each rule at its level as shipped, medians: power in 252 rows; delay of the least one; "
        "share of the limit:",
        heads,
        per_rule,
    )
    net = {}
    for sharpe, each in alarms.items():
        before, after = (float(np.concatenate(each[name]).mean()) for name in ("P0", "P"))
        shift = mean_shift(sharpe * math.sqrt(INFORMATION), YEAR)
        limit = float(best_power(shift, np.array([before]), YEAR)[0])
        losses = np.concatenate(loss[sharpe])
        net[f"Sharpe {sharpe} -> 0"] = [
            f"{before:.3f}", f"{after:.2f}", f"{limit:.2f}",
            f"{(after - before) / (limit - before):.2f}",
            f"{np.median(losses):.2f}", f"{np.isfinite(losses).mean():.2f}",
        ]  # fmt: skip
    heads = [
        "false alarms P0",
        "notified P",
        "limit at P0",
        "net share",
        "median loss until notified",
        f"notified in {LONG} years",
    ]
    table(
        "The product as shipped, first year; losses against expectation in own annual standard "
        "deviations:",
        heads,
        net,
    )


def of_sample() -> None:
    """The frontier on real years of the sample's strategies, every third one."""
    file = Path(sample.__file__).parent / "sample_data" / "daily.parquet"
    frame = ParquetTable(file).read().sort("strategy", "date")
    unions = [*UNIONS, *SHIPPED.values()]
    found: dict[tuple[str, str], list[list[Floats]]] = {}
    for rows in frame.partition_by("strategy"):
        returns = rows["return"].to_numpy()
        starts = range(WINDOW, len(returns) - 3 * YEAR + 1, 3 * YEAR)
        for start, one in zip(starts, strategies([returns[:at] for at in starts]), strict=True):
            before, after = returns[:start], returns[start : start + 3 * YEAR]
            mean, sd = float(before.mean()), float(before.std())
            for year, begins in STARTS.items():
                columns = [
                    changed(after[: begins + YEAR, np.newaxis], mean, sd, case, begins)
                    for case in CASES
                ]
                # As many columns as the compiled loops take side by side.
                logs = np.tile(np.concatenate(columns, axis=1), 3)
                notified = one.notified(logs, begins, unions)
                for place, case in enumerate(CASES):
                    found.setdefault((year, case), []).append([each[[place]] for each in notified])
    count = len(found["first", "nothing"])
    frontier(f"The same on {count} real strategy-years of the bundled sample:", found)


def main() -> None:
    """Print the tables."""
    started = time.process_time()
    simulated()
    of_sample()
    sys.stdout.write(f"\n{time.process_time() - started:.0f} s of CPU\n")


if __name__ == "__main__":
    main()
