"""What is kept about a desk between two readings of its source.

The rows say what happened; these say what people and earlier readings settled: each strategy's
calendar, who is retired, what a strategy is held against from which day on, and what the source
held when it was last accepted.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.core.errors import UsageError

FirstSeen = Mapping[tuple[str, str], bytes]

# A row of a shadow that was first read more sessions after its date is no evidence, and a shadow
# that is so many behind has stopped.
LATE = 5

# A message lists at most this many names.
_MAXIMUM_NAMES = 20


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
class Baseline:
    """A person's word on what a strategy is held against from a day on.

    `since` is the first day that counts against it, `haircut` the share, from 0 to 1, that is
    taken off the positive mean of the reference. The store numbers those of a strategy from 1.
    """

    strategy: str
    since: date
    haircut: float
    reason: str
    by: str
    at: datetime
    number: int = 0

    @property
    def content(self) -> str:
        """Its part in the hash of the data."""
        return f"{self.number}:{self.since}:{self.haircut!r}:{self.by}"


def newest(baselines: Sequence[Baseline], day: date) -> Baseline | None:
    """The newest, by number, of those that count on a day; None without one."""
    return next((each for each in reversed(baselines) if each.since <= day), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One strategy in an accepted reading of a source.

    `first` and `last` are its first and last day, `capital` its capital at the last one (its
    weight where the source gives returns only). `days` are the days of its rows, packed by
    records.source_changes; empty where they are not known.
    """

    rows: int
    first: date
    last: date
    capital: float
    group: str | None = None
    currency: str | None = None
    days: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A source that shrank: a digest of what is missing, and the days on which it was read so."""

    fingerprint: str
    days: tuple[date, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReading:
    """The last accepted reading of a source.

    `accepted` are the strategies that it held and that were judged, `vanished` those that were
    judged before and that it no longer has. `pending` is a later reading that is not accepted yet.
    """

    accepted: Mapping[str, Seen] = field(default_factory=dict)
    vanished: Mapping[str, Seen] = field(default_factory=dict)
    pending: Pending | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """All that is kept about the strategies of a desk, by name; empty without a store.

    `baselines` are oldest first, and may be of groups as well. `first_seen` says by strategy and
    month when each row of its shadow was first read, packed by records.first_seen.
    """

    calendars: Mapping[str, KeptCalendar] = field(default_factory=dict)
    retired: Mapping[str, Retirement] = field(default_factory=dict)
    baselines: Mapping[str, tuple[Baseline, ...]] = field(default_factory=dict)
    first_seen: FirstSeen = field(default_factory=dict)


class UnknownStrategy(UsageError):
    """No strategy of this name was ever read; `accepted` lists those that were."""

    def __init__(self, name: str, known: Collection[str]) -> None:
        listed = ", ".join(sorted(known)[:_MAXIMUM_NAMES]) or "none"
        rest = len(known) - _MAXIMUM_NAMES
        self.accepted = f"known are: {listed}" + (f" and {rest} more" if rest > 0 else "")
        super().__init__(f"there is no strategy {name!r}; {self.accepted}")


class Desk(ABC):
    """What is kept about a desk. Every method is one transaction, with its `change` where given.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    @abstractmethod
    def kept(self) -> Kept:
        """The calendars, retirements, baselines and first readings of all strategies."""

    @abstractmethod
    def known(self) -> frozenset[str]:
        """Every strategy that an execution has read, without groups."""

    @abstractmethod
    def keep_calendars(self, calendars: Mapping[str, KeptCalendar]) -> None:
        """Keep inferred calendars; a strategy that has one keeps it."""

    @abstractmethod
    def set_calendar(self, strategy: str, calendar: KeptCalendar, change: Change) -> None:
        """Replace a strategy's calendar as a person.

        Raises:
            UnknownStrategy: it was never read; nothing is changed.
        """

    @abstractmethod
    def retire(self, retirement: Retirement, change: Change) -> None:
        """Keep or replace a strategy's retirement.

        Raises:
            UnknownStrategy: it was never read; nothing is changed.
        """

    @abstractmethod
    def rebaseline(self, baseline: Baseline, change: Change) -> Baseline:
        """Keep one more baseline of a strategy or group; returns it with its number.

        The earlier ones are kept. That the strategy exists is the caller's to know.
        """

    @abstractmethod
    def keep_first_seen(self, first_seen: FirstSeen) -> None:
        """Replace when the rows of shadows were first read, for these strategies and months."""

    @abstractmethod
    def source(self, name: str) -> SourceReading | None:
        """The last accepted reading of a source; None before the first."""

    @abstractmethod
    def save_source(self, name: str, reading: SourceReading, change: Change | None = None) -> None:
        """Replace the last accepted reading of a source."""
