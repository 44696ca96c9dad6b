"""The optional tables: closed trades, statuses and owners, the trial matrix, exchange rates."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl

from perf_alerts_dagster.core.errors import RecordsInvalid
from perf_alerts_dagster.core.wording import first_few
from perf_alerts_dagster.records.model import (
    Floats,
    FxRates,
    RecordFault,
    Status,
    StrategyRecord,
    TrackRecords,
    Trades,
)
from perf_alerts_dagster.records.sources import tables
from perf_alerts_dagster.records.sources.daily import (
    BENCHMARK,
    days_of,
    floats_of,
    name_rules,
    without_benchmark,
    words_of,
)
from perf_alerts_dagster.records.sources.tables import NO_NAME, Broken, Table, number_rules

_MINIMUM_TRIALS = 2
_LONGEST_CALENDAR = 40
_WORDS = ("symbol", "side")
# An array of text takes the room of its longest one for each.
_LONGEST_WORD = 200


def with_trades(records: TrackRecords, table: Table, columns: Mapping[str, str]) -> TrackRecords:
    """Add each strategy's closed trades; bad rows make their strategy faulty.

    Columns: `strategy, entry_time, exit_time, pnl`, optional `cost` (0), `symbol`, `side`. `pnl`
    is net of cost.
    """
    raw = tables.read(table, columns, "strategy", "entry_time", "exit_time", "pnl")
    times = ("entry_time", "exit_time")
    frame = tables.typed(
        raw,
        {
            **{name: tables.day(raw, name) for name in times},
            **tables.numbers(raw, "pnl"),
            "cost": tables.number(raw, "cost") if "cost" in raw.columns else pl.lit(0.0),
            **{name: tables.text(raw, name).str.slice(0, _LONGEST_WORD) for name in _WORDS},
        },
    )
    rules = [
        tables.TORN_ROW,
        *(
            Broken(name, "is no date YYYY-MM-DD, with or without a time", pl.col(name).is_null())
            for name in times
        ),
        Broken("exit_time", "is before entry_time", pl.col("exit_time") < pl.col("entry_time")),
        Broken("cost", "is not a finite number", ~pl.col("cost").is_finite().fill_null(False)),
        *number_rules("pnl"),
    ]
    faults = tables.collect(frame, raw, table, rules)
    good = frame.filter(pl.col("strategy").is_in(list(set(records.strategies) - set(faults))))
    by_strategy = good.sort(*reversed(times), tables.ROW).partition_by("strategy", as_dict=True)
    strategies = dict(records.strategies)
    for (name,), rows in by_strategy.items():
        entries, exits = (days_of(rows, name) for name in times)
        pnl, cost = (floats_of(rows, name) for name in ("pnl", "cost"))
        symbols, sides = (words_of(rows, name) if name in raw.columns else None for name in _WORDS)
        trades = Trades(
            exits=exits, entries=entries, pnl=pnl, cost=cost, symbols=symbols, sides=sides
        )
        strategies[str(name)] = replace(strategies[str(name)], trades=trades)
    notes = unknown_names(frame, records, f"{table.name}: trades of unknown strategies")
    return _extended(records, strategies, notes, faults)


def with_strategies(
    records: TrackRecords, table: Table, columns: Mapping[str, str]
) -> TrackRecords:
    """Add each strategy's status, owner, group, calendar, and the days it is judged on."""
    raw = tables.read(table, columns, "strategy")
    days = ("from", "until")
    frame = tables.typed(
        raw,
        {
            "status": tables.text(raw, "status").str.to_lowercase(),
            **{name: tables.text(raw, name) for name in ("owner", "group", "calendar")},
            **{name: value for each in days for name, value in tables.dates(raw, each).items()},
        },
    )
    words = [status.value for status in Status]
    rules = [
        tables.TORN_ROW,
        Broken("strategy", "is there twice", ~pl.col("strategy").is_first_distinct()),
        *name_rules("group", "owner", "calendar"),
        Broken(
            "calendar",
            f"is longer than {_LONGEST_CALENDAR} characters",
            pl.col("calendar").str.len_chars() > _LONGEST_CALENDAR,
        ),
        Broken("status", f"must be one of {', '.join(words)}", ~pl.col("status").is_in(words)),
        *(rule for name in days for rule in tables.date_rules(name, required=False)),
        Broken("until", "is before from", pl.col("until") < pl.col("from")),
    ]
    faults = tables.collect(frame, raw, table, rules)
    strategies, ended = dict(records.strategies), {}
    for row in frame.iter_rows(named=True):
        if row["strategy"] in faults:
            continue
        record = strategies.get(row["strategy"])
        status = Status(row["status"] or Status.LIVE)
        if record is None and (row["until"] or not status.is_judged):
            ended[row["strategy"]] = row["until"] if status.is_judged else date.min
        elif record is not None:
            strategies[row["strategy"]] = replace(
                record,
                status=status,
                owner=row["owner"],
                group=row["group"] or record.group,
                calendar=row["calendar"],
                judged_from=row["from"],
                judged_until=row["until"],
            )
    named = dict(frame.select("strategy", "group").drop_nulls().iter_rows())
    faulty = {name: (named.get(name, of[0]), of[1]) for name, of in records.faulty.items()}
    records = replace(records, faulty=faulty, ended=ended)
    notes = unknown_names(frame, records, f"{table.name}: rows of unknown strategies")
    return _extended(records, strategies, notes, faults)


