"""What is kept about changes: who did what, and the thresholds that somebody set.

Claims of requests are in `triggering`, pauses of schedules in `toggling`, revoked tokens in
`identity`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from perf_alerts_dagster.core.json import Json

# An intent that is open for longer was left by a crash: no change takes that long.
LONGEST_CHANGE = timedelta(minutes=2)


class AuditOutcome(StrEnum):
    """How a change ended.

    open: it is under way, or its process died and nobody has looked yet. unknown: its process
    died in between, so it may or may not have happened.
    """

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change that somebody asks for.

    `key_id` names the key, `address` is where the request came from, `target` is what changes.
    `before` and `after` are what it was and what it becomes, as far as either is known yet.
    """

    at: datetime
    actor: str
    key_id: str
    address: str
    action: str
    target: str
    request_id: str
    before: Json = None
    after: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """A change and how it ended, as it is kept; rows are numbered in the order of their making."""

    id: int
    at: datetime
    actor: str
    key_id: str
    address: str
    action: str
    target: str
    before: Json
    after: Json
    outcome: AuditOutcome
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Audit rows, newest first; `last` is the next page's `before`, None on the last page."""

    rows: tuple[AuditRow, ...]
    last: int | None = None


class Audit(ABC):
    """The record of all changes. Every method is one transaction.

    A change in the alert store itself is recorded by the method that makes it, in its
    transaction. One that happens elsewhere is an intent first, and has its outcome after.

    Raises:
        StoreUnavailable: from every method, when it cannot be read or written; a change whose
            intent was not recorded must not be made.
    """

    @abstractmethod
    def intent(self, change: Change) -> int:
        """Record that a change is about to be made; the id of its row."""

    @abstractmethod
    def outcome(self, row_id: int, outcome: AuditOutcome, after: Json = None) -> None:
        """How an intent ended; `after` None leaves what the intent said.

        Only a row that is open or unknown takes one: history does not change.
        """

    @abstractmethod
    def entries(
        self, *, since: datetime | None = None, before: int | None = None, limit: int = 50
    ) -> AuditPage:
        """The rows made at or after `since`, newest first, beginning below the id `before`."""

    @abstractmethod
    def sweep_open(self, now: datetime) -> int:
        """Close what a crash left open, as unknown; how many rows there were.

        Other proxies are at work meanwhile, so that only rows older than `LONGEST_CHANGE`
        are taken for left.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdVersion:
    """The thresholds that were set at a time: JSON of the shape of ALERT_THRESHOLDS.

    Versions are numbered from 1.
    """

    version: int
    content: Mapping[str, Json]
    at: datetime
    actor: str


class VersionConflict(Exception):
    """Somebody else has set the thresholds meanwhile; `current` is the version they have now."""

    def __init__(self, current: int) -> None:
        super().__init__(f"the thresholds are at version {current} now")
        self.current = current


class Thresholds(ABC):
    """The thresholds that were set over those of the settings. Every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when they cannot be read or written.
    """

    @abstractmethod
    def current(self) -> ThresholdVersion | None:
        """What counts now; None where the settings count because nothing was ever set."""

    @abstractmethod
    def put(
        self, content: Mapping[str, Json], change: Change, *, expected: int | None
    ) -> ThresholdVersion:
        """Set the thresholds, and record `change` with what they were, in one transaction.

        `expected` is the version that the caller has seen, 0 for none; None takes any.

        Raises:
            VersionConflict: they are at another version; nothing is changed.
        """

    @abstractmethod
    def history(self, limit: int = 50) -> Sequence[ThresholdVersion]:
        """The versions, newest first."""
