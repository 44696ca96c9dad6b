"""The `daily` table: one row per strategy and session, checked and split by strategy."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl

from perf_alerts_dagster.core.errors import RecordsInvalid
from perf_alerts_dagster.records.groups import is_group
from perf_alerts_dagster.records.model import (
    Dates,
    Floats,
    RecordFault,
    StrategyRecord,
    TrackRecords,
    Words,
)
from perf_alerts_dagster.records.sources import tables
from perf_alerts_dagster.records.sources.suspicions import suspicions
from perf_alerts_dagster.records.sources.tables import NO_NAME, Broken, Table, number_rules

_LONGEST_NAME = 200
# Returns beside P&L and capital are often rounded to a hundredth of a percent.
_APART = 0.0001
_AFTER_LIVE = "after_live"
_SHADOW = "shadow"
BENCHMARK = "benchmark"


def daily_rules(frame: pl.DataFrame, today: date) -> list[Broken]:
    """The rules of the typed daily table; see docs/records.md for its columns."""
    rules = [
        tables.TORN_ROW,
        Broken("strategy", "is empty", pl.col("strategy") == NO_NAME),
        *name_rules("strategy", "currency", "group"),
        Broken(
            "strategy",
            "is a group's name (ALL, ALL:... or group:...)",
            pl.col("strategy").is_in(list(filter(is_group, frame["strategy"].unique()))),
        ),
        *tables.date_rules("date"),
        Broken("date", f"is in the future (today is {today})", pl.col("date") > today),
        tables.once_a_day(
            "is there twice for this strategy", "strategy", _AFTER_LIVE, kept=~pl.col(_AFTER_LIVE)
        ),
        Broken(
            "segment",
            "must be backtest, live or shadow",
            ~pl.col("segment").is_in(["backtest", "live"]).fill_null(value=False),
        ),
        Broken(
            "currency",
            "changes within the strategy",
            (pl.col("currency").drop_nulls().n_unique() > 1).over("strategy")
            & (pl.col("currency") != pl.col("currency").drop_nulls().first().over("strategy")),
        ),
    ]
    if "pnl" not in frame.columns:
        return [*rules, *number_rules("return")]
    return [*rules, *money_rules(frame)]


def name_rules(*columns: str) -> list[Broken]:
    """The rules of columns of names: of strategies, groups, currencies or owners."""
    rules = []
    for column in columns:
        cell, length = pl.col(column), f"is longer than {_LONGEST_NAME} characters"
        rules += [
            Broken(column, length, cell.str.len_chars() > _LONGEST_NAME),
            Broken(column, "holds a control character", cell.str.contains(tables.CONTROLS)),
        ]
    return rules


def days_of(rows: pl.DataFrame, column: str) -> Dates:
    """A column of dates without a null as an array."""
    return rows[column].to_numpy().astype("datetime64[D]")


def floats_of(rows: pl.DataFrame, column: str) -> Floats:
    """A column of numbers as an array, NaN where it is null."""
    return rows[column].to_numpy().astype(np.float64)


def words_of(rows: pl.DataFrame, column: str) -> Words:
    """A column of text as an array, "" where it is null."""
    return rows[column].fill_null("").to_numpy().astype(np.str_)


def return_on(pnl: Floats, capital: Floats) -> Floats:
    """P&L over capital; no capital and no P&L is an inactive day."""
    return np.divide(pnl, capital, out=np.zeros_like(pnl), where=capital > 0)


def money_rules(frame: pl.DataFrame) -> list[Broken]:
    """The rules of P&L, its capital, and a return beside them."""
    pnl, capital = pl.col("pnl"), pl.col("capital")
    is_number = (capital > 0) & pnl.is_finite()
    rules = [
        *number_rules("pnl"),
        *number_rules("capital"),
        Broken("capital", "is negative", capital < 0),
        Broken("capital", "is zero while pnl is not", (capital == 0) & (pnl != 0)),
        Broken("pnl", "is too large against capital", is_number & ~(pnl / capital).is_finite()),
    ]
    if "return" in frame.columns:
        stated = pl.col("return")
        quotient = pl.when(capital > 0).then(pnl / capital).otherwise(0.0)
        rules += [
            Broken("return", tables.NOT_A_NUMBER, pl.col("return__filled") & stated.is_null()),
            Broken(
                "return",
                f"is not pnl / capital, by more than {_APART}",
                quotient.is_finite() & ((stated - quotient).abs() > _APART),
            ),
        ]
    return rules


def with_safe_names(
    faults: Mapping[str, tuple[RecordFault, ...]],
) -> dict[str, tuple[RecordFault, ...]]:
    """The faults by names that are safe to store and show.

    A name that breaks the rules is escaped and cut, with a digest that keeps it unique, also from
    the names of groups.
    """
    return {
        (name := _safe_name(raw)): tuple(replace(fault, strategy=name) for fault in of_strategy)
        for raw, of_strategy in faults.items()
    }


def _safe_name(raw: str) -> str:
    is_plain = len(raw) <= _LONGEST_NAME and not is_group(raw)
    if is_plain and not pl.Series([raw]).str.contains(tables.CONTROLS).item():
        return raw
    digest = hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{tables.listed([raw])} ({digest[:8]})"


def read_daily(
    table: Table, columns: Mapping[str, str], today: date
) -> tuple[TrackRecords, pl.DataFrame]:
    """Read and check the daily table; a bad row makes only its own strategy faulty.

    Returns the records, and the raw rows of the segment `shadow`, which are no part of them.

    Raises:
        RecordsUnavailable: the table cannot be reached.
        RecordsInvalid: it is empty, or lacks a column: `pnl` with `capital`, or `return`.
    """
    raw = tables.read(table, columns, "strategy", "date")
    raw, notes = one_form(raw, table)
    segments = raw.select(tables.ROW, segment=tables.text(raw, "segment").str.to_lowercase())[
        "segment"
    ]
    is_shadow = (segments == _SHADOW).fill_null(value=False)
    shadows = raw.filter(is_shadow)
    if len(shadows):
        raw, segments = raw.filter(~is_shadow), segments.filter(~is_shadow)
    if raw.is_empty():
        only = " but for rows of the segment shadow" if len(shadows) else ""
        raise RecordsInvalid(f"{table.name}: the table is empty{only}")
    frame, extras = _typed(raw, segments)
    bad_benchmarks: dict[str, tuple[RecordFault, ...]] = {}
    if BENCHMARK in extras:
        # An empty cell is a day without one.
        rules = number_rules(BENCHMARK)[1:]
        bad_benchmarks = tables.collect(frame, raw, table, rules)
        notes += without_benchmark(table, bad_benchmarks.keys() - {NO_NAME})
    elif BENCHMARK in raw.columns:
        notes.append(f"{table.name}: the column benchmark holds no number and is not used")
    if "segment" not in raw.columns:
        notes.append("there is no column segment: every row is taken as live")
    faults = tables.collect(frame, raw, table, daily_rules(frame, today))
    good = frame.filter(~pl.col("strategy").is_in([*faults, NO_NAME]))
    after = good.filter(pl.col(_AFTER_LIVE)).group_by("strategy").len().sort("strategy")
    notes += [
        f"{name}: {count} backtest rows on or after its first live day are left out"
        for name, count in after.iter_rows()
    ]
    good = good.filter(~pl.col(_AFTER_LIVE)).sort("strategy", "date")
    strategies = {}
    for (name,), rows in good.partition_by("strategy", as_dict=True, maintain_order=True).items():
        whole = _record(str(name), rows, extras, has_benchmark=name not in bad_benchmarks)
        notes += suspicions(whole)
        strategies[str(name)] = record = whole.until_wipe_out()
        if len(record) < len(whole):
            notes.append(f"{name}: {len(whole) - len(record)} rows after its wipe-out are left out")
    records = TrackRecords(
        source=table.name,
        strategies=strategies,
        faults=faults,
        notes=tuple(notes),
        table_faults=tuple(fault for each in bad_benchmarks.values() for fault in each),
        faulty=_faulty(frame, faults),
    )
    return records, shadows


def without_benchmark(table: Table, names: Iterable[str]) -> Iterator[str]:
    """A note on each name whose benchmark has faults: half of one would choose the days."""
    for name in sorted(names):
        yield f"{table.name}: {tables.listed([name])} has no benchmark: its rows have faults"


def _faulty(
    frame: pl.DataFrame, faults: Mapping[str, tuple[RecordFault, ...]]
) -> dict[str, tuple[str | None, str | None]]:
    """The (group, currency) of the strategies with faults, as for good ones."""
    rows = frame.filter(pl.col("strategy").is_in(list(faults))).sort("date")
    named = rows.group_by("strategy").agg(
        pl.col("group").last(), pl.col("currency").drop_nulls().first()
    )
    return {name: (group, currency) for name, group, currency in named.iter_rows()}


def one_form(raw: pl.DataFrame, table: Table) -> tuple[pl.DataFrame, list[str]]:
    """The table with `pnl` and `capital`, or `return` alone, and a note on columns left out."""
    if "return" not in raw.columns:
        tables.require(raw, table, "pnl", "capital")
        return raw, []
    money = [name for name in ("pnl", "capital") if name in raw.columns]
    if len(money) == 1:
        note = f"{table.name}: there is a column return, so {money[0]} alone is not used"
        return raw.drop(money), [note]
    note = f"{table.name}: pnl and capital are used, and return is only compared with them"
    return raw, [note] if money else []


def _typed(raw: pl.DataFrame, segments: pl.Series) -> tuple[pl.DataFrame, list[str]]:
    """The typed table, with `x__filled` for required columns, and the extra columns' names."""
    numbers = [name for name in ("pnl", "capital", "return") if name in raw.columns]
    known = {*tables.DAILY_COLUMNS, tables.ROW, tables.TORN}
    extras = [
        name
        for name in raw.columns
        if name not in known and raw.select(tables.number(raw, name).is_finite().any()).item()
    ]
    columns: dict[str, pl.Expr] = {
        **tables.dates(raw, "date"),
        **tables.numbers(raw, *numbers),
        "segment": pl.lit(segments if "segment" in raw.columns else "live"),
        **{name: tables.text(raw, name) for name in ("currency", "group")},
        **{f"extra__{name}": _extra(raw, name) for name in extras},
        **(tables.numbers(raw, BENCHMARK) if BENCHMARK in extras else {}),
    }
    return _with_after_live(tables.typed(raw, columns)), extras


