"""The rules that a row of the `daily` table may break."""

from datetime import date

import polars as pl

from perf_alerts_dagster.adapters.records.cells import NO_NAME, TORN_ROW, Broken, number_rules

_LONGEST_NAME = 200
# Also line and paragraph separators, and those that turn the direction of the text around.
_CONTROLS = r"[\p{Cc}\p{Zl}\p{Zp}\x{202A}-\x{202E}\x{2066}-\x{2069}]"
# Returns beside P&L and capital are often rounded to a hundredth of a percent.
_APART = 0.0001


def daily_rules(frame: pl.DataFrame, today: date) -> list[Broken]:
    """The rules of the typed daily table; see `daily` for its columns."""
    name = pl.col("strategy")
    rules = [
        TORN_ROW,
        Broken("strategy", "is empty", name == NO_NAME),
        Broken(
            "strategy",
            f"is longer than {_LONGEST_NAME} characters",
            name.str.len_chars() > _LONGEST_NAME,
        ),
        Broken("strategy", "holds a control character", name.str.contains(_CONTROLS)),
        Broken("date", "is empty", ~pl.col("date__filled")),
        Broken(
            "date",
            "is no date YYYY-MM-DD",
            pl.col("date__filled") & pl.col("date").is_null(),
        ),
        Broken("date", f"is in the future (today is {today})", pl.col("date") > today),
        Broken(
            "date",
            "is there twice for this strategy",
            pl.col("date").is_not_null() & ~pl.struct("strategy", "date").is_first_distinct(),
        ),
        Broken("segment", "must be backtest or live", ~_is_segment()),
        Broken(
            "currency",
            "changes within the strategy",
            (pl.col("currency").drop_nulls().n_unique() > 1).over("strategy")
            & (pl.col("currency") != pl.col("currency").drop_nulls().first().over("strategy")),
        ),
    ]
    if "pnl" not in frame.columns:
        return [*rules, *number_rules("return")]
    return [*rules, *number_rules("pnl"), *number_rules("capital"), *_money_rules(frame)]


def _money_rules(frame: pl.DataFrame) -> list[Broken]:
    pnl, capital = pl.col("pnl"), pl.col("capital")
    is_number = (capital > 0) & pnl.is_finite()
    rules = [
        Broken("capital", "is negative", capital < 0),
        Broken("capital", "is zero while pnl is not", (capital == 0) & (pnl != 0)),
        Broken("pnl", "is too large against capital", is_number & ~(pnl / capital).is_finite()),
    ]
    if "return" in frame.columns:
        given = pl.col("return")
        quotient = pl.when(capital > 0).then(pnl / capital).otherwise(0.0)
        rules += [
            Broken("return", "is not a number", pl.col("return__filled") & given.is_null()),
            Broken(
                "return",
                f"is not pnl / capital, by more than {_APART}",
                quotient.is_finite() & ((given - quotient).abs() > _APART),
            ),
        ]
    return rules


def _is_segment() -> pl.Expr:
    return pl.col("segment").is_in(["backtest", "live"]).fill_null(value=False)
