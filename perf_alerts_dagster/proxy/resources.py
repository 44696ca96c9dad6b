"""All that one proxy owns, from its start to its end; nothing of it is kept between starts."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from perf_alerts_dagster.application.delivery import Channel
from perf_alerts_dagster.application.desk import Desk
from perf_alerts_dagster.application.history import History
from perf_alerts_dagster.application.leases import Leases
from perf_alerts_dagster.application.outage import Outage
from perf_alerts_dagster.application.ports import AlertStore
from perf_alerts_dagster.application.scheduling import Scheduler, SchedulerStatus
from perf_alerts_dagster.application.tending import Tending
from perf_alerts_dagster.application.toggles import Toggles
from perf_alerts_dagster.application.toggling import Pauses
from perf_alerts_dagster.application.triggering import Claims, WaitingRuns
from perf_alerts_dagster.domain.errors import StoreUnavailable
from perf_alerts_dagster.proxy.coalesce import Coalesced
from perf_alerts_dagster.proxy.control import Tables
from perf_alerts_dagster.proxy.health import Health
from perf_alerts_dagster.proxy.metrics import Metrics
from perf_alerts_dagster.proxy.records import Records
from perf_alerts_dagster.proxy.status import Kept
from perf_alerts_dagster.proxy.trigger import Triggers
from perf_alerts_dagster.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What stands behind a proxy: real adapters, or a test's own.

    `tending` sweeps while Dagster's sensor does not; without one nobody does. `probe` raises
    StoreUnavailable while the alert store cannot be written; `outage` tells people meanwhile.
    """

    scheduler: Scheduler
    store: AlertStore
    history: History
    leases: Leases
    claims: Claims
    waiting: WaitingRuns
    pauses: Pauses
    tables: Tables
    records: Records
    desk: Desk
    probe: Callable[[datetime], None]
    channels: Sequence[Channel] = ()
    tending: Tending | None = None
    outage: Outage | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    seconds: Callable[[], float] = time.monotonic
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the endpoints work with."""

    settings: Settings
    parts: Parts
    status: Coalesced[SchedulerStatus]
    triggers: Triggers
    toggles: Toggles
    health: Health
    metrics: Metrics

    @property
    def web_ui(self) -> str:
        """Where a person finds Dagster's web UI: on this machine, and nowhere else."""
        return f"http://127.0.0.1:{self.settings.webserver_port}"

    def kept(self) -> Kept | None:
        """What the alert store tells; None where it cannot, which is no reason to tell nothing."""
        try:
            return Kept(
                live=self.parts.desk.incidents.live(),
                outbox=self.parts.desk.outbox.state(),
                pauses=self.parts.pauses.pauses(),
            )
        except StoreUnavailable:
            return None

    def now(self) -> datetime:
        """The time, aware."""
        return self.parts.clock()
