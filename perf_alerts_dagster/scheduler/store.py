"""What is kept about the scheduler in the alert store: claims of requests, pauses of schedules.

A request for a run may come several times and must start one run, while Dagster's launches are
not idempotent. So a claim is written before the launch, with a marker that the run carries as a
tag; whoever takes over a claim that was left open looks for a run with its marker first.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

# Identical triggers without a key within this time are one.
COLLAPSE = timedelta(seconds=5)
# An answer that was given under a key is given again for this long.
KEEP = timedelta(hours=24)
# A launch takes at most 10 s; a claim that is older and still open was left by a crash.
LEASE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRequest:
    """A request for a run; `key` is the client's own, None where it gave none."""

    alert: str
    as_of: date | None
    caller: str
    key: str | None

    @property
    def scope(self) -> str:
        """What keys are unique within: a caller, and whether the key is the client's."""
        return f"trigger:{self.caller}" if self.key is not None else f"collapse:{self.caller}"

    @property
    def claim_key(self) -> str:
        """The key to claim: the client's, or one that is the same for identical triggers."""
        return self.key if self.key is not None else self.fingerprint

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what is asked for; one key with two fingerprints is a mistake."""
        content = [self.alert, self.as_of.isoformat() if self.as_of else None]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @property
    def keep(self) -> timedelta:
        """How long the claim counts."""
        return KEEP if self.key is not None else COLLAPSE


class ClaimStatus(StrEnum):
    """What the answer to a claim is.

    new: it is the caller's, and nothing was launched under it. resumed: it is the caller's now,
    and who had it before may have launched a run. open: another one works on it. done: it has
    its run. other: the key belongs to another request.
    """

    NEW = "new"
    RESUMED = "resumed"
    OPEN = "open"
    DONE = "done"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The answer to a claim. `marker` is the tag of its run; `run_id` is there once it is done."""

    status: ClaimStatus
    marker: str = ""
    run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A schedule that was turned off by `by` at `since`.

    `until` is when it is turned on again, None for never; the times are aware.
    """

    alert: str
    by: str
    since: datetime
    reason: str | None = None
    until: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Whether its end has come."""
        return self.until is not None and self.until <= now


class SchedulerStore(ABC):
    """Claims and pauses, kept where all proxies see them. Every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    @abstractmethod
    def claim(self, request: TriggerRequest, now: datetime) -> Claim:
        """Claim a request; the first caller gets it, and makes its marker.

        A claim older than `request.keep` is void. An open one older than `LEASE` passes to
        whoever asks next, with its marker.
        """

    @abstractmethod
    def settle(self, request: TriggerRequest, marker: str, run_id: str) -> None:
        """Keep the run of a claim."""

    @abstractmethod
    def release(self, request: TriggerRequest, marker: str) -> None:
        """Remove a claim under which nothing was launched, for certain."""

    @abstractmethod
    def pauses(self) -> Mapping[str, Pause]:
        """The pauses of all alerts, at most one each, by the alert."""

    @abstractmethod
    def keep_pause(self, pause: Pause) -> None:
        """Keep a pause in place of the one that its alert had."""

    @abstractmethod
    def drop_pause(self, alert: str) -> None:
        """Remove an alert's pause; it is fine if there was none."""
