"""What a proxy opens at its start, keeps going, and closes at its end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Event

from perf_alerts_dagster.application.scheduling import SchedulerStatus
from perf_alerts_dagster.application.tending import Tending
from perf_alerts_dagster.application.toggles import Toggles
from perf_alerts_dagster.proxy.coalesce import Coalesced
from perf_alerts_dagster.proxy.health import Health
from perf_alerts_dagster.proxy.keeping import Keeper
from perf_alerts_dagster.proxy.metrics import Metrics
from perf_alerts_dagster.proxy.resources import Parts, Resources
from perf_alerts_dagster.proxy.trigger import Triggers
from perf_alerts_dagster.settings import Settings


@asynccontextmanager
async def running(
    settings: Settings, parts: Parts, metrics: Metrics, stopping: Event
) -> AsyncIterator[Resources]:
    """The resources of one proxy, while it runs."""
    resources = _resources(settings, parts, metrics, stopping)
    over = asyncio.Event()
    keeping = None
    if parts.tending is not None:
        keeping = asyncio.create_task(_keeper(resources, parts.tending).run(over))
    try:
        yield resources
    finally:
        # What it is about to change is also recorded, so it is not cancelled.
        over.set()
        if keeping is not None:
            await keeping
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
        health=Health(status=fresh, probe=parts.probe, outbox=parts.desk.outbox),
        metrics=metrics,
    )


def _keeper(resources: Resources, tending: Tending) -> Keeper:
    url = resources.settings.heartbeat_url
    return Keeper(
        tending=tending,
        status=resources.health.status,
        checks=resources.health.checks,
        probe=resources.health.probe,
        heartbeat_url=url.get_secret_value() if url else None,
        clock=resources.parts.clock,
        outage=resources.parts.outage,
    )
