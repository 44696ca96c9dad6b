"""What the documented endpoints work with, from the server's start to its end."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from threading import Event
from zoneinfo import ZoneInfo

from fastapi import Request

from perf_alerts_dagster.control.leases import Leases
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.http.status_cache import Coalesced
from perf_alerts_dagster.identity.access import IdentityStores
from perf_alerts_dagster.incidents.ports import IncidentStore, Outbox, Silences
from perf_alerts_dagster.judging.ports import AlertStore
from perf_alerts_dagster.proxy.status import Kept
from perf_alerts_dagster.scheduler.idempotency import Claims, WaitingRuns
from perf_alerts_dagster.scheduler.pauses import Pauses, Toggles
from perf_alerts_dagster.scheduler.port import Scheduler, SchedulerStatus
from perf_alerts_dagster.scheduler.trigger import Triggers
from perf_alerts_dagster.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyParts:
    """What stands behind the proxy: real adapters, or a test's own."""

    scheduler: Scheduler
    history: AlertStore
    leases: Leases
    claims: Claims
    waiting: WaitingRuns
    pauses: Pauses
    identity: IdentityStores
    incidents: IncidentStore
    silences: Silences
    outbox: Outbox
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    seconds: Callable[[], float] = time.monotonic
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the endpoints work with; nothing of it is kept between starts."""

    settings: Settings
    parts: ProxyParts
    status: Coalesced[SchedulerStatus]
    triggers: Triggers
    toggles: Toggles
    ask: Callable[[], Awaitable[SchedulerStatus]]

    @property
    def web_ui(self) -> str:
        """Where a person finds Dagster's web UI: on this machine, and nowhere else."""
        return f"http://127.0.0.1:{self.settings.webserver_port}"

    def kept(self) -> Kept | None:
        """What the alert store holds for the status; None where it cannot be read."""
        try:
            return Kept(
                live=self.parts.incidents.live(),
                outbox=self.parts.outbox.state(),
                pauses=self.parts.pauses.pauses(),
            )
        except StoreUnavailable:
            return None

    async def fresh_status(self) -> SchedulerStatus:
        """The scheduler's state of now; what stands in for callers while it is silent is none.

        Raises:
            SchedulerError: Dagster does not answer.
        """
        found = await self.status.get()
        if found.stale:
            # What stands in for callers says nothing of now; ask for the reason.
            return await self.ask()
        return found.value

    def now(self) -> datetime:
        """The time, aware."""
        return self.parts.clock()

    def today(self) -> date:
        """Which day it is in the alerts' time zone."""
        return self.now().astimezone(ZoneInfo(self.settings.timezone)).date()


@asynccontextmanager
async def running(
    settings: Settings,
    parts: ProxyParts,
    stopping: Event,
    asked: Callable[[], None] = lambda: None,
) -> AsyncIterator[Resources]:
    """The resources of one proxy, while it runs; `asked` counts its status queries to Dagster."""

    async def ask() -> SchedulerStatus:
        asked()
        return await parts.scheduler.status(parts.clock())

    status = Coalesced(ask, clock=parts.seconds)
    resources = Resources(
        settings=settings,
        parts=parts,
        status=status,
        triggers=Triggers(
            scheduler=parts.scheduler,
            claims=parts.claims,
            waiting=parts.waiting,
            clock=parts.clock,
            seconds=parts.seconds,
            stopping=stopping,
            pause=parts.pause,
        ),
        toggles=Toggles(
            scheduler=parts.scheduler,
            pauses=parts.pauses,
            leases=parts.leases,
            clock=parts.clock,
            changed=status.forget,
            pause=parts.pause,
        ),
        ask=ask,
    )
    try:
        yield resources
    finally:
        await resources.triggers.close()
        await resources.status.close()


def resources_of(request: Request) -> Resources:
    """What this proxy owns; its lifespan put it there."""
    found: Resources = request.state.proxy
    return found
