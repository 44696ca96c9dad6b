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
    """The outcome of a change.

    open: it is running, or its process crashed and no sweep has marked it yet. unknown: its
    process crashed, or Dagster gave no answer, so that it may or may not have happened.
    """

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change requested by a caller.

    `key_id` names the caller's key, `address` the client's host, `target` the changed thing.
    `before` and `after` are the target's states, None where they are not known. `request_id` is
    as the caller named the request, `server_request_id` as this server did.
    """

    at: datetime
    actor: str
    key_id: str
    address: str
    action: str
    target: str
    request_id: str
    server_request_id: str = ""
    before: Json = None
    after: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow(Change):
    """A recorded change and how it ended; `id` rises with every row."""

    id: int
    outcome: AuditOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Audit rows, newest first; `last` is the next page's `before`, None on the last page."""

    rows: tuple[AuditRow, ...]
    last: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Rows recorded from `since` to before `until`, of an actor and of an action; None is all."""

    since: datetime | None = None
    until: datetime | None = None
    actor: str | None = None
    action: str | None = None


ALL = AuditFilter()


class Audit(Protocol):
    """The audit of changes that are made in Dagster, outside of the alert store.

    A change in the alert store itself is recorded in the transaction that makes it.

    Raises:
        StoreUnavailable: from every method, when the audit cannot be read or written.
    """

    def intent(self, change: Change) -> int:
        """Record a change before it is made, and return the id of its row.

        Where this raises, the change must not be made.
        """

    def outcome(self, row_id: int, outcome: AuditOutcome, after: Json = None) -> None:
        """Record how a change ended; with `after` None the row keeps the intent's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdVersion:
    """One version of the thresholds, numbered from 1; `content` has ALERT_THRESHOLDS's shape."""

    version: int
    content: Mapping[str, Json]
    at: datetime
    actor: str


class VersionConflict(Exception):
    """The thresholds were changed by another caller; `current` is their version now."""

    def __init__(self, current: int) -> None:
        super().__init__(f"the thresholds are at version {current} now")
        self.current = current