def with_trials(records: TrackRecords, table: Table, columns: Mapping[str, str]) -> TrackRecords:
    """Add each strategy's trial matrix (T, N); bad rows make their strategy faulty.

    Columns: `strategy, trial, date, return`. The rows of the matrix are the dates on which every
    trial of the strategy has a return, oldest first; its columns are the trials by name.
    """
    raw = tables.read(table, columns, "strategy", "trial", "date", "return")
    frame = tables.typed(
        raw,
        {
            "trial": tables.text(raw, "trial"),
            **tables.dates(raw, "date"),
            **tables.numbers(raw, "return"),
        },
    )
    rules = [
        tables.TORN_ROW,
        Broken("trial", "is empty", pl.col("trial").is_null()),
        *tables.date_rules("date"),
        tables.once_a_day("is there twice for this trial", "strategy", "trial"),
        *number_rules("return"),
    ]
    faults = tables.collect(frame, raw, table, rules)
    strategies, notes = dict(records.strategies), []
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
    return _extended(records, strategies, notes, faults)


def with_fx(
    records: TrackRecords, table: Table, columns: Mapping[str, str], base: str | None
) -> TrackRecords:
    """Add the rates of each currency to `base`; a bad row makes its currency unusable.

    Columns: `currency, date, rate`.
    """
    if base is None:
        note = f"{table.name}: the table is not used without ALERT_BASE_CURRENCY"
        return replace(records, notes=(*records.notes, note))
    raw = tables.read(table, columns, "currency", "date", "rate")
    # Faults are collected by name: here that of the currency.
    raw = raw.with_columns(strategy=pl.col("currency"))
    frame = tables.typed(
        raw,
        {
            "currency": tables.text(raw, "currency"),
            **tables.dates(raw, "date"),
            **tables.numbers(raw, "rate"),
        },
    )
    rules = [
        tables.TORN_ROW,
        Broken("currency", "is empty", pl.col("currency").is_null()),
        *name_rules("currency"),
        *tables.date_rules("date"),
        tables.once_a_day("is there twice for this currency", "currency"),
        *number_rules("rate"),
        Broken("rate", "is not above 0", pl.col("rate") <= 0),
    ]
    faults = tables.collect(frame, raw, table, rules)
    good = frame.filter(~pl.col("strategy").is_in(list(faults))).sort("strategy", "date")
    rates = {
        str(currency): FxRates(dates=days_of(rows, "date"), rates=floats_of(rows, "rate"))
        for (currency,), rows in good.partition_by("strategy", as_dict=True).items()
    }
    notes = [
        f"{table.name}: {tables.listed([each])} cannot be converted: its rates have faults"
        for each in sorted(faults)
    ]
    found = tuple(replace(fault, strategy=None) for each in faults.values() for fault in each)
    return replace(
        records,
        notes=(*records.notes, *notes),
        table_faults=(*records.table_faults, *found),
        base_currency=base,
        fx=rates,
    )


