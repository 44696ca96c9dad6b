"""How often each rule passes its threshold in years in which nothing changed.

Run from the project's folder: `.venv/bin/python docs/studies/healthy_years.py [ROWS]`. One record
of 100,000 rows of each of nine kinds; every 252 rows a strategy goes live on the rows before, and
its first year is rated by its own healthy lives. Then the real years of the bundled sample. Prints
Markdown: the share of years with p_year <= 5 % / 1 %. Takes a minute or two.
"""

import sys
from collections.abc import Iterable

import numpy as np
from years import LiveYear, live_years, sample_records

from perf_alerts_dagster.projections.calibration import LIVES, yearly_share
from perf_alerts_dagster.projections.lives import draw_lives
from perf_alerts_dagster.projections.walk import Walk, days_of
from perf_alerts_dagster.projections.watchers import STATISTICS, YEAR
from perf_alerts_dagster.records.model import Floats

ROWS = 100_000
SHARPE = 1.0
SD = 0.008
NOMINAL = (0.05, 0.01)


def switching(rng: np.random.Generator, rows: int, into: float, out: float) -> Floats:
    """A state (rows) that is entered and left with these probabilities a day."""
    drawn, state, states = rng.random(rows), False, np.empty(rows, dtype=bool)
    for day, number in enumerate(drawn.tolist()):
        state = number >= out if state else number < into
        states[day] = state
    return states


def autoregressive(rng: np.random.Generator, rows: int, weight: float) -> Floats:
    """Normal shocks with a first autocorrelation of `weight`."""
    shocks, last = rng.normal(0.0, SD * np.sqrt(1 - weight**2), rows), 0.0
    for day, shock in enumerate(shocks.tolist()):
        shocks[day] = last = weight * last + shock
    return shocks


def garch(rng: np.random.Generator, rows: int) -> Floats:
    """GARCH(1, 1) with t(8) shocks."""
    shocks, variance = rng.standard_t(8, rows) / np.sqrt(8 / 6), 1.0
    for day, shock in enumerate(shocks.tolist()):
        shocks[day] = np.sqrt(variance) * shock
        variance = 0.02 + 0.06 * variance * shock**2 + 0.92 * variance
    return shocks * SD


def records(rows: int) -> dict[str, Floats]:
    """Simple returns (rows) of each kind, of an annual Sharpe ratio of 1."""
    rng = np.random.default_rng(16)
    crashes = rng.random(rows) < 1 / YEAR
    wild, traded = switching(rng, rows, 0.01, 0.03), switching(rng, rows, 0.2, 0.3)
    kinds = {
        "normal": rng.normal(0.0, SD, rows),
        "t(5)": rng.standard_t(5, rows) * SD / np.sqrt(5 / 3),
        "autocorrelation +0.15": autoregressive(rng, rows, 0.15),
        "autocorrelation -0.15": autoregressive(rng, rows, -0.15),
        "short volatility: a crash of 8 % a year": np.where(
            crashes, rng.normal(-0.08, 0.015, rows), rng.normal(0.0, 0.003, rows)
        ),
        "two regimes of volatility, 1 to 3": rng.normal(0.0, 1.0, rows)
        * np.where(wild, 0.0145, 0.0048),
        "jumps on 2 % of days": rng.normal(0.0, 0.006, rows)
        + np.where(rng.random(rows) < 0.02, rng.normal(0.0, 0.035, rows), 0.0),
        "flat on 60 % of days": np.where(traded, rng.standard_t(5, rows) * 0.0097, 0.0),
        "GARCH(1, 1), t(8)": garch(rng, rows),
    }
    for kind, shocks in kinds.items():
        moves = shocks != 0.0
        drift = SHARPE * shocks.std() / np.sqrt(YEAR) - shocks.mean()
        kinds[kind] = np.expm1(np.where(moves, shocks + drift / moves.mean(), 0.0))
    return kinds


def share_of_years(year: LiveYear, walk: Walk) -> dict[str, float]:
    """Each rule's p_year at the worst of the year."""
    healthy = walk.yearly_worst(year.life, year.known, years=1)
    shares = {}
    for rule, days in year.badness().items():
        worst = float(days.max())
        shares[rule] = float((healthy[rule][0] >= worst).sum() + 1) / (LIVES + 1)
        if rule == "interval_breach":
            shares[rule] = year.known.band.share_below(worst, YEAR)
        if rule == "daily_exceedance":
            residuals = np.sort(year.known.residuals.standardised)
            shares[rule] = max(shares[rule], yearly_share(-worst, residuals))
    return shares


def row(name: str, rows: str, years: Iterable[LiveYear], walk: Walk) -> str:
    """A row of the table: the share of years in which each rule is within its budget."""
    shares = [share_of_years(year, walk) for year in years]
    cells = [name, rows, str(len(shares))]
    every = {rule: np.array([each[rule] for each in shares]) for rule in STATISTICS}
    gated = [values for rule, values in every.items() if STATISTICS[rule].in_union]
    for values in (*every.values(), np.min(gated, axis=0)):
        warning, critical = (f"{(values <= budget).mean():.1%}"[:-1] for budget in NOMINAL)
        cells.append(f"{warning} / {critical}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    walk = Walk(draw_lives(1, LIVES, days_of(years=1)))
    titles = ["record", "rows before", "years", *(rule.replace("_", " ") for rule in STATISTICS)]
    print(f"| {' | '.join(titles)} | any |")
    print(f"|{'---|' * (len(titles) + 1)}")
    for kind, returns in records(rows).items():
        for before in (756, 2_520):
            print(row(kind, f"{before:,}", live_years(returns, before), walk), flush=True)
    real = (year for returns, _ in sample_records().values() for year in live_years(returns))
    print(row("the sample's 16 strategies", "all", real, walk))


if __name__ == "__main__":
    main()