def _with_after_live(frame: pl.DataFrame) -> pl.DataFrame:
    """Mark backtest rows on or after the first live day, which are left out.

    The reference never holds a row that comes after what it judges.
    """
    is_backtest = pl.col("segment") == "backtest"
    lives = frame.filter(pl.col("segment") == "live")
    if len(lives) == len(frame):
        return frame.with_columns(pl.lit(value=False).alias(_AFTER_LIVE))
    first = lives.group_by("strategy").agg(pl.col("date").min().alias("first_live"))
    is_after = is_backtest & (pl.col("date") >= pl.col("first_live"))
    return frame.join(first, on="strategy", how="left", maintain_order="left").with_columns(
        is_after.fill_null(value=False).alias(_AFTER_LIVE)
    )


def _extra(raw: pl.DataFrame, column: str) -> pl.Expr:
    """A further column's numbers; infinite where a filled cell holds no number."""
    value = tables.number(raw, column)
    has_none = tables.is_filled(raw, column) & value.is_null()
    return pl.when(has_none).then(float("inf")).otherwise(value)


def _record(
    name: str, rows: pl.DataFrame, extras: list[str], *, has_benchmark: bool
) -> StrategyRecord:
    pnl = capital = benchmark = None
    if "pnl" not in rows.columns:
        returns = floats_of(rows, "return")
    else:
        pnl, capital = (floats_of(rows, column) for column in ("pnl", "capital"))
        returns = return_on(pnl, capital)
    if BENCHMARK in extras and has_benchmark and rows[BENCHMARK].count():
        benchmark = floats_of(rows, BENCHMARK)
    return StrategyRecord(
        strategy=name,
        dates=days_of(rows, "date"),
        returns=returns,
        live=(rows["segment"] == "live").to_numpy(),
        pnl=pnl,
        capital=capital,
        extras={
            extra: values
            for extra in extras
            # A column with a cell that is no number is dropped for this strategy only.
            if not np.isinf(
                values := rows[f"extra__{extra}"].fill_null(float("nan")).to_numpy()
            ).any()
        },
        benchmark=benchmark,
        currency=next(iter(rows["currency"].drop_nulls().to_list()), None),
        group=rows["group"].to_list()[-1],
    )