def with_benchmark(records: TrackRecords, table: Table, columns: Mapping[str, str]) -> TrackRecords:
    """Add the benchmark's returns to the strategies' rows, NaN where a row has none.

    Columns: `date, return`, optional `strategy`: rows with a name are for that strategy alone, and
    take the place of those without. A bad row leaves whom it is for without a benchmark.
    """
    try:
        raw = tables.read(table, columns, "date", "return")
    except RecordsInvalid as error:
        return replace(records, table_faults=(*records.table_faults, whole_fault(table, error)))
    frame = tables.typed(raw, {**tables.dates(raw, "date"), **tables.numbers(raw, "return")})
    rules = [
        tables.TORN_ROW,
        *tables.date_rules("date"),
        tables.once_a_day("is there twice for this strategy", "strategy"),
        *number_rules("return"),
    ]
    faults = tables.collect(frame, raw, table, rules)
    by_name = {
        str(name): rows
        for (name,), rows in frame.sort("date").partition_by("strategy", as_dict=True).items()
    }
    strategies, replaced = dict(records.strategies), []
    for name, record in records.strategies.items():
        whose = name if name in by_name else NO_NAME
        if whose not in by_name:
            continue
        if record.benchmark is not None:
            replaced.append(name)
        given = None if whose in faults else _aligned(by_name[whose], record)
        strategies[name] = replace(record, benchmark=given)
    notes = unknown_names(frame, records, f"{table.name}: benchmarks of unknown strategies")
    if replaced:
        what = f"used in place of the column {BENCHMARK} for {first_few(sorted(replaced))}"
        notes.append(f"{table.name}: {what}")
    notes += without_benchmark(table, faults.keys() & {*records.strategies})
    if NO_NAME in faults:
        notes.append(f"{table.name}: the rows for all strategies have faults and are not used")
    found = (fault for each in faults.values() for fault in each)
    return replace(
        records,
        strategies=strategies,
        notes=(*records.notes, *notes),
        table_faults=(*records.table_faults, *found),
    )


def _aligned(rows: pl.DataFrame, record: StrategyRecord) -> Floats | None:
    """The returns on the record's dates, NaN where there is none; None without any of them."""
    dates, returns = days_of(rows, "date"), floats_of(rows, "return")
    places = np.searchsorted(dates[:-1], record.dates)
    given = np.where(dates[places] == record.dates, returns[places], np.nan)
    return None if np.isnan(given).all() else given


def whole_fault(table: Table, error: RecordsInvalid) -> RecordFault:
    """The fault of a table that cannot be used, and without which the strategies are whole."""
    return RecordFault(where=table.name, rule=str(error).removeprefix(f"{table.name}: "))


def unknown_names(frame: pl.DataFrame, records: TrackRecords, heading: str) -> list[str]:
    """A note on strategies, perhaps misspelt, that the daily table does not have."""
    named = set(frame["strategy"].unique()) - {NO_NAME}
    unknown = sorted(named - set(records.strategies) - set(records.faults))
    return (
        [f"{heading}: {first_few([tables.listed([name]) for name in unknown])}"] if unknown else []
    )


def _extended(
    records: TrackRecords,
    strategies: Mapping[str, StrategyRecord],
    notes: list[str],
    faults: Mapping[str, tuple[RecordFault, ...]],
) -> TrackRecords:
    """The records with a table's additions; strategies with faults are no longer valid."""
    merged = dict(records.faults)
    for name, added in faults.items():
        merged[name] = merged.get(name, ()) + added
    fallen = [record for name, record in strategies.items() if name in faults]
    faulty = {**records.faulty, **{one.strategy: (one.group, one.currency) for one in fallen}}
    good = {name: record for name, record in strategies.items() if name not in merged}
    notes = [*records.notes, *notes]
    return replace(records, strategies=good, faults=merged, faulty=faulty, notes=tuple(notes))
