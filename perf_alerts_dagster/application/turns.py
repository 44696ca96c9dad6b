"""Take turns: one execution of an alert works, one waits, a third one leaves at once."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from perf_alerts_dagster.application.leases import Leases, Place
from perf_alerts_dagster.domain.errors import StoreUnavailable, TurnLost

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

        keeper = threading.Thread(target=renew, name=f"lease of {name}", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()

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
