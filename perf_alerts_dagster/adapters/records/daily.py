"""The `daily` table: one row per strategy and session, checked and split by strategy."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from perf_alerts_dagster.adapters.records.cells import (
    NO_NAME,
    Broken,
    collect,
    day,
    number,
    number_rules,
    require,
    text,
)
from perf_alerts_dagster.adapters.records.tables import ROW, Table, renamed
from perf_alerts_dagster.domain.errors import RecordsInvalid
from perf_alerts_dagster.domain.record import RecordFault, StrategyRecord

_KNOWN = ("strategy", "date", "pnl", "capital", "return", "segment", "currency", "group")
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Daily:
    """The good strategies, the faults of the others, and remarks."""

    strategies: Mapping[str, StrategyRecord]
    faults: Mapping[str, tuple[RecordFault, ...]]
    notes: tuple[str, ...]


def read_daily(table: Table, columns: Mapping[str, str], today: date) -> Daily:
    """Read and check the table; one strategy's bad rows leave the others good.

    Raises:
        RecordsUnavailable: the table cannot be reached.
        RecordsInvalid: it is empty, lacks a column, or gives neither or both of `pnl` with
            `capital` and `return`.
    """
    raw = renamed(table.read(), columns, table)
    require(raw, table, "strategy", "date")
    has_return = "return" in raw.columns
    if has_return and {"pnl", "capital"} <= set(raw.columns):
        # P&L and capital say more; a return beside them is their quotient.
        raw, has_return = raw.drop("return"), False
    if not has_return:
        require(raw, table, "pnl", "capital")
    if raw.is_empty():
        raise RecordsInvalid(f"{table.name}: the table is empty")
    frame, notes, extras = _typed(raw, has_return=has_return)
    faults = collect(frame, table, _rules(frame, today, has_return=has_return))
    good = frame.filter(~pl.col("strategy").is_in([*faults, NO_NAME])).sort("strategy", "date")
    strategies = {}
    for (name,), rows in good.partition_by("strategy", as_dict=True, maintain_order=True).items():
        record, note = _record(str(name), rows, extras, has_return=has_return)
        strategies[str(name)] = record
        notes += note
    return Daily(strategies=strategies, faults=faults, notes=tuple(notes))


def _typed(
    raw: pl.DataFrame, *, has_return: bool
) -> tuple[pl.DataFrame, list[str], tuple[str, ...]]:
    """The frame with typed columns (`x` typed, `x__raw` as it stood), and the extra columns."""
    notes: list[str] = []
    numbers = ["return"] if has_return else ["pnl", "capital"]
    made = {
        "strategy": text(raw, "strategy").fill_null(NO_NAME),
        "date": day(raw, "date"),
        "date__raw": text(raw, "date"),
        **{name: number(raw, name) for name in numbers},
        **{f"{name}__raw": text(raw, name) for name in numbers},
    }
    if "segment" in raw.columns:
        made["segment"] = text(raw, "segment").str.to_lowercase()
    else:
        made["segment"] = pl.lit("live")
        notes.append("there is no column segment: every row is taken as live")
    for name in ("currency", "group"):
        made[name] = text(raw, name) if name in raw.columns else pl.lit(None, dtype=pl.String)
    extras = tuple(
        name for name in raw.columns if name not in (*_KNOWN, ROW) and _numeric(raw, name)
    )
    made |= {f"extra__{name}": number(raw, name) for name in extras}
    return (
        raw.select(pl.col(ROW), *(value.alias(name) for name, value in made.items())),
        notes,
        extras,
    )


def _numeric(raw: pl.DataFrame, column: str) -> bool:
    """Whether every cell that is filled is a finite number."""
    cells = raw.select(text(raw, column).alias("raw"), number(raw, column).alias("number"))
    filled = cells.filter(pl.col("raw").is_not_null())
    return len(filled) > 0 and bool(filled["number"].is_finite().fill_null(value=False).all())


def _rules(frame: pl.DataFrame, today: date, *, has_return: bool) -> list[Broken]:
    name = pl.col("strategy")
    numbers = ("return",) if has_return else ("pnl", "capital")
    rules = [
        Broken("strategy", "is empty", name == NO_NAME),
        Broken(
            "strategy",
            f"is longer than {_LONGEST_NAME} characters",
            name.str.len_chars() > _LONGEST_NAME,
        ),
        Broken("strategy", "holds a control character", name.str.contains(r"[\p{Cc}\p{Zl}\p{Zp}]")),
        Broken("date", "is empty", pl.col("date__raw").is_null()),
        Broken(
            "date",
            "is no date YYYY-MM-DD",
            pl.col("date__raw").is_not_null() & pl.col("date").is_null(),
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
    for column in numbers:
        rules += number_rules(column, f"{column}__raw")
    if not has_return:
        rules += [
            Broken("capital", "is negative", pl.col("capital") < 0),
            Broken(
                "capital",
                "is zero while pnl is not",
                (pl.col("capital") == 0) & (pl.col("pnl") != 0),
            ),
            Broken(
                "pnl",
                "is too large against capital",
                (pl.col("capital") > 0)
                & pl.col("pnl").is_finite()
                & ~(pl.col("pnl") / pl.col("capital")).is_finite(),
            ),
        ]
    return rules


def _is_segment() -> pl.Expr:
    return pl.col("segment").is_in(["backtest", "live"]).fill_null(value=False)


def _record(
    name: str, rows: pl.DataFrame, extras: tuple[str, ...], *, has_return: bool
) -> tuple[StrategyRecord, list[str]]:
    notes: list[str] = []
    pnl = capital = None
    if has_return:
        returns = rows["return"].to_numpy().astype(np.float64)
    else:
        pnl = rows["pnl"].to_numpy().astype(np.float64)
        capital = rows["capital"].to_numpy().astype(np.float64)
        # No capital and no P&L is an inactive day.
        returns = np.divide(pnl, capital, out=np.zeros_like(pnl), where=capital > 0)
    wiped = np.flatnonzero(returns <= -1.0)
    stop = int(wiped[0]) + 1 if len(wiped) else len(returns)
    if stop < len(returns):
        notes.append(f"{name}: {len(returns) - stop} rows after its wipe-out are left out")
    record = StrategyRecord(
        strategy=name,
        dates=rows["date"].to_numpy().astype("datetime64[D]"),
        returns=returns,
        live=(rows["segment"] == "live").to_numpy(),
        pnl=pnl,
        capital=capital,
        extras={
            extra: rows[f"extra__{extra}"].fill_null(float("nan")).to_numpy() for extra in extras
        },
        currency=next(iter(rows["currency"].drop_nulls().to_list()), None),
        group=rows["group"].to_list()[-1],
    )
    return (record.rows(0, stop) if stop < len(returns) else record), notes
