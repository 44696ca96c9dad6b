"""Typed columns from raw ones, and the rules that a cell may break."""

from dataclasses import dataclass

import polars as pl

from perf_alerts_dagster.adapters.records.tables import ROW, Table
from perf_alerts_dagster.domain.errors import RecordsInvalid
from perf_alerts_dagster.domain.record import RecordFault

# Named per strategy; the rest is counted. A broken export has the same fault on every row.
_MOST_FAULTS = 20
NO_NAME = "(no name)"


@dataclass(frozen=True, slots=True)
class Broken:
    """Rows where `condition` holds break `rule` in `column`."""

    column: str
    rule: str
    condition: pl.Expr


def require(frame: pl.DataFrame, table: Table, *columns: str) -> None:
    """Refuse a table that lacks a column, naming the ones it has."""
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        found = ", ".join(name for name in frame.columns if name != ROW) or "none"
        raise RecordsInvalid(
            f"{table.name}: column {', '.join(missing)} is missing; columns found: {found}. "
            "ALERT_RECORDS_COLUMNS maps other names"
        )


def text(frame: pl.DataFrame, column: str) -> pl.Expr:
    """A column as trimmed text; an empty cell is null."""
    trimmed = pl.col(column).cast(pl.String, strict=False).str.strip_chars()
    return pl.when(trimmed == "").then(None).otherwise(trimmed)


def number(frame: pl.DataFrame, column: str) -> pl.Expr:
    """A column as float64; null where the cell is empty or no number."""
    if frame.schema[column] == pl.String:
        return text(frame, column).cast(pl.Float64, strict=False)
    return pl.col(column).cast(pl.Float64, strict=False)


def day(frame: pl.DataFrame, column: str) -> pl.Expr:
    """A column as dates; null where the cell is no `YYYY-MM-DD` (midnight is accepted)."""
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


def number_rules(column: str, raw: str) -> list[Broken]:
    """The rules of a required number: there, a number, finite."""
    return [
        Broken(column, "is empty", pl.col(raw).is_null()),
        Broken(
            column,
            "is not a number",
            pl.col(raw).is_not_null() & pl.col(column).is_null(),
        ),
        Broken(
            column,
            "is NaN or infinite",
            pl.col(column).is_not_null() & ~pl.col(column).is_finite(),
        ),
    ]


def collect(
    frame: pl.DataFrame, table: Table, rules: list[Broken]
) -> dict[str, tuple[RecordFault, ...]]:
    """The faults by strategy, in row order, at most twenty of each and a count of the rest."""
    found: dict[str, list[tuple[int, RecordFault]]] = {}
    for broken in rules:
        rows = frame.filter(broken.condition.fill_null(value=False)).select(ROW, "strategy")
        for row, strategy in rows.iter_rows():
            name = strategy or NO_NAME
            known = found.setdefault(name, [])
            known.append((row, _fault(table, name, row, broken)))
    return {
        name: _capped([fault for _, fault in sorted(faults, key=lambda one: one[0])], table, name)
        for name, faults in found.items()
    }


def _fault(table: Table, strategy: str, row: int, broken: Broken) -> RecordFault:
    return RecordFault(
        where=table.name,
        row=row,
        column=broken.column,
        rule=broken.rule,
        strategy=strategy,
    )


def _capped(faults: list[RecordFault], table: Table, strategy: str) -> tuple[RecordFault, ...]:
    from dataclasses import replace

    kept = [replace(fault, row=table.line(fault.row or 0)) for fault in faults[:_MOST_FAULTS]]
    if len(faults) > _MOST_FAULTS:
        rest = len(faults) - _MOST_FAULTS
        kept.append(
            RecordFault(where=table.name, rule=f"and {rest} more faults", strategy=strategy)
        )
    return tuple(kept)
