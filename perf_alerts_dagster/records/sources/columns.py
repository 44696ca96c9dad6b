"""Typed columns from raw ones, and the rules that a cell may break."""

from dataclasses import dataclass
from datetime import date

import polars as pl

from perf_alerts_dagster.core.errors import RecordsInvalid
from perf_alerts_dagster.records.model import RecordFault
from perf_alerts_dagster.records.sources.table import ROW, TORN, Table, listed

# Named per strategy; the rest is counted. A broken export has the same fault on every row.
_MAXIMUM_FAULTS = 20
NO_NAME = "(no name)"


@dataclass(frozen=True, slots=True)
class Broken:
    """Rows where `condition` holds break `rule` in `column`; None for the row as a whole."""

    column: str | None
    rule: str
    condition: pl.Expr


TORN_ROW = Broken(None, "has more cells than the header", pl.col(TORN))


def require(frame: pl.DataFrame, table: Table, *columns: str) -> None:
    """Refuse a table that lacks a column, naming the ones it has."""
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise RecordsInvalid(
            f"{table.name}: column {', '.join(missing)} is missing; "
            f"columns found: {listed(table.columns)}. "
            "ALERT_RECORDS_COLUMNS maps other names"
        )


def text(frame: pl.DataFrame, column: str) -> pl.Expr:
    """A column as trimmed text; null where the cell is empty or holds nothing like text."""
    kind = frame.schema[column]
    is_plain = kind.is_numeric() or kind in (pl.String, pl.Boolean, pl.Categorical, pl.Enum)
    if not is_plain:
        return pl.lit(None, dtype=pl.String)
    trimmed = pl.col(column).cast(pl.String, strict=False).str.strip_chars()
    return pl.when(trimmed == "").then(None).otherwise(trimmed)


def is_filled(frame: pl.DataFrame, column: str) -> pl.Expr:
    """Whether the cell holds anything."""
    if frame.schema[column] == pl.String:
        return text(frame, column).is_not_null()
    return pl.col(column).is_not_null()


def number(frame: pl.DataFrame, column: str) -> pl.Expr:
    """A column as float64; null where the cell is empty or no number."""
    kind = frame.schema[column]
    if kind == pl.String:
        return text(frame, column).cast(pl.Float64, strict=False)
    if kind.is_numeric():
        return pl.col(column).cast(pl.Float64, strict=False)
    # A yes, a date or a list would become a number too.
    return pl.lit(None, dtype=pl.Float64)


def day(frame: pl.DataFrame, column: str) -> pl.Expr:
    """A column as dates; null where the cell is no `YYYY-MM-DD` (midnight is accepted)."""
    parsed = _day(frame, column)
    # A damaged file may hold dates that no calendar has, and text the year 0.
    return pl.when(parsed.is_between(date.min, date.max)).then(parsed).otherwise(None)


def _day(frame: pl.DataFrame, column: str) -> pl.Expr:
    kind = frame.schema[column]
    if kind == pl.Date:
        return pl.col(column)
    if isinstance(kind, pl.Datetime):
        moment = pl.col(column)
        return pl.when(moment == moment.dt.truncate("1d")).then(moment.dt.date()).otherwise(None)
    cell = text(frame, column)
    shape = r"^\d{4}-\d{2}-\d{2}([T ]00:00(:00(\.0+)?)?)?$"
    return (
        pl.when(cell.str.contains(shape))
        .then(cell.str.slice(0, 10))
        .otherwise(None)
        .str.to_date("%Y-%m-%d", strict=False)
    )


def number_rules(column: str) -> list[Broken]:
    """The rules of a required number: there (`<column>__filled`), a number, finite."""
    filled = pl.col(f"{column}__filled")
    return [
        Broken(column, "is empty", ~filled),
        Broken(column, "is not a number", filled & pl.col(column).is_null()),
        Broken(column, "is NaN or infinite", ~pl.col(column).is_finite()),
    ]


def collect(
    frame: pl.DataFrame, table: Table, rules: list[Broken]
) -> dict[str, tuple[RecordFault, ...]]:
    """The faults by strategy, in row order, at most twenty of each and a count of the rest."""
    faults: dict[str, list[tuple[int, Broken]]] = {}
    counts: dict[str, int] = {}
    for broken in rules:
        bad = frame.filter(broken.condition.fill_null(value=False)).select(ROW, "strategy")
        by_name = bad.group_by("strategy", maintain_order=True)
        for name, count in by_name.len().iter_rows():
            counts[name] = counts.get(name, 0) + count
        for name, row in by_name.head(_MAXIMUM_FAULTS).iter_rows():
            faults.setdefault(name, []).append((row, broken))
    return {
        name: _first_faults(sorted(rows, key=lambda fault: fault[0]), counts[name], table, name)
        for name, rows in faults.items()
    }


def _first_faults(
    faults: list[tuple[int, Broken]], count: int, table: Table, strategy: str
) -> tuple[RecordFault, ...]:
    kept = [
        RecordFault(
            where=table.name,
            row=table.line(row),
            column=broken.column,
            rule=broken.rule,
            strategy=strategy,
        )
        for row, broken in faults[:_MAXIMUM_FAULTS]
    ]
    if count > len(kept):
        rest = f"and {count - len(kept)} more faults"
        kept.append(RecordFault(where=table.name, rule=rest, strategy=strategy))
    return tuple(kept)
