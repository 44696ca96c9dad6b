"""The optional tables: closed trades, each strategy's status and owner, the trial matrix."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from perf_alerts_dagster.records.model import RecordFault, Status, StrategyRecord, Trades
from perf_alerts_dagster.records.sources.columns import (
    NO_NAME,
    TORN_ROW,
    Broken,
    collect,
    day,
    is_filled,
    number,
    number_rules,
    require,
    text,
)
from perf_alerts_dagster.records.sources.daily import Daily, name_rules
from perf_alerts_dagster.records.sources.table import ROW, TORN, Table, renamed

_MAXIMUM_SHOWN = 5
_TEXTS = ("status", "owner", "group", "calendar")


def with_trades(daily: Daily, table: Table, columns: Mapping[str, str]) -> Daily:
    """Give each strategy its closed trades; bad rows make their strategy faulty.

    Columns: `strategy, entry_time, exit_time, pnl`, optional `cost` (0), `trade_id, symbol,
    side`. `pnl` is net of cost.
    """
    raw = renamed(table.read(), columns, table)
    require(raw, table, "strategy", "entry_time", "exit_time", "pnl")
    cost = number(raw, "cost") if "cost" in raw.columns else pl.lit(0.0)
    frame = raw.select(
        pl.col(ROW, TORN),
        text(raw, "strategy").fill_null(NO_NAME).alias("strategy"),
        _moment_day(raw, "entry_time").alias("entry_time"),
        _moment_day(raw, "exit_time").alias("exit_time"),
        number(raw, "pnl").alias("pnl"),
        is_filled(raw, "pnl").alias("pnl__filled"),
        cost.alias("cost"),
    )
    rules = [
        TORN_ROW,
        *(
            Broken(name, "is no date YYYY-MM-DD, with or without a time", pl.col(name).is_null())
            for name in ("entry_time", "exit_time")
        ),
        Broken("exit_time", "is before entry_time", pl.col("exit_time") < pl.col("entry_time")),
        Broken("cost", "is not a finite number", ~pl.col("cost").is_finite().fill_null(False)),
        *number_rules("pnl"),
    ]
    faults = collect(frame, table, rules)
    known = set(daily.strategies)
    notes = _unknown_names(frame, daily, f"{table.name}: trades of unknown strategies")
    good = frame.filter(pl.col("strategy").is_in(list(known - set(faults))))
    parts = good.sort("exit_time", "entry_time", ROW).partition_by("strategy", as_dict=True)
    strategies = dict(daily.strategies)
    for (name,), rows in parts.items():
        strategies[str(name)] = replace(strategies[str(name)], trades=_trades(rows))
    return _without_faulty(
        replace(
            daily,
            strategies=strategies,
            notes=daily.notes + notes,
        ),
        faults,
    )


def with_strategies(daily: Daily, table: Table, columns: Mapping[str, str]) -> Daily:
    """Give each strategy its status, owner, group, calendar, and the days it is judged on."""
    raw = renamed(table.read(), columns, table)
    require(raw, table, "strategy")
    made = {"strategy": text(raw, "strategy").fill_null(NO_NAME)}
    made |= {
        name: text(raw, name) if name in raw.columns else pl.lit(None, dtype=pl.String)
        for name in _TEXTS
    }
    for name in ("from", "until"):
        has = name in raw.columns
        made[name] = day(raw, name) if has else pl.lit(None, dtype=pl.Date)
        made[f"{name}__filled"] = is_filled(raw, name) if has else pl.lit(value=False)
    frame = raw.select(pl.col(ROW, TORN), *(value.alias(name) for name, value in made.items()))
    frame = frame.with_columns(pl.col("status").str.to_lowercase())
    words = [status.value for status in Status]
    rules = [
        TORN_ROW,
        Broken("strategy", "is there twice", ~pl.col("strategy").is_first_distinct()),
        *(rule for column in ("group", "owner") for rule in name_rules(column)),
        Broken(
            "status",
            f"must be one of {', '.join(words)}",
            pl.col("status").is_not_null() & ~pl.col("status").is_in(words),
        ),
        *(
            Broken(
                name,
                "is no date YYYY-MM-DD",
                pl.col(f"{name}__filled") & pl.col(name).is_null(),
            )
            for name in ("from", "until")
        ),
        Broken("until", "is before from", pl.col("until") < pl.col("from")),
    ]
    faults = collect(frame, table, rules)
    strategies = dict(daily.strategies)
    for row in frame.iter_rows(named=True):
        record = strategies.get(row["strategy"])
        if record is not None and row["strategy"] not in faults:
            strategies[row["strategy"]] = _described(record, row)
    notes = _unknown_names(frame, daily, f"{table.name}: rows of unknown strategies")
    return _without_faulty(replace(daily, strategies=strategies, notes=daily.notes + notes), faults)


def _unknown_names(frame: pl.DataFrame, daily: Daily, heading: str) -> tuple[str, ...]:
    """A note on strategies that the daily table does not have: a name may be misspelt."""
    named = set(frame["strategy"].unique()) - {NO_NAME}
    unknown = sorted(named - set(daily.strategies) - set(daily.faults))
    rest = f" and {len(unknown) - _MAXIMUM_SHOWN} more" if len(unknown) > _MAXIMUM_SHOWN else ""
    return (f"{heading}: {', '.join(unknown[:_MAXIMUM_SHOWN])}{rest}",) if unknown else ()


def _described(record: StrategyRecord, row: Mapping[str, Any]) -> StrategyRecord:
    first, last = row["from"], row["until"]
    return replace(
        record,
        status=Status(row["status"] or Status.LIVE),
        owner=row["owner"],
        group=row["group"] or record.group,
        calendar=row["calendar"],
        judged_from=first if isinstance(first, date) else None,
        judged_until=last if isinstance(last, date) else None,
    )


def _moment_day(frame: pl.DataFrame, column: str) -> pl.Expr:
    """The day of a date or a moment; trades carry times of day."""
    if isinstance(frame.schema[column], pl.Datetime):
        return pl.col(column).dt.date()
    if frame.schema[column] == pl.Date:
        return pl.col(column)
    cell = text(frame, column)
    shape = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?$"
    first = pl.when(cell.str.contains(shape)).then(cell.str.slice(0, 10)).otherwise(None)
    return first.str.to_date("%Y-%m-%d", strict=False)


def _trades(rows: pl.DataFrame) -> Trades:
    return Trades(
        exits=rows["exit_time"].to_numpy().astype("datetime64[D]"),
        entries=rows["entry_time"].to_numpy().astype("datetime64[D]"),
        pnl=rows["pnl"].to_numpy().astype(np.float64),
        cost=rows["cost"].to_numpy().astype(np.float64),
    )


def _without_faulty(daily: Daily, faults: Mapping[str, tuple[RecordFault, ...]]) -> Daily:
    merged = dict(daily.faults)
    for name, added in faults.items():
        merged[name] = merged.get(name, ()) + added
    return replace(
        daily,
        strategies={
            name: record for name, record in daily.strategies.items() if name not in merged
        },
        faults=merged,
    )


_MINIMUM_TRIALS = 2


def with_trials(daily: Daily, table: Table, columns: Mapping[str, str]) -> Daily:
    """Give each strategy its matrix (T, N); bad rows make their strategy faulty.

    Columns: `strategy, trial, date, return`. The rows of the matrix are the dates on which every
    trial of the strategy has a return, oldest first; its columns are the trials by name.
    """
    raw = renamed(table.read(), columns, table)
    require(raw, table, "strategy", "trial", "date", "return")
    frame = raw.select(
        pl.col(ROW, TORN),
        text(raw, "strategy").fill_null(NO_NAME).alias("strategy"),
        text(raw, "trial").alias("trial"),
        day(raw, "date").alias("date"),
        number(raw, "return").alias("return"),
        is_filled(raw, "return").alias("return__filled"),
    )
    rules = [
        TORN_ROW,
        Broken("trial", "is empty", pl.col("trial").is_null()),
        Broken("date", "is no date YYYY-MM-DD", pl.col("date").is_null()),
        Broken(
            "date",
            "is there twice for this trial",
            pl.col("date").is_not_null()
            & ~pl.struct("strategy", "trial", "date").is_first_distinct(),
        ),
        *number_rules("return"),
    ]
    faults = collect(frame, table, rules)
    strategies, notes = dict(daily.strategies), list(daily.notes)
    good = frame.filter(pl.col("strategy").is_in(sorted(set(strategies) - set(faults))))
    for (name,), rows in good.partition_by("strategy", as_dict=True).items():
        wide = rows.pivot(on="trial", index="date", values="return").drop_nulls().sort("date")
        matrix = wide.drop("date").select(sorted(wide.columns[1:])).to_numpy()
        if matrix.shape[1] < _MINIMUM_TRIALS or not len(matrix):
            notes.append(f"{table.name}: {name} has no two trials over the same dates: not used")
            continue
        strategies[str(name)] = replace(
            strategies[str(name)], trials=np.ascontiguousarray(matrix, dtype=np.float64)
        )
    return _without_faulty(replace(daily, strategies=strategies, notes=tuple(notes)), faults)
