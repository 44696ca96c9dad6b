"""Rebuild the bundled sample from the wide research files: long form, segments, groups.

Run: python deploy/build_sample.py SOURCE_FOLDER
SOURCE_FOLDER holds strategy_daily_returns.parquet and strategy_trades.csv.gz,
themselves computed from the prices bundled with skfolio (see NOTICE).
Reruns are byte-identical.
"""

import sys
from datetime import date
from pathlib import Path

import polars as pl

TARGET = Path(__file__).parent.parent / "perf_alerts_dagster/records/sources/sample_data"
INDEX = ("sma_50_200", "rsi2_reversion", "turn_of_month", "vol_managed_spx", "wfo_sma_spx")
LIVE_YEARS = 3


def main(source: Path) -> None:
    """Write daily.parquet, trades.parquet and strategies.csv."""
    wide = pl.read_parquet(source / "strategy_daily_returns.parquet")
    wide = wide.with_columns(pl.col("date").cast(pl.Date))
    end: date = wide["date"].to_list()[-1]
    live_from = end.replace(year=end.year - LIVE_YEARS)
    daily = (
        wide.unpivot(index="date", variable_name="strategy", value_name="return")
        .filter(pl.col("return").is_not_null() & pl.col("return").is_not_nan())
        # Its constant was fixed on 1990-1994, so those years are no record.
        .filter((pl.col("strategy") != "vol_managed_spx") | (pl.col("date") >= date(1995, 1, 1)))
        .with_columns(
            segment=pl.when(pl.col("date") > live_from)
            .then(pl.lit("live"))
            .otherwise(pl.lit("backtest"))
        )
        .select("strategy", "date", "return", "segment")
        .sort("strategy", "date")
    )
    daily.write_parquet(TARGET / "daily.parquet", compression="zstd", compression_level=19)
    names = daily["strategy"].unique().sort()
    pl.DataFrame(
        {
            "strategy": names,
            "status": ["live"] * len(names),
            "group": [_group(name) for name in names],
            # Nobody trades the sample; a desk's pages name who answers.
            "owner": [f"{_group(name)} desk" for name in names],
        }
    ).write_csv(TARGET / "strategies.csv")
    trades = pl.read_csv(source / "strategy_trades.csv.gz", try_parse_dates=True)
    trades.select(
        pl.int_range(1, len(trades) + 1).alias("trade_id"),
        "strategy",
        "symbol",
        "side",
        pl.col("entry_date").cast(pl.Date).alias("entry_time"),
        pl.col("exit_date").cast(pl.Date).alias("exit_time"),
        pl.col("net_return").mul(pl.col("weight")).round(10).alias("pnl"),
        pl.col("cost").mul(pl.col("weight")).round(10).alias("cost"),
    ).sort("exit_time", "trade_id").write_parquet(
        TARGET / "trades.parquet", compression="zstd", compression_level=19
    )


def _group(name: str) -> str:
    if name.startswith("etf_"):
        return "etf"
    return "index" if name in INDEX else "stocks"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
