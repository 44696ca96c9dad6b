"""The regular sweep: what executions left behind, what time does, what waits to go.

A sensor does it every 30 s. While that one is silent the proxies do, so that a dead daemon holds
no message up: whoever sweeps holds a lease, and the next one takes over when it runs out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from perf_alerts_dagster.control.leases import Leases, LeaseStatus
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.incidents.lifecycle import Desk
from perf_alerts_dagster.notifications.delivery import Deliverer, Drained

LEASE = "sweep"
# The sensor's name among the sweepers.
SENSOR = "sensor"
# Three sweeps of the sensor: then it is silent, and another one may sweep.
TTL = timedelta(seconds=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """Who sweeps at the moment, and what that one sent if it was this sweeper."""

    by: str
    drained: Drained | None

    @property
    def is_sensors(self) -> bool:
        """Whether the sensor does its work, so that nobody need stand in."""
        return self.by == SENSOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """One sweeper; `owner` names it among others, and the same one may come back at any time.

    `resume` switches schedules on whose pause is over.
    """

    desk: Desk
    delivering: Deliverer
    leases: Leases
    owner: str
    resume: Callable[[], None] = lambda: None

    def sweep_once(
        self,
        now: datetime,
        *,
        seconds: float,
        faults: Callable[[], None] = lambda: None,
        leave: bool = False,
    ) -> Swept:
        """Sweep once, unless another one does.

        Args:
            now: The time, aware.
            seconds: The longest that delivery may take.
            faults: Reports what the sweeper itself has found to be wrong.
            leave: Give the turn up at the end, so that the sensor has it when it comes back.

        Raises:
            StoreUnavailable: the store cannot be read or written. Where only part of it cannot,
                such as a judgement that is damaged, the rest has been done.
        """
        state = self.leases.acquire(LEASE, self.owner, now, TTL)
        if state.status is not LeaseStatus.HELD:
            return Swept(by=state.holder or "", drained=None)
        lifecycle = self.desk.lifecycle
        steps = (lambda: lifecycle.catch_up(now), faults, lambda: lifecycle.sweep(now), self.resume)
        failed: list[StoreUnavailable] = []
        try:
            for step in steps:
                try:
                    step()
                except StoreUnavailable as error:
                    failed.append(error)
            drained = self.delivering.drain(seconds)
            if failed:
                raise failed[0]
            return Swept(by=self.owner, drained=drained)
        finally:
            if leave:
                self.leases.release(LEASE, self.owner)
