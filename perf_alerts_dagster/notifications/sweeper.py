"""The regular sweep: applies unapplied judgements and timed changes, and sends messages.

The sensor `watch` sweeps every 30 s; while it is silent the REST processes sweep, so that a
stopped daemon delays no message. A lease elects the sweeper.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from perf_alerts_dagster.control.leases import Leases, LeaseStatus
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.incidents.lifecycle import Incidents
from perf_alerts_dagster.notifications.delivery import Deliverer, DeliveryCounts
from perf_alerts_dagster.scheduler.port import History

LEASE = "sweep"
# The sensor's name as the owner of the lease.
SENSOR = "sensor"
# Three intervals of the sensor: after them another sweeper may take over.
TTL = timedelta(seconds=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """The holder of the lease, and this sweeper's delivery counts if it holds it."""

    by: str
    drained: DeliveryCounts | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """One sweeper; `owner` names it in the lease, and is the same after a restart.

    `resume` switches on the schedules whose pause has ended. `history` keeps each
    sweep as a sign of life.
    """

    incidents: Incidents
    deliverer: Deliverer
    leases: Leases
    owner: str
    resume: Callable[[], None] = lambda: None
    history: History | None = None

    def sweep_once(
        self,
        now: datetime,
        *,
        seconds: float,
        report_problems: Callable[[], None] = lambda: None,
        release: bool = False,
    ) -> SweepResult:
        """Sweep once, unless another sweeper holds the lease.

        Args:
            now: The time, aware.
            seconds: The maximum time of the delivery.
            report_problems: Reports problems that the caller has found, such as missed executions.
            release: Release the lease at the end, so that the sensor gets it when it is back.

        Raises:
            StoreUnavailable: the store cannot be read or written. Where a single step fails, such
                as by a damaged judgement, the others have been done.
        """
        up_since = None if self.history is None else self.history.alive(now)
        state = self.leases.acquire(LEASE, self.owner, now, TTL)
        if state.status is not LeaseStatus.HELD:
            return SweepResult(by=state.holder or "", drained=None)
        lifecycle = self.incidents.lifecycle
        steps = (
            lambda: lifecycle.catch_up(now),
            report_problems,
            lambda: lifecycle.sweep(now, up_since=up_since),
            self.resume,
        )
        failed: list[StoreUnavailable] = []
        try:
            for step in steps:
                try:
                    step()
                except StoreUnavailable as error:
                    failed.append(error)
            drained = self.deliverer.drain(seconds)
            if failed:
                raise failed[0]
            return SweepResult(by=self.owner, drained=drained)
        finally:
            if release:
                self.leases.release(LEASE, self.owner)
