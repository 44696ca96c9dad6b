"""The optional trial matrix: the returns of every variant that was tried before one was chosen."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from perf_alerts_dagster.adapters.records.cells import (
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
from perf_alerts_dagster.adapters.records.daily import Daily
from perf_alerts_dagster.adapters.records.tables import ROW, TORN, Table, renamed

_LEAST_TRIALS = 2


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
        if matrix.shape[1] < _LEAST_TRIALS or not len(matrix):
            notes.append(f"{table.name}: {name} has no two trials over the same dates: not used")
            continue
        strategies[str(name)] = replace(
            strategies[str(name)], trials=np.ascontiguousarray(matrix, dtype=np.float64)
        )
    merged = dict(daily.faults)
    for name, found in faults.items():
        merged[name] = merged.get(name, ()) + found
    return replace(
        daily,
        strategies={name: one for name, one in strategies.items() if name not in merged},
        faults=merged,
        notes=tuple(notes),
    )
