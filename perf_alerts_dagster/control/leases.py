"""Leases: one execution of an alert runs, one waits, and any further one gives up.

The simulation of projections has a lease as well, for which all wait that need it.

A lease belongs to its owner (a run id) until a time, and is renewed while the owner runs. After
a crash it expires. `LeaseQueue` decides; the store only keeps it, with one change at a time.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from perf_alerts_dagster.core.errors import StoreUnavailable, TurnLost


class LeaseStatus(StrEnum):
    """The result of asking for a lease: the lease, the one queue position, or neither."""

    HELD = "held"
    WAITING = "waiting"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseState:
    """The answer to an owner that asked for a lease.

    `holder` runs now and `waiter` next. Where the status is `taken`, the waiter replaces the run
    that asked.
    """

    status: LeaseStatus
    holder: str | None
    waiter: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The lease or the queue position of one owner; from `until` on it has expired."""

    owner: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseQueue:
    """The holder of one lease, and the owner that waits for it."""

    holder: Slot | None = None
    waiter: Slot | None = None

    def acquire(self, owner: str, now: datetime, ttl: timedelta) -> "LeaseQueue":
        """The queue after `owner` asked for the lease.

        The holder and the waiter that ask again keep their slot for another `ttl`. A free lease
        goes to the waiter first; without a waiter it goes to `owner`.
        """
        slot = Slot(owner=owner, until=now + ttl)
        holder = self.holder if _is(self.holder, owner) else _valid(self.holder, now)
        other = None if _is(self.waiter, owner) else _valid(self.waiter, now)
        if _is(holder, owner) or (holder is None and other is None):
            return LeaseQueue(holder=slot, waiter=other)
        return LeaseQueue(holder=holder, waiter=slot if other is None else other)

    def renew(self, owner: str, now: datetime, ttl: timedelta) -> "LeaseQueue | None":
        """The queue with the holder's lease renewed; None where `owner` does not hold it.

        A lease that has expired and that nobody acquired since is still its holder's: a process
        that was suspended and comes back has lost nothing.
        """
        if not _is(self.holder, owner):
            return None
        return LeaseQueue(holder=Slot(owner=owner, until=now + ttl), waiter=self.waiter)

    def release(self, owner: str) -> "LeaseQueue | None":
        """The queue without `owner`; None where it neither held the lease nor waited."""
        if _is(self.holder, owner):
            return LeaseQueue(waiter=self.waiter)
        if _is(self.waiter, owner):
            return LeaseQueue(holder=self.holder)
        return None

    def waiting(self, now: datetime) -> str | None:
        """The owner that waits for the holder to finish; None without such a waiter.

        None also where the waiter (crashed) or the holder (free to replace) has expired.
        """
        if self.waiter is None or _valid(self.holder, now) is None:
            return None
        return self.waiter.owner if self.waiter.until > now else None

    def state(self, owner: str) -> LeaseState:
        """The status of `owner`'s request, with the holder and the waiter."""
        status = LeaseStatus.WAITING if _is(self.waiter, owner) else LeaseStatus.TAKEN
        return LeaseState(
            status=LeaseStatus.HELD if _is(self.holder, owner) else status,
            holder=None if self.holder is None else self.holder.owner,
            waiter=None if self.waiter is None else self.waiter.owner,
        )


def _is(slot: Slot | None, owner: str) -> bool:
    return slot is not None and slot.owner == owner


# Far above the ttl of any lease.
_LONGEST = timedelta(hours=1)


def _valid(slot: Slot | None, now: datetime) -> Slot | None:
    # One that ends much later was taken before the clock was set back.
    return slot if slot is not None and now < slot.until < now + _LONGEST else None


Decision = TypeVar("Decision", bound=LeaseQueue | None)


