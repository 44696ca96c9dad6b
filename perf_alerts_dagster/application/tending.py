"""The regular sweep: what executions left behind, what time does to incidents, what waits to go.

A sensor does it every 30 s. While that one is silent the proxies do, so that a dead daemon holds
no message up: whoever sweeps holds a lease, and the next one takes over when it runs out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from perf_alerts_dagster.application.delivery import Delivering, Drained
from perf_alerts_dagster.application.desk import Desk
from perf_alerts_dagster.application.leases import Leases, Place

LEASE = "sweep"
# Three sweeps of the sensor: then it is silent, and another one may sweep.
TTL = timedelta(seconds=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tending:
    """One sweeper; `owner` names it among others, and the same one may come back at any time."""

    desk: Desk
    delivering: Delivering
    leases: Leases
    owner: str

    def tend(
        self,
        now: datetime,
        *,
        seconds: float,
        faults: Callable[[], None] = lambda: None,
        leave: bool = False,
    ) -> Drained | None:
        """Sweep once; None where another one does.

        Args:
            now: The time, aware.
            seconds: The longest that delivery may take.
            faults: Reports what the sweeper itself has found to be wrong.
            leave: Give the turn up at the end, so that the sensor has it when it comes back.

        Raises:
            StoreUnavailable: the store cannot be read or written.
        """
        if self.leases.acquire(LEASE, self.owner, now, TTL).place is not Place.HELD:
            return None
        try:
            self.desk.lifecycle.catch_up(now)
            faults()
            self.desk.lifecycle.sweep(now)
            return self.delivering.drain(seconds)
        finally:
            if leave:
                self.leases.release(LEASE, self.owner)
