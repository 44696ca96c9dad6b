"""Build the sample's two made-up strategies: their rows, benchmark, shadow and names.

Run: python deploy/build_made_up.py
Their sessions are those of the sample's real strategies. The seed is the first that was tried.
docs/records.md describes what is made here. Reruns are byte-identical.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

SAMPLE = Path(__file__).parent.parent / "perf_alerts_dagster/records/sources/sample_data"
SEED = 20261130
YEAR = 252
# The replay's first session, counted from the sample's end, and what comes before it.
REVEALED = YEAR
FAULTY, LEARNT, BACKTEST = 60, 252, 6 * YEAR
# Of a year; shares of the capital.
MARKET_SHARPE, MARKET_VOLATILITY = 0.5, 0.16
BETA, OWN_SHARPE, OWN_VOLATILITY = 0.4, 1.5, 0.08
DEGREES = 6
# Live against the model: noise in the model's standard deviations, the size that is planted,
# the cost of a session that the shadow expects.
NOISE, SIZE, COST = 0.1, 0.8, 0.00003
VERSION = "1.0"
SIZES = {"made_up_steady": 1.0, "made_up_undersized": SIZE}


class MadeUp(NamedTuple):
    """Their tables."""

    daily: pl.DataFrame
    shadow: pl.DataFrame


def made_up(sessions: pl.Series) -> MadeUp:
    """The strategies on the newest of these sessions, which rise."""
    rng = np.random.default_rng(SEED)
    dates = sessions.tail(BACKTEST + LEARNT + FAULTY + REVEALED)
    live = np.arange(len(dates)) >= BACKTEST
    faulty = np.arange(len(dates)) >= BACKTEST + LEARNT

    def shocks() -> np.ndarray:
        """Daily shocks with fat tails, of variance 1."""
        return rng.standard_t(DEGREES, len(dates)) * np.sqrt((DEGREES - 2) / DEGREES)

    def returns(sharpe: float, volatility: float) -> np.ndarray:
        return volatility * (sharpe / YEAR + shocks() / np.sqrt(YEAR))

    market = returns(MARKET_SHARPE, MARKET_VOLATILITY)
    daily, shadow = [], []
    for name, size in SIZES.items():
        model = BETA * market + returns(OWN_SHARPE, OWN_VOLATILITY)
        noise = NOISE * model.std() * shocks()
        traded = np.where(faulty, size, 1.0) * model + noise * live - COST
        rows = pl.DataFrame({"strategy": name, "date": dates})
        daily.append(
            rows.with_columns(
                pl.Series("return", traded.round(6)),
                pl.Series("segment", np.where(live, "live", "backtest")),
                pl.Series("benchmark", market.round(6)),
            )
        )
        shadow.append(
            rows.with_columns(
                pl.Series("return", model.round(6)),
                pl.lit(COST).alias("expected_cost"),
                pl.lit(VERSION).alias("model_version"),
            ).filter(live)
        )
    return MadeUp(pl.concat(daily), pl.concat(shadow))


def main() -> None:
    """Write daily.parquet, shadow.parquet and strategies.csv."""
    sessions = pl.read_parquet(SAMPLE / "daily.parquet")["date"].unique().sort()
    for name, table in made_up(sessions)._asdict().items():
        file = SAMPLE / "made_up" / f"{name}.parquet"
        table.write_parquet(file, compression="zstd", compression_level=19)
    lines = ["strategy,status,owner", *(f"{name},live,made up" for name in SIZES), ""]
    (SAMPLE / "made_up" / "strategies.csv").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
