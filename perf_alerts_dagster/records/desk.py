"""What is kept about a desk between two readings of its source.

The rows say what happened; these say what people and earlier readings settled: each strategy's
calendar, who is retired, and what the source held when it was last accepted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCalendar:
    """A strategy's calendar, as inferred on a day or set by a person.

    `name` is one of records.calendars; `periods_per_year` are its rows per year.
    """

    name: str
    periods_per_year: float
    since: date
    by: str = "inferred"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """A person's word that a strategy ended: `since` is the first day that is not judged."""

    strategy: str
    since: date
    reason: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One strategy in an accepted reading of a source.

    `first` and `last` are its first and last day, `capital` its capital at the last one (its
    weight where the source gives returns only).
    """

    rows: int
    first: date
    last: date
    capital: float
    group: str | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """All that is kept about the strategies of a desk, by name; empty without a store."""

    calendars: Mapping[str, KeptCalendar] = field(default_factory=dict)
    retired: Mapping[str, Retirement] = field(default_factory=dict)
