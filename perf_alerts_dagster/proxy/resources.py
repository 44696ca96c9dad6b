"""The resources of the documented endpoints, opened at start and closed at the end."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from threading import Event
from zoneinfo import ZoneInfo

from fastapi import Request

from perf_alerts_dagster.control.leases import Leases
from perf_alerts_dagster.control.principal import Principal
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.http.status_cache import Coalesced
from perf_alerts_dagster.identity.permissions import change_of
from perf_alerts_dagster.identity.store import IdentityStores
from perf_alerts_dagster.incidents.ports import IncidentStore, Outbox
from perf_alerts_dagster.judging.ports import AlertStore
from perf_alerts_dagster.proxy.schemas import FalseAlarms
from perf_alerts_dagster.proxy.views import Kept
from perf_alerts_dagster.scheduler.audited import Recorder
from perf_alerts_dagster.scheduler.pauses import Toggles
from perf_alerts_dagster.scheduler.port import Downtime, Scheduler, SchedulerStatus, SchedulerStore
from perf_alerts_dagster.scheduler.trigger import Triggers
from perf_alerts_dagster.settings import Settings


async def _answers() -> str | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyParts:
    """The adapters behind the proxy, and its clocks.

    `location` is the reason why the code location does not answer, None where it does.
    `false_alarms` are the totals of the budget, None in the small proxy, which loads no rules.
    """

    scheduler: Scheduler
    history: AlertStore
    leases: Leases
    store: SchedulerStore
    identity: IdentityStores
    incidents: IncidentStore
    outbox: Outbox
    location: Callable[[], Awaitable[str | None]] = _answers
    downtime: Callable[[datetime], Downtime | None] = lambda now: None
    false_alarms: Callable[[datetime], FalseAlarms | None] = lambda now: None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    seconds: Callable[[], float] = time.monotonic
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The state of one running proxy, in memory only."""

    settings: Settings
    parts: ProxyParts
    status: Coalesced[SchedulerStatus]
    triggers: Triggers
    toggles: Toggles
    ask: Callable[[], Awaitable[SchedulerStatus]]

    @property
    def web_ui(self) -> str:
        """The address of Dagster's web UI, which is on this machine only."""
        return f"http://127.0.0.1:{self.settings.webserver_port}"

    def kept(self) -> Kept | None:
        """The incidents, messages and pauses of the status; None if the store cannot be read."""
        try:
            return Kept(
                live=self.parts.incidents.live(),
                outbox=self.parts.outbox.state(),
                pauses=self.parts.store.pauses(),
                downtime=self.parts.downtime(self.now()),
                false_alarms=self.parts.false_alarms(self.now()),
            )
        except StoreUnavailable:
            return None

    async def fresh_status(self) -> SchedulerStatus:
        """The scheduler's state now, never a stale value from the cache.

        Raises:
            SchedulerError: Dagster does not answer.
        """
        shared = await self.status.get()
        if shared.stale:
            # The cached query failed; query again, to raise its error.
            return await self.ask()
        return shared.value

    def now(self) -> datetime:
        """The time, aware."""
        return self.parts.clock()

    def today(self) -> date:
        """The date in the alerts' time zone."""
        return self.now().astimezone(ZoneInfo(self.settings.timezone)).date()


@asynccontextmanager
async def open_proxy(
    settings: Settings,
    parts: ProxyParts,
    stopping: Event,
    asked: Callable[[], None] = lambda: None,
) -> AsyncIterator[Resources]:
    """The resources of one running proxy; `asked` is called at each status query to Dagster."""

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
            store=parts.store,
            leases=parts.leases,
            clock=parts.clock,
            seconds=parts.seconds,
            stopping=stopping,
            maximum=settings.max_triggered_runs,
            patience=settings.dagster_seconds / 2,
            pause=parts.pause,
        ),
        toggles=Toggles(
            scheduler=parts.scheduler,
            store=parts.store,
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
    """The proxy's resources, which its lifespan set."""
    resources: Resources = request.state.proxy
    return resources


def recorder(
    request: Request, who: Principal, action: str, target: str, sent: Mapping[str, Json]
) -> Recorder:
    """Audits the change that a request makes in Dagster; `sent` are the request's values."""
    resources = resources_of(request)
    change = change_of(request, who, action, target, at=resources.now())
    after: dict[str, Json] = {name: value for name, value in sent.items() if value is not None}
    return Recorder(audit=resources.parts.identity.audit, change=replace(change, after=after))
