"""Audit of changes: who changed what, and the versions of the thresholds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from perf_alerts_dagster.core.json import Json

# An intent that is open for longer was left by a crash: no change takes that long.
LONGEST_CHANGE = timedelta(minutes=2)


class AuditOutcome(StrEnum):
    """How a change ended.

    open: it is under way, or its process crashed and no sweep has found that yet. unknown: its
    process crashed in between, so that it may or may not have happened.
    """

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change that a caller asks for.

    `key_id` names the key and `address` the client, `target` is the thing that changes. `before`
    and `after` are its states, where they are known yet.
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


class Audit(Protocol):
    """Records a change that is made outside of the alert store, in Dagster.

    The intent is recorded before the change, its outcome after it. A change in the alert store
    itself is recorded by the method that makes it, in its transaction.

    Raises:
        StoreUnavailable: from every method, when it cannot be read or written; a change whose
            intent was not recorded must not be made.
    """

    def intent(self, change: Change) -> int:
        """Record that a change is about to be made; the id of its row."""

    def outcome(self, row_id: int, outcome: AuditOutcome, after: Json = None) -> None:
        """Record how a change ended; `after` None leaves what the intent said."""


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
