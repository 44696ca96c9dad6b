"""One run per request, however often the request comes: decided over claims and the history.

Launching knows no idempotency, so a claim is written before it, with a marker that the run
carries as a tag. Whoever takes over a claim that was left open looks for that run first.
"""

import hashlib
import json
from abc import ABC, abstractmethod
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
class Wanted:
    """A run that somebody asks for; `key` is the client's own, None where it gave none."""

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
        """SHA-256 of what is asked for; the same key with another one is a mistake."""
        content = [self.alert, self.as_of.isoformat() if self.as_of else None]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @property
    def keep(self) -> timedelta:
        """How long the claim counts."""
        return KEEP if self.key is not None else COLLAPSE


class Place(StrEnum):
    """What became of a claim.

    new: it is the caller's, and nothing was launched under it. resumed: it is the caller's now,
    and who had it before may have launched a run. open: another one works on it. done: it has
    its run. other: the key stands for another request.
    """

    NEW = "new"
    RESUMED = "resumed"
    OPEN = "open"
    DONE = "done"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The answer to a claim. `marker` is the tag of its run; `run_id` is there once it is done."""

    place: Place
    marker: str = ""
    run_id: str | None = None


class Claims(ABC):
    """Claims of requests, kept where all proxies see them. Every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when the claims cannot be read or written.
    """

    @abstractmethod
    def claim(self, wanted: Wanted, now: datetime) -> Claimed:
        """Claim a request; the first one gets it, and makes its marker.

        A claim older than `wanted.keep` counts no more. An open one older than `LEASE` passes
        to whoever asks next, with its marker.
        """

    @abstractmethod
    def settle(self, wanted: Wanted, marker: str, run_id: str, now: datetime) -> None:
        """The claim's run is known."""

    @abstractmethod
    def release(self, wanted: Wanted, marker: str) -> None:
        """Nothing was launched, for certain: the next one starts anew."""


class WaitingRuns(ABC):
    """Which run of an alert is next in line behind the one that works."""

    @abstractmethod
    def waiting_run(self, alert: str, now: datetime) -> str | None:
        """The run id; None where nobody waits.

        Raises:
            StoreUnavailable: the line cannot be read.
        """
