"""At most one execution of an alert at a time: one runs, one waits, a third one leaves.

A lease belongs to its owner (a run id) until a time, and is renewed while the owner runs. After
a crash it expires. Every decision is made here, over a value (`LeaseQueue`); a store only keeps
the value, one change at a time.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from perf_alerts_dagster.core.errors import StoreUnavailable, TurnLost


class LeaseStatus(StrEnum):
    """What an owner got for asking: the lease, the one queue position, or neither."""

    HELD = "held"
    WAITING = "waiting"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseState:
    """The answer to one owner.

    `holder` runs now. `waiter` runs next: where the status is `taken`, it is the run that
    replaces the caller's.
    """

    status: LeaseStatus
    holder: str | None
    waiter: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The lease or the queue position of one owner, and when it expires."""

    owner: str
    until: datetime

    def is_valid(self, now: datetime) -> bool:
        """Whether it has not expired; from `until` on it has."""
        return self.until > now


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseQueue:
    """One lease: who holds it, and who waits for it."""

    holder: Slot | None = None
    waiter: Slot | None = None

    def acquire(self, owner: str, now: datetime, ttl: timedelta) -> "tuple[LeaseQueue, LeaseState]":
        """The queue after `owner` asked for the lease, and the owner's answer.

        The holder and the waiter that ask again keep what they have for another `ttl`. A free
        lease goes to the waiter first; only where nobody waits does it go to whoever asks.
        """
        slot = Slot(owner=owner, until=now + ttl)
        holder = self._holder(now, owner)
        waiter = self.waiter if self.waiter is not None and self.waiter.is_valid(now) else None
        if _is(holder, owner) or (holder is None and (waiter is None or _is(waiter, owner))):
            queue = LeaseQueue(holder=slot, waiter=None if _is(waiter, owner) else waiter)
            return queue, queue.state(LeaseStatus.HELD)
        if waiter is None or _is(waiter, owner):
            queue = LeaseQueue(holder=holder, waiter=slot)
            return queue, queue.state(LeaseStatus.WAITING)
        queue = LeaseQueue(holder=holder, waiter=waiter)
        return queue, queue.state(LeaseStatus.TAKEN)

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
        """The owner that waits behind one that works; None where nobody does.

        An expired waiter has crashed, and behind an expired holder one waits no longer.
        """
        if self.holder is None or self.waiter is None:
            return None
        is_queued = self.holder.is_valid(now) and self.waiter.is_valid(now)
        return self.waiter.owner if is_queued else None

    def state(self, status: LeaseStatus) -> LeaseState:
        """The answer to an owner that got `status`."""
        return LeaseState(
            status=status,
            holder=None if self.holder is None else self.holder.owner,
            waiter=None if self.waiter is None else self.waiter.owner,
        )

    def _holder(self, now: datetime, owner: str) -> Slot | None:
        if self.holder is None or self.holder.is_valid(now) or self.holder.owner == owner:
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
        """Ask for the lease `name`, or renew the lease or queue position, until `now + ttl`.

        A waiting owner asks again before its position expires, and gets `held` once the lease is
        free; `taken` changes nothing for anybody.
        """

    @abstractmethod
    def renew(self, name: str, owner: str, now: datetime, ttl: timedelta) -> bool:
        """Extend a held lease to `now + ttl`; False where `owner` does not hold it.

        After False the owner must stop: it no longer works alone.
        """

    @abstractmethod
    def release(self, name: str, owner: str) -> bool:
        """Give up the lease or the queue position; False where `owner` had neither."""

    @abstractmethod
    def waiting(self, name: str, now: datetime) -> str | None:
        """The owner that waits behind one that works; None where nobody does."""


# After a crash the lease expires within this; a running owner renews it three times in between.
TTL = timedelta(seconds=30)
_POLL = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The result of waiting for a lease.

    `taken_by` is the run that waits already and replaces this one; None where the owner holds
    the lease. `check` raises `TurnLost` once the owner no longer works alone.
    """

    taken_by: str | None
    check: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseManager:
    """Waits for leases and keeps them renewed; `clock` gives the time, aware, `poll` is in s."""

    leases: Leases
    clock: Callable[[], datetime]
    ttl: timedelta = TTL
    poll: float = _POLL

    @contextmanager
    def hold(self, name: str, owner: str) -> Iterator[Lease]:
        """Wait for the lease and renew it in the background until the end of the block.

        Raises:
            StoreUnavailable: the leases cannot be read or written.
        """
        pause = threading.Event()
        state = self.leases.acquire(name, owner, self.clock(), self.ttl)
        try:
            while state.status is LeaseStatus.WAITING:
                pause.wait(self.poll)
                state = self.leases.acquire(name, owner, self.clock(), self.ttl)
            if state.status is LeaseStatus.TAKEN:
                yield Lease(taken_by=state.waiter, check=lambda: None)
                return
            with self._renewed(name, owner):
                yield Lease(taken_by=None, check=lambda: self._check(name, owner))
        finally:
            # Also where a cancelled run was only waiting: its position must not block others.
            self._release(name, owner)

    @contextmanager
    def _renewed(self, name: str, owner: str) -> Iterator[None]:
        over = threading.Event()

        def renew() -> None:
            while not over.wait(self.ttl.total_seconds() / 3):
                try:
                    self.leases.renew(name, owner, self.clock(), self.ttl)
                except StoreUnavailable:
                    # The next round tries again; `check` raises before anything is written.
                    continue

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

    def _release(self, name: str, owner: str) -> None:
        try:
            self.leases.release(name, owner)
        except StoreUnavailable:
            # It expires by itself; an error here would hide the one that ended the work.
            return
