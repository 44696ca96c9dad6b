"""Schedules that somebody turned off, why, and until when."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


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


class Pauses(ABC):
    """The pauses of all alerts, at most one each. Every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when they cannot be read or written.
    """

    @abstractmethod
    def pauses(self) -> Mapping[str, Pause]:
        """All pauses, by the alert."""

    @abstractmethod
    def keep(self, pause: Pause) -> None:
        """Keep a pause in place of the one that its alert had."""

    @abstractmethod
    def drop(self, alert: str) -> None:
        """The alert is not paused any more; it is fine if it was not."""
