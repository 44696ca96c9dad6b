"""What a proxy opens at its start, keeps going, and closes at its end."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from threading import Event

from perf_alerts_dagster.application.control import Change
from perf_alerts_dagster.application.identity import SYSTEM
from perf_alerts_dagster.application.scheduling import SchedulerError, SchedulerStatus
from perf_alerts_dagster.application.tending import Tending
from perf_alerts_dagster.domain.errors import StoreUnavailable
from perf_alerts_dagster.proxy.coalesce import Coalesced
from perf_alerts_dagster.proxy.health import Health
from perf_alerts_dagster.proxy.keeping import Keeper
from perf_alerts_dagster.proxy.metrics import Metrics
from perf_alerts_dagster.proxy.recording import Recorder
from perf_alerts_dagster.proxy.resources import Parts, Resources
from perf_alerts_dagster.proxy.toggle import Recorded, ToggleBusy, Toggles
from perf_alerts_dagster.proxy.trigger import Triggers
from perf_alerts_dagster.settings import Settings

LOG = logging.getLogger(__name__)

# How late a pause may end.
_RESUME_SECONDS = 10.0


@asynccontextmanager
async def running(
    settings: Settings, parts: Parts, metrics: Metrics, stopping: Event
) -> AsyncIterator[Resources]:
    """The resources of one proxy, while it runs."""
    resources = _resources(settings, parts, metrics, stopping)
    over = asyncio.Event()
    keepers = [asyncio.create_task(_keep_resuming(resources, over))]
    if parts.tending is not None:
        keepers.append(asyncio.create_task(_keeper(resources, parts.tending).run(over)))
    try:
        yield resources
    finally:
        # What they are about to change is also recorded, so they are not cancelled.
        over.set()
        await asyncio.gather(*keepers)
        await resources.triggers.close()
        await resources.status.close()


def _resources(settings: Settings, parts: Parts, metrics: Metrics, stopping: Event) -> Resources:
    async def ask() -> SchedulerStatus:
        metrics.asked_upstream()
        return await parts.scheduler.status(parts.clock())

    status = Coalesced(ask, clock=parts.seconds)

    async def fresh() -> SchedulerStatus:
        found = await status.get()
        if found.stale:
            # What stands in for callers says nothing of now; ask for the reason.
            return await ask()
        return found.value

    return Resources(
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
        health=Health(
            status=fresh, leases=parts.leases, outbox=parts.desk.outbox, owner=uuid.uuid4().hex
        ),
        metrics=metrics,
    )


def _keeper(resources: Resources, tending: Tending) -> Keeper:
    url = resources.settings.heartbeat_url
    return Keeper(
        tending=tending,
        status=resources.health.status,
        checks=resources.health.checks,
        heartbeat_url=url.get_secret_value() if url else None,
        clock=resources.parts.clock,
        channels=() if resources.settings.observe_only else resources.parts.channels,
        public_url=resources.settings.public_url,
    )


async def _keep_resuming(resources: Resources, over: asyncio.Event) -> None:
    """Turn schedules on at the end of their pauses, at once and until it is over."""
    while True:
        try:
            await resources.toggles.resume_due(_recorded(resources))
        except (SchedulerError, StoreUnavailable, ToggleBusy) as error:
            LOG.warning("pauses that are over could not be ended, trying again: %s", error)
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), _RESUME_SECONDS)
        if over.is_set():
            return


def _recorded(resources: Resources) -> Callable[[str], Recorded]:
    def of(alert: str) -> Recorded:
        change = Change(
            at=resources.now(),
            actor=SYSTEM.user_id,
            key_id=SYSTEM.key_id,
            address="",
            action="enable",
            target=alert,
            request_id=uuid.uuid4().hex,
            after={"reason": "its pause is over"},
        )
        return Recorder(audit=resources.parts.tables.audit, change=change).of_schedule

    return of