class Leases(ABC):
    """The leases of all alerts. Every method is one transaction; times are aware.

    Raises:
        StoreUnavailable: from every method, when the leases cannot be read or written.
    """

    @abstractmethod
    def queue(self, name: str) -> LeaseQueue:
        """The queue of the lease `name`; empty before the first request."""

    @abstractmethod
    def change(self, name: str, decide: Callable[[LeaseQueue], Decision]) -> Decision:
        """Atomically replace the queue by that of `decide`; None leaves it as it is."""

    def acquire(self, name: str, owner: str, now: datetime, ttl: timedelta) -> LeaseState:
        """Ask for the lease `name`, or renew the lease or queue position, until `now + ttl`.

        A waiting owner asks again before its position expires, and gets `held` once the lease is
        free; `taken` changes nothing for anybody.
        """
        return self.change(name, lambda queue: queue.acquire(owner, now, ttl)).state(owner)

    def renew(self, name: str, owner: str, now: datetime, ttl: timedelta) -> bool:
        """Extend a held lease to `now + ttl`; False where `owner` does not hold it.

        After False the owner must stop: another one may hold the lease.
        """
        return self.change(name, lambda queue: queue.renew(owner, now, ttl)) is not None

    def release(self, name: str, owner: str) -> bool:
        """Give up the lease or the queue position; False where `owner` had neither."""
        return self.change(name, lambda queue: queue.release(owner)) is not None

    def waiting(self, name: str, now: datetime) -> str | None:
        """The owner that waits for the holder to finish; None without such a waiter."""
        return self.queue(name).waiting(now)


# After a crash the lease expires within this; a running owner renews it three times in between.
TTL = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The result of waiting for a lease.

    `taken_by` is None where the owner holds the lease; else the run that waits already and
    replaces this one, or that holds it for too long. `check` raises `TurnLost` once the owner has
    lost the lease.
    """

    taken_by: str | None
    check: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseManager:
    """Waits for leases and keeps them renewed; `clock` gives the time, aware, `poll` is in s."""

    leases: Leases
    clock: Callable[[], datetime]
    ttl: timedelta = TTL
    poll: float = 0.5

    @contextmanager
    def hold(self, name: str, owner: str, *, at_most: timedelta | None = None) -> Iterator[Lease]:
        """Wait for the lease and renew it in the background until the end of the block.

        Without `at_most` only one owner waits, and any further one gives up. With it all wait, and
        one that has waited so long goes on without the lease; `taken_by` is its holder then.

        Raises:
            StoreUnavailable: the leases cannot be read or written.
        """
        pause, waited = threading.Event(), timedelta()
        state = self.leases.acquire(name, owner, self.clock(), self.ttl)
        try:
            while state.status is not LeaseStatus.HELD:
                if state.status is LeaseStatus.TAKEN if at_most is None else waited >= at_most:
                    yield Lease(
                        taken_by=state.waiter if at_most is None else state.holder,
                        check=lambda: None,
                    )
                    return
                pause.wait(self.poll)
                waited += timedelta(seconds=self.poll)
                state = self.leases.acquire(name, owner, self.clock(), self.ttl)
            with self._renewed(name, owner):
                yield Lease(taken_by=None, check=lambda: self._check(name, owner))
        finally:
            # Also where a cancelled run was only waiting: its position must not block others.
            # It expires by itself; an error here would hide the original error.
            with suppress(StoreUnavailable):
                self.leases.release(name, owner)

    @contextmanager
    def _renewed(self, name: str, owner: str) -> Iterator[None]:
        over = threading.Event()

        def renew() -> None:
            while not over.wait(self.ttl.total_seconds() / 3):
                # The next round tries again; `check` raises before anything is written.
                with suppress(StoreUnavailable):
                    self.leases.renew(name, owner, self.clock(), self.ttl)

        renewal = threading.Thread(target=renew, name=f"lease of {name}", daemon=True)
        renewal.start()
        try:
            yield
        finally:
            over.set()
            renewal.join()

    def _check(self, name: str, owner: str) -> None:
        if not self.leases.renew(name, owner, self.clock(), self.ttl):
            raise TurnLost(
                f"{name}: this run was away for more than {self.ttl.total_seconds():g} s and "
                "another one works now; nothing more is written by this one"
            )
