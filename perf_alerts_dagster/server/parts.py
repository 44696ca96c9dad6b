"""What stands behind the server: real parts, or those of a test."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from perf_alerts_dagster.api.strategies.records_cache import Records
from perf_alerts_dagster.control.leases import Leases
from perf_alerts_dagster.incidents.lifecycle import Desk
from perf_alerts_dagster.judging.history import History
from perf_alerts_dagster.judging.ports import AlertStore
from perf_alerts_dagster.notifications.delivery import Channel
from perf_alerts_dagster.notifications.outage import Outage
from perf_alerts_dagster.notifications.sweeper import Tending
from perf_alerts_dagster.scheduler.idempotency import Claims, WaitingRuns
from perf_alerts_dagster.scheduler.pauses import Pauses
from perf_alerts_dagster.scheduler.port import Scheduler
from perf_alerts_dagster.server.access import Tables


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
