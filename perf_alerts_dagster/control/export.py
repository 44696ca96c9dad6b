"""The audit as text for other programs: JSON lines, or CSV that a spreadsheet opens safely."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from typing import Literal

from perf_alerts_dagster.control.audit import AuditRow
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.json import Json

Format = Literal["jsonl", "csv"]

_FIRST = ("id", "at", "actor", "key_id", "address", "action", "target", "outcome")
_COLUMNS = (*_FIRST, *sorted({field.name for field in fields(AuditRow)} - {*_FIRST}))
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def exported(rows: Iterable[AuditRow], form: Format) -> Iterator[str]:
    """The rows as lines, each with its end; CSV has a header."""
    if form == "jsonl":
        for row in rows:
            yield json.dumps(row_values(row), ensure_ascii=False, allow_nan=False) + "\n"
        return
    yield _csv(_COLUMNS)
    for row in rows:
        values = row_values(row)
        yield _csv([_cell(values[name]) for name in _COLUMNS])


def row_values(row: AuditRow) -> dict[str, Json]:
    """A row's fields as JSON has them, by their names in the REST API."""
    values = asdict(row) | {"at": timestamp(row.at), "outcome": row.outcome.value}
    return {name: values[name] for name in _COLUMNS}


def _cell(value: Json) -> str:
    """A value on one line, which no spreadsheet takes for a formula."""
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
    text = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def _csv(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
