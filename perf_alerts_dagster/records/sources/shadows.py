"""The model's own P&L: rows of the segment `shadow`, or of the table `shadow`."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl

from perf_alerts_dagster.core.errors import RecordsInvalid
from perf_alerts_dagster.core.wording import first_few
from perf_alerts_dagster.records.model import RecordFault, Shadow, TrackRecords
from perf_alerts_dagster.records.sources import tables
from perf_alerts_dagster.records.sources.daily import (
    days_of,
    floats_of,
    money_rules,
    name_rules,
    one_form,
    return_on,
    words_of,
)
from perf_alerts_dagster.records.sources.optional_tables import unknown_names, whole_fault
from perf_alerts_dagster.records.sources.tables import NO_NAME, Broken, Table, number_rules

COST, VERSION = "expected_cost", "model_version"


def with_shadows(
    records: TrackRecords,
    rows: pl.DataFrame,
    daily: Table,
    table: Table | None,
    columns: Mapping[str, str],
    today: date,
) -> TrackRecords:
    """Add the shadows of the strategies; bad rows are the faults of a shadow alone.

    Columns: `strategy, date`, with `return` or `pnl` and `capital`, optional `expected_cost` and
    `model_version`.

    Args:
        records: The records of the daily table.
        rows: The raw rows of the segment `shadow` in it, in their one form.
        daily: That table.
        table: The table of shadows, which is used for all strategies that it has.
        columns: Our column names to the source's.
        today: Later dates are faults.
    """
    records = _added(records, rows, daily, today)
    if table is None:
        return records
    try:
        raw, notes = one_form(tables.read(table, columns, "strategy", "date"), table)
    except RecordsInvalid as error:
        fault = whole_fault(table, error)
        return replace(records, shadow_fault=fault, table_faults=(*records.table_faults, fault))
    before = {name for name, one in records.strategies.items() if one.shadow is not None}
    records = _added(records, raw, table, today)
    both = sorted(before & set(raw.select(tables.text(raw, "strategy")).to_series()))
    if both:
        whose = first_few([tables.listed([name]) for name in both])
        notes.append(f"{table.name}: used in place of the rows in {daily.name} for {whose}")
    return replace(records, notes=(*records.notes, *notes))


def _added(records: TrackRecords, raw: pl.DataFrame, table: Table, today: date) -> TrackRecords:
    if raw.is_empty():
        return records
    frame = _typed(raw)
    faults = tables.collect(frame, raw, table, _rules(frame, today))
    strategies = dict(records.strategies)
    for (name,), of_one in frame.sort("date").partition_by("strategy", as_dict=True).items():
        if (record := strategies.get(str(name))) is not None:
            found = faults.get(record.strategy, ())
            shadow = _shadow(of_one.clear() if found else of_one, found)
            strategies[record.strategy] = replace(record, shadow=shadow)
    heading = f"{table.name}: shadow rows of strategies without rows of their own"
    return replace(
        records,
        strategies=strategies,
        notes=(*records.notes, *unknown_names(frame, records, heading)),
        table_faults=(*records.table_faults, *faults.get(NO_NAME, ())),
    )


def _typed(raw: pl.DataFrame) -> pl.DataFrame:
    if raw.schema.get(VERSION, pl.String).is_temporal():
        raw = raw.with_columns(pl.col(VERSION).cast(pl.String))
    forms = [name for name in ("pnl", "capital", "return") if name in raw.columns]
    by_money = pl.lit("pnl" in raw.columns)
    if {*forms} >= {"pnl", "return"}:
        # Live and shadow rows of one table may be written in different forms.
        by_money = tables.is_filled(raw, "pnl") | tables.is_filled(raw, "capital")
    cost = tables.number(raw, COST) if COST in raw.columns else pl.lit(0.0)
    return tables.typed(
        raw,
        {
            **tables.dates(raw, "date"),
            **tables.numbers(raw, *forms),
            "by_money": by_money,
            COST: cost,
            f"{COST}__filled": tables.is_filled(raw, COST),
            VERSION: tables.text(raw, VERSION),
        },
    )


def _rules(frame: pl.DataFrame, today: date) -> list[Broken]:
    by_money, filled, cost = pl.col("by_money"), pl.col(f"{COST}__filled"), pl.col(COST)
    amounts = money_rules(frame) if "pnl" in frame.columns else []
    returns = number_rules("return") if "return" in frame.columns else []
    return [
        tables.TORN_ROW,
        Broken("strategy", "is empty", pl.col("strategy") == NO_NAME),
        *tables.date_rules("date"),
        Broken("date", f"is in the future (today is {today})", pl.col("date") > today),
        tables.once_a_day("is there twice for this strategy", "strategy"),
        *(replace(rule, condition=rule.condition & by_money) for rule in amounts),
        *(replace(rule, condition=rule.condition & ~by_money) for rule in returns),
        # An empty cost is none.
        *(replace(rule, condition=rule.condition & filled) for rule in number_rules(COST)[1:]),
        Broken(COST, "is negative", cost < 0),
        *name_rules(VERSION),
    ]


def _shadow(rows: pl.DataFrame, faults: tuple[RecordFault, ...]) -> Shadow:
    if "pnl" not in rows.columns:
        returns = floats_of(rows, "return")
    else:
        returns = return_on(floats_of(rows, "pnl"), floats_of(rows, "capital"))
        if "return" in rows.columns:
            by_money = rows["by_money"].to_numpy()
            returns = np.where(by_money, returns, floats_of(rows, "return"))
    dates = days_of(rows, "date")
    return Shadow(
        dates=dates,
        returns=returns,
        costs=np.nan_to_num(floats_of(rows, COST)),
        versions=words_of(rows, VERSION),
        seen=np.full(len(dates), np.datetime64("NaT"), dtype="datetime64[D]"),
        faults=faults,
    )
