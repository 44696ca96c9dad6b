"""The audit as JSON lines and CSV."""

import csv
import io
import json

import pytest

from perf_alerts_dagster.control.audit import AuditOutcome, AuditRow
from perf_alerts_dagster.control.export import exported
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_tests.storage.changes import NOON

HOSTILE = '=cmd|"/c calc"!A1'


def row(**changes: object) -> AuditRow:
    values: dict[str, object] = {
        "id": 7,
        "at": NOON,
        "actor": "operator:ci",
        "key_id": "",
        "address": "127.0.0.1",
        "action": "trigger",
        "target": "daily_pnl_check",
        "request_id": "r1",
        "server_request_id": "s1",
        "outcome": AuditOutcome.DONE,
        "after": {"reason": "a\nb"},
    }
    return AuditRow(**{**values, **changes})  # type: ignore[arg-type] # a builder


def test_a_json_line_has_the_names_of_the_api() -> None:
    (line,) = exported([row()], "jsonl")

    assert line.endswith("\n")
    assert json.loads(line) == {
        "id": 7,
        "at": timestamp(NOON),
        "actor": "operator:ci",
        "key_id": "",
        "address": "127.0.0.1",
        "action": "trigger",
        "target": "daily_pnl_check",
        "before": None,
        "after": {"reason": "a\nb"},
        "outcome": "done",
        "request_id": "r1",
        "server_request_id": "s1",
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (HOSTILE, f"'{HOSTILE}"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("  =1", "'  =1"),
        ("\t=1", "\\t=1"),
        ("a\r\nb", "a\\r\\nb"),
        ("a\u2028b\u202e\x1b[31m", "a\\u2028b\\u202e\\x1b[31m"),
        ('plain, "quoted"', 'plain, "quoted"'),
    ],
)
def test_a_csv_cell_is_one_line_and_no_formula(text: str, shown: str) -> None:
    lines = list(exported([row(target=text, after=None)], "csv"))
    head, found = csv.reader(io.StringIO("".join(lines)))

    assert all(line.count("\n") == 1 for line in lines)
    assert dict(zip(head, found, strict=True))["target"] == shown
    assert dict(zip(head, found, strict=True))["before"] == ""
