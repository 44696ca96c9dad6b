"""Evaluations as rows: every field is a column of the same name."""

import math
from dataclasses import fields
from datetime import date
from typing import Any

from sqlalchemy import RowMapping

from perf_alerts_dagster.domain.evaluation import Evaluation, Evidence, Kind, Outcome
from perf_alerts_dagster.domain.severity import Severity

FIELDS = tuple(one.name for one in fields(Evaluation))
_NUMBERS = ("value", "limit", "p_year", "false_alarm_rate", "power", "days_to_half")
_COUNTS = ("observations", "required")


def to_row(evaluation: Evaluation) -> dict[str, Any]:
    """The columns of an evaluation; numbers of numpy become Python's.

    A negative zero becomes zero, because SQLite does not keep its sign.

    Raises:
        ValueError: a number is NaN, which SQLite would keep as NULL.
    """
    row: dict[str, Any] = {name: getattr(evaluation, name) for name in FIELDS}
    for name in _NUMBERS:
        if row[name] is not None:
            row[name] = float(row[name]) + 0.0
            if math.isnan(row[name]):
                raise ValueError(
                    f"{name} of {evaluation.strategy}, {evaluation.rule} is NaN; "
                    "a number or None is accepted"
                )
    for name in _COUNTS:
        if row[name] is not None:
            row[name] = int(row[name])
    row["parts"] = dict(evaluation.parts)
    return row


def from_row(row: RowMapping) -> Evaluation:
    """The evaluation that a row holds.

    Raises:
        ValueError: a word in it is none that this program knows.
    """
    severity: str | None = row["severity"]
    evidence: str | None = row["evidence"]
    session: date | None = row["session"]
    return Evaluation(
        **{name: row[name] for name in (*_NUMBERS, *_COUNTS)},
        strategy=row["strategy"],
        rule=row["rule"],
        outcome=Outcome(row["outcome"]),
        kind=Kind(row["kind"]),
        severity=None if severity is None else Severity(severity),
        evidence=None if evidence is None else Evidence(evidence),
        session=session,
        projection=row["projection"],
        provisional=row["provisional"],
        message=row["message"],
        parts=row["parts"],
    )
