"""The server as an ASGI application, and what it opens, keeps going and closes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from threading import Event

from fastapi import APIRouter, FastAPI

from perf_alerts_dagster.api import documents
from perf_alerts_dagster.api.admin import routes, thresholds
from perf_alerts_dagster.api.incidents import routes as incidents
from perf_alerts_dagster.api.incidents import silence_routes
from perf_alerts_dagster.api.operations import routes as operation
from perf_alerts_dagster.api.operations.health import Health
from perf_alerts_dagster.api.operations.metrics import Metrics
from perf_alerts_dagster.api.strategies import routes as strategies
from perf_alerts_dagster.http.errors import answer_faults
from perf_alerts_dagster.http.middleware import Observed
from perf_alerts_dagster.http.openapi import add_document
from perf_alerts_dagster.http.paths import BASE
from perf_alerts_dagster.http.problems import add_handlers
from perf_alerts_dagster.http.status_cache import Coalesced
from perf_alerts_dagster.identity.middleware import Authentication
from perf_alerts_dagster.notifications.sweeper import Tending
from perf_alerts_dagster.pages import routes as pages
from perf_alerts_dagster.pages.session import LoginNeeded
from perf_alerts_dagster.proxy import auth_routes, control_routes
from perf_alerts_dagster.proxy import routes as schedule
from perf_alerts_dagster.proxy.resources import Resources
from perf_alerts_dagster.scheduler.pauses import Toggles
from perf_alerts_dagster.scheduler.port import SchedulerStatus
from perf_alerts_dagster.scheduler.trigger import Triggers
from perf_alerts_dagster.server.access import controlling
from perf_alerts_dagster.server.parts import Parts
from perf_alerts_dagster.server.watchdog import Keeper
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


Opened = Callable[[Settings], AbstractAsyncContextManager[Parts]]


def create_app(settings: Settings, *, opened: Opened | None = None) -> FastAPI:
    """The application; its lifespan opens and closes everything that it works with.

    Args:
        settings: What it runs with.
        opened: Opens what stands behind it; the real adapters where None.
    """
    metrics = Metrics()
    # Whoever stops the server sets it, so that nobody waits for a run's end any longer.
    stopping = Event()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        async with (
            _parts(settings, opened) as parts,
            controlling(app, settings, parts.tables, clock=parts.clock, seconds=parts.seconds),
            running(settings, parts, metrics, stopping) as found,
        ):
            yield {"resources": found}

    app = FastAPI(
        title="perf-alerts",
        version=version("perf-alerts"),
        summary="Status and control of the performance alerts.",
        lifespan=lifespan,
        # Served to authenticated callers only, by routes of our own.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    base = APIRouter(prefix=BASE)
    for router in (
        auth_routes.router,
        schedule.router,
        control_routes.router,
        strategies.router,
        incidents.router,
        silence_routes.router,
        operation.router,
        thresholds.router,
        routes.router,
        operation.admin,
        documents.router,
    ):
        base.include_router(router)
    app.include_router(base)
    # Where probes and scrapers look by themselves.
    app.include_router(operation.router, include_in_schema=False)
    app.state.stopping = stopping
    app.include_router(pages.router)
    app.add_exception_handler(LoginNeeded, pages.to_login)
    add_document(app, settings.api_key_header)
    add_handlers(app)
    answer_faults(app)
    app.add_middleware(Authentication)
    app.add_middleware(Observed, metrics=metrics)
    return app


def _parts(settings: Settings, opened: Opened | None) -> AbstractAsyncContextManager[Parts]:
    if opened is not None:
        return opened(settings)
    # Imported by the real proxy alone: tests bring their own parts.
    from perf_alerts_dagster.server.wiring import open_parts

    return open_parts(settings)
