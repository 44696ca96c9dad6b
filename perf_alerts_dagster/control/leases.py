"""At most one execution of an alert at a time: one runs, one waits, a third one leaves.

A lease belongs to its owner (a run id) until a time, and is renewed while the owner lives. A
crash releases it by letting it run out. Every decision is made here, over a value; a store
only keeps the value, one change at a time.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from perf_alerts_dagster.core.errors import StoreUnavailable, TurnLost


class Place(StrEnum):
    """Where an owner stands after it has asked: it runs, it waits, or another one waits."""

    HELD = "held"
    WAITING = "waiting"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseState:
    """The answer to one owner.

    `holder` runs now. `waiter` is the one that runs next; for a `taken` answer it is the run
    whose id the caller is told instead of its own.
    """

    place: Place
    holder: str | None
    waiter: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place in the line: whose it is, and until when."""

    owner: str
    until: datetime

    def is_live(self, now: datetime) -> bool:
        """Whether the owner still counts; not any more from `until` on."""
        return self.until > now


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The two places of one lease."""

    holder: Slot | None = None
    waiter: Slot | None = None

    def asked(self, owner: str, now: datetime, ttl: timedelta) -> "tuple[Line, LeaseState]":
        """The line after `owner` asked for the lease, and the owner's answer.

        The holder and the waiter that ask again stay where they are for another `ttl`. A free
        lease goes to the waiter first; only where nobody waits does it go to whoever asks.
        """
        slot = Slot(owner=owner, until=now + ttl)
        holder = self._holder(now, owner)
        waiter = self.waiter if self.waiter is not None and self.waiter.is_live(now) else None
        if _is(holder, owner) or (holder is None and (waiter is None or _is(waiter, owner))):
            line = Line(holder=slot, waiter=None if _is(waiter, owner) else waiter)
            return line, line.answer(Place.HELD)
        if waiter is None or _is(waiter, owner):
            line = Line(holder=holder, waiter=slot)
            return line, line.answer(Place.WAITING)
        line = Line(holder=holder, waiter=waiter)
        return line, line.answer(Place.TAKEN)

    def renewed(self, owner: str, now: datetime, ttl: timedelta) -> "Line | None":
        """The line with the holder's time renewed; None where `owner` does not hold it.

        A lease that ran out and that nobody took in between is still its holder's: a process
        that was paused and comes back has lost nothing.
        """
        if not _is(self.holder, owner):
            return None
        return Line(holder=Slot(owner=owner, until=now + ttl), waiter=self.waiter)

    def left(self, owner: str) -> "Line | None":
        """The line without `owner`; None where it had no place in it."""
        if _is(self.holder, owner):
            return Line(waiter=self.waiter)
        if _is(self.waiter, owner):
            return Line(holder=self.holder)
        return None

    def answer(self, place: Place) -> LeaseState:
        """What is told to the one that stands in `place`."""
        return LeaseState(
            place=place,
            holder=None if self.holder is None else self.holder.owner,
            waiter=None if self.waiter is None else self.waiter.owner,
        )

    def _holder(self, now: datetime, owner: str) -> Slot | None:
        if self.holder is None or self.holder.is_live(now) or self.holder.owner == owner:
            return self.holder
        return None


def _is(slot: Slot | None, owner: str) -> bool:
    return slot is not None and slot.owner == owner


class Leases(ABC):
    """The leases of all alerts. Every method is one transaction; `now` is aware.

    Raises:
        StoreUnavailable: from every method, when the leases cannot be read or written.
    """

    @abstractmethod
    def acquire(self, name: str, owner: str, now: datetime, ttl: timedelta) -> LeaseState:
        """Ask for the lease `name`, or renew one's place in its line, until `now + ttl`.

        A waiting owner asks again before its own time runs out, and is `held` once it is its
        turn; `taken` changes nothing for anybody.
        """

    @abstractmethod
    def renew(self, name: str, owner: str, now: datetime, ttl: timedelta) -> bool:
        """Hold on until `now + ttl`; False where another one holds it or nobody does.

        After False the owner must stop: it no longer works alone.
        """

    @abstractmethod
    def release(self, name: str, owner: str) -> bool:
        """Give up one's place, held or waiting; False, and nothing changed, without one."""


# A crash releases the lease after this long; a living owner renews it three times in between.
TTL = timedelta(seconds=30)
_POLL = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One owner's turn.

    `taken_by` is the run that waits already, whose turn comes instead; None where it is the
    owner's own turn. `check` raises `TurnLost` once the owner no longer works alone.
    """

    taken_by: str | None
    check: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """Turns over the store's leases.

    `clock` gives the time, aware. `poll` is in seconds.
    """

    leases: Leases
    clock: Callable[[], datetime]
    ttl: timedelta = TTL
    poll: float = _POLL

    @contextmanager
    def of(self, name: str, owner: str) -> Iterator[Turn]:
        """Wait for the turn of `owner` and keep it, renewed in the background, until the end.

        Raises:
            StoreUnavailable: the leases cannot be read or written.
        """
        pause = threading.Event()
        state = self.leases.acquire(name, owner, self.clock(), self.ttl)
        try:
            while state.place is Place.WAITING:
                pause.wait(self.poll)
                state = self.leases.acquire(name, owner, self.clock(), self.ttl)
            if state.place is Place.TAKEN:
                yield Turn(taken_by=state.waiter, check=lambda: None)
                return
            with self._renewed(name, owner):
                yield Turn(taken_by=None, check=lambda: self._check(name, owner))
        finally:
            # Also where a cancelled run was only waiting: its place must not block others.
            self._leave(name, owner)

    @contextmanager
    def _renewed(self, name: str, owner: str) -> Iterator[None]:
        over = threading.Event()

        def renew() -> None:
            while not over.wait(self.ttl.total_seconds() / 3):
                try:
                    self.leases.renew(name, owner, self.clock(), self.ttl)
                except StoreUnavailable:
                    # The next round tries again; `check` speaks up before anything is written.
                    continue

        watchdog = threading.Thread(target=renew, name=f"lease of {name}", daemon=True)
        watchdog.start()
        try:
            yield
        finally:
            over.set()
            watchdog.join()

    def _check(self, name: str, owner: str) -> None:
        if not self.leases.renew(name, owner, self.clock(), self.ttl):
            raise TurnLost(
                f"{name}: this run was away for more than {self.ttl.total_seconds():g} s and "
                "another one works now; nothing more is written by this one"
            )

    def _leave(self, name: str, owner: str) -> None:
        try:
            self.leases.release(name, owner)
        except StoreUnavailable:
            # It runs out by itself; an error here would hide the one that ended the work.
            return
