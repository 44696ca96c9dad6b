"""The rules that a row of the `daily` table may break."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import polars as pl

from perf_alerts_dagster.adapters.records.cells import NO_NAME, TORN_ROW, Broken, number_rules
from perf_alerts_dagster.adapters.records.tables import listed
from perf_alerts_dagster.domain.record import RecordFault

_LONGEST_NAME = 200
# Also line and paragraph separators, and those that turn the direction of the text around.
_CONTROLS = r"[\p{Cc}\p{Zl}\p{Zp}\x{202A}-\x{202E}\x{2066}-\x{2069}]"
# Returns beside P&L and capital are often rounded to a hundredth of a percent.
_APART = 0.0001


def daily_rules(frame: pl.DataFrame, today: date) -> list[Broken]:
    """The rules of the typed daily table; see `daily` for its columns."""
    rules = [
        TORN_ROW,
        Broken("strategy", "is empty", pl.col("strategy") == NO_NAME),
        *(rule for column in ("strategy", "currency", "group") for rule in name_rules(column)),
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


def name_rules(column: str) -> list[Broken]:
    """The rules of a text that becomes part of a strategy's or a group's name."""
    cell = pl.col(column)
    return [
        Broken(
            column,
            f"is longer than {_LONGEST_NAME} characters",
            cell.str.len_chars() > _LONGEST_NAME,
        ),
        Broken(column, "holds a control character", cell.str.contains(_CONTROLS)),
    ]


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


def told(faults: Mapping[str, tuple[RecordFault, ...]]) -> dict[str, tuple[RecordFault, ...]]:
    """The faults under names that every store and screen takes.

    A name that breaks the rules of names is escaped and cut; a digest keeps such names apart.
    """
    return {
        (name := _told_name(raw)): tuple(replace(fault, strategy=name) for fault in found)
        for raw, found in faults.items()
    }


def _told_name(raw: str) -> str:
    is_good = len(raw) <= _LONGEST_NAME and not pl.Series([raw]).str.contains(_CONTROLS).item()
    if is_good:
        return raw
    digest = hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{listed([raw])} ({digest[:8]})"
