"""What the decay beside a benchmark sees, when it is silent, and what components add.

Run from the project's folder: `.venv/bin/python docs/studies/hedged.py [STRATEGIES]`; 40 of each
case take two minutes of CPU. Strategies have 2,520 rows of t(5) and a beta of 1, and are rated by
their own healthy lives at 5 % of years. Prints Markdown.
"""

import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.lives import draw_lives, hedged_reference, life_of
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.walk import Walk, badness_of
from perf_alerts_dagster.projections.watchers import YEAR, Known
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.records.sources import sample
from perf_alerts_dagster.records.sources.files import ParquetTable
from perf_alerts_dagster.statistics.decay import MOST, WEIGHTS, decay_reference
from perf_alerts_dagster.statistics.ewma_volatility import filter_returns
from perf_alerts_dagster.statistics.hedge import Hedge, Others, against_own, hedge_of, rows_on

RAW, HEDGED = "decay_cusum", "hedged_decay_cusum"
BACKTEST, LIVES, PATHS, YEARS = 2_520, 2_000, 200, 3
SHARPE, SD, LEVEL = 2.0, 0.008, 0.05
COUNT = 40
SHARES = (0.3, 0.5, 0.8)
# It holds the S&P 500, more or less of it, and stands for an index.
INDEX = "vol_managed_spx"
_BAND = draw(1, 1_000, YEAR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What happens to the live rows: the Sharpe ratio lost from a day on, and to the benchmark."""

    name: str
    lost: float = 0.0
    day: int = 0
    drift: float = 0.0
    crash: float = 0.0


CASES = (
    Case(name="nothing changes"),
    Case(name="Sharpe 2 to 0, first year", lost=2.0),
    Case(name="Sharpe 1 to 0 (of 2), first year", lost=1.0),
    Case(name="Sharpe 2 to 0, third year", lost=2.0, day=2 * YEAR),
    Case(name="beta drifts, sd .2 a year", drift=0.2),
    Case(name="beta drifts, sd .5 a year", drift=0.5),
    Case(name="benchmark falls 30 % in 60 days", crash=0.3),
    Case(name="both: beta drifts, sd .2, and a fall of 30 %", drift=0.2, crash=0.3),
)

GAPS = (
    Case(name="as its backtest"),
    Case(name="30 % below it, and unchanged", lost=0.6),
    Case(name="50 % below it, and unchanged", lost=1.0),
    Case(name="73 % below it, and unchanged", lost=1.46),
    Case(name="Sharpe 2 to 0 in the second year", lost=2.0, day=YEAR),
    Case(name="Sharpe 2 to 0 in the third year", lost=2.0, day=2 * YEAR),
)


def shocks(rng: np.random.Generator, rows: int, count: int = 1) -> Floats:
    """t(5) of variance 1 (rows, N)."""
    return rng.standard_t(5, (rows, count)) / np.sqrt(5 / 3)


def record_of(returns: Floats, benchmark: Floats | None, name: str = "one") -> StrategyRecord:
    """A backtest."""
    days = np.busday_offset(np.datetime64("2010-01-04"), np.arange(len(returns)), roll="forward")
    return StrategyRecord(
        strategy=name,
        dates=days,
        returns=returns,
        live=np.zeros(len(returns), dtype=bool),
        benchmark=benchmark,
    )


class Strategy:
    """A strategy with the benchmark's share `r2` of its variance, and its thresholds by year."""

    def __init__(self, r2: float, seed: int) -> None:
        self.rng = np.random.default_rng([seed, round(100 * r2)])
        self.own, self.market = SD * np.sqrt(1.0 - r2), SD * np.sqrt(r2)
        benchmark = self.market * shocks(self.rng, BACKTEST)[:, 0] + 0.0003
        returns = benchmark + self.own * shocks(self.rng, BACKTEST)[:, 0]
        returns += SHARPE * SD / np.sqrt(YEAR) - 0.0003
        record = record_of(returns, benchmark)
        residuals, decay = filter_returns(returns[-756:]), decay_reference(np.log1p(returns))
        if residuals is None or decay is None:
            raise ValueError("the returns do not vary")
        hedge, hedged = hedged_reference(record, partial(Others, {}), 0.0)
        self.hedge = hedge or Hedge(rows=0)
        (band,) = fans([residuals], _BAND, YEAR)
        self.known = Known(residuals=residuals, band=band, decay=decay, hedge=hedge)
        self.life = life_of(returns, residuals, decay, hedged=hedged)

    def thresholds(self, walk: Walk) -> dict[str, Floats]:
        """By rule, the badness (years) that 5 % of healthy years reach."""
        worst = walk.yearly_worst(self.life, self.known, rules=(RAW, HEDGED), years=YEARS)
        return {rule: np.quantile(each, 1.0 - LEVEL, axis=1) for rule, each in worst.items()}

    def lived(self, case: Case, rows: int) -> tuple[Floats, Floats]:
        """Live returns and the benchmark's (rows, N)."""
        benchmark = self.market * shocks(self.rng, rows, PATHS) + 0.0003
        benchmark[case.day : case.day + 60] += np.log1p(-case.crash) / 60.0
        steps = case.drift / np.sqrt(YEAR) * self.rng.standard_normal((rows, PATHS))
        own = self.own * shocks(self.rng, rows, PATHS)
        returns = (1.0 + steps.cumsum(axis=0)) * benchmark + own
        returns += SHARPE * SD / np.sqrt(YEAR) - 0.0003
        returns[case.day :] -= case.lost * SD / np.sqrt(YEAR)
        return returns, benchmark

    def hedged(self, returns: Floats, benchmark: Floats) -> Floats:
        """The live returns, hedged."""
        return returns - self.hedge.beta * (benchmark - self.hedge.mean)

    def found(self, case: Case, limits: dict[str, Floats]) -> dict[str, float]:
        """By rule, the share of paths found within a year of the change, alone at 5 %."""
        rows, year = case.day + YEAR, case.day // YEAR
        returns, benchmark = self.lived(case, rows)
        given = {RAW: np.log1p(returns), HEDGED: self.hedged(returns, benchmark)}
        shares = {}
        for rule, values in given.items():
            badness = badness_of(values, self.known, rules=[rule])[rule]
            shares[rule] = float((badness[case.day :].max(axis=0) >= limits[rule][year]).mean())
        return shares

    def notified(self, case: Case, limits: Floats) -> float:
        """The share of paths that are notified in three years, alone at 5 %."""
        hedged = self.hedged(*self.lived(case, YEARS * YEAR))
        own = own_sums(self.known.hedged.scores(hedged))
        years = np.arange(len(own)) // YEAR
        return float((own >= limits[years, np.newaxis]).any(axis=0).mean())


def own_sums(scores: Floats) -> Floats:
    """The sums of scores (days, N) beside those before them, from the second year on."""
    own = np.stack([against_own(each, YEAR) for each in scores.T], axis=1)
    sums, found = np.zeros((len(WEIGHTS), own.shape[1])), np.empty_like(own)
    weights = np.array(WEIGHTS)[:, np.newaxis]
    for day, score in enumerate(own):
        sums = (sums + 1.0) * np.exp(np.clip(-weights * score - weights**2 / 2.0, -MOST, MOST))
        found[day] = sums.sum(axis=0)
    return found


def print_power(count: int) -> None:
    """What is notified within a year, by share of the benchmark."""
    walk = Walk(draw_lives(1, LIVES, YEARS * YEAR))
    print(f"| within a year | unhedged | {' | '.join(f'R2 {share}' for share in SHARES)} |")
    print(f"|{'---|' * (len(SHARES) + 2)}")
    every = {share: [Strategy(share, seed) for seed in range(count)] for share in SHARES}
    strategies = {
        share: [(one, one.thresholds(walk)) for one in those if one.hedge.decay is not None]
        for share, those in every.items()
    }
    shares = [f"{len(strategies[share]) / count:.2f}" for share in SHARES]
    print(f"| strategies that are hedged | | {' | '.join(shares)} |")
    for case in CASES:
        cells, raw = [], []
        for share in SHARES:
            found = [one.found(case, limits) for one, limits in strategies[share]]
            raw += [each[RAW] for each in found]
            cells.append(f"{np.mean([each[HEDGED] for each in found]):.2f}")
        print(f"| {case.name} | {np.mean(raw):.2f} | {' | '.join(cells)} |", flush=True)
    print("\nNotified in the second or third year, against its own live rows:\n")
    print(f"| live | {' | '.join(f'R2 {share}' for share in SHARES)} |")
    print(f"|{'---|' * (len(SHARES) + 1)}")
    for case in GAPS:
        cells = [
            f"{np.mean([one.notified(case, limits[HEDGED]) for one, limits in found]):.2f}"
            for found in strategies.values()
        ]
        print(f"| {case.name} | {' | '.join(cells)} |", flush=True)


def print_components() -> None:
    """The out-of-sample R2 of the sample's ETFs by an index strategy, and with components."""
    frame = ParquetTable(Path(sample.__file__).parent / "sample_data" / "daily.parquet").read()
    records = {
        str(name): StrategyRecord(
            strategy=str(name),
            dates=rows["date"].to_numpy().astype("datetime64[D]"),
            returns=rows["return"].to_numpy(),
            live=(rows["segment"] == "live").to_numpy(),
        )
        for (name,), rows in frame.sort("date").partition_by("strategy", as_dict=True).items()
    }
    others = Others({name: one for name, one in records.items() if name != INDEX})
    print(f"\n| benchmark {INDEX} | R2 | with components | of strategies |\n|---|---|---|---|")
    for name, record in sorted(records.items()):
        reference = record.rows(0, int((~record.live).sum()))
        benchmark = rows_on(records, [INDEX], reference.dates)[:, 0]
        hedge = hedge_of(replace(reference, benchmark=benchmark), lambda: others)
        if hedge is not None and name != INDEX:
            wider = f"{hedge.r2:.2f}" if hedge.components else "none"
            print(f"| {name} | {hedge.r2_benchmark:.2f} | {wider} | {len(hedge.loadings)} |")


if __name__ == "__main__":
    print_power(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT)
    print_components()
