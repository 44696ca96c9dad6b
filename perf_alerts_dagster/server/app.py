"""The server as an ASGI application, and what it opens, keeps going and closes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from threading import Event

from fastapi import FastAPI

from perf_alerts_dagster.api import documents
from perf_alerts_dagster.api.admin import routes as audit_routes
from perf_alerts_dagster.api.admin import thresholds
from perf_alerts_dagster.api.admin.dependencies import Control
from perf_alerts_dagster.api.incidents import routes as incident_routes
from perf_alerts_dagster.api.operations import routes as operation_routes
from perf_alerts_dagster.api.operations.health import Health
from perf_alerts_dagster.api.operations.metrics import Metrics
from perf_alerts_dagster.api.resources import ApiResources
from perf_alerts_dagster.api.strategies import routes as strategy_routes
from perf_alerts_dagster.http.app import new_app
from perf_alerts_dagster.http.middleware import Observed
from perf_alerts_dagster.identity.access import admitting
from perf_alerts_dagster.identity.middleware import Authentication
from perf_alerts_dagster.pages import routes as pages
from perf_alerts_dagster.pages.session import LoginNeeded
from perf_alerts_dagster.proxy import app as proxy
from perf_alerts_dagster.proxy.resources import Resources, running
from perf_alerts_dagster.server.parts import Parts
from perf_alerts_dagster.server.watchdog import Watchdog
from perf_alerts_dagster.settings import Settings

Opened = Callable[[Settings], AbstractAsyncContextManager[Parts]]
_ROUTERS = (
    *proxy.ROUTERS,
    strategy_routes.router,
    incident_routes.router,
    incident_routes.silences_router,
    operation_routes.router,
    thresholds.router,
    audit_routes.router,
    operation_routes.admin,
    documents.router,
)


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
        async with _parts(settings, opened) as parts:
            clock, seconds = parts.proxy.clock, parts.proxy.seconds
            async with (
                admitting(app, settings, parts.proxy.identity, clock=clock, seconds=seconds),
                running(settings, parts.proxy, stopping, metrics.asked_upstream) as resources,
            ):
                api = _api(parts, resources, metrics)
                async with _watching(parts, resources, api):
                    yield {"proxy": resources, "api": api, "control": _control(settings, parts)}

    app = new_app(lifespan, _ROUTERS, key_header=settings.api_key_header)
    # Where probes and scrapers look by themselves.
    app.include_router(operation_routes.router, include_in_schema=False)
    app.state.stopping = stopping
    app.include_router(pages.router)
    app.add_exception_handler(LoginNeeded, pages.to_login)
    app.add_middleware(Authentication)
    app.add_middleware(Observed, answered=metrics.answered)
    return app


def _control(settings: Settings, parts: Parts) -> Control:
    return Control(
        audit=parts.proxy.identity.audit,
        thresholds=parts.api.thresholds,
        configured=settings.thresholds,
        clock=parts.proxy.clock,
    )


def _api(parts: Parts, resources: Resources, metrics: Metrics) -> ApiResources:
    return ApiResources(
        proxy=resources,
        parts=parts.api,
        health=Health(
            status=resources.fresh_status, probe=parts.api.probe, outbox=parts.proxy.outbox
        ),
        metrics=metrics,
    )


@asynccontextmanager
async def _watching(parts: Parts, resources: Resources, api: ApiResources) -> AsyncIterator[None]:
    """Let the watchdog make its rounds meanwhile, where there is something to look after."""
    if parts.sweeper is None:
        yield
        return
    url = resources.settings.heartbeat_url
    watchdog = Watchdog(
        sweeper=parts.sweeper,
        status=resources.fresh_status,
        checks=api.health.checks,
        probe=api.health.probe,
        heartbeat_url=url.get_secret_value() if url else None,
        clock=parts.proxy.clock,
        outage=parts.outage,
    )
    over = asyncio.Event()
    rounds = asyncio.create_task(watchdog.run(over))
    try:
        yield
    finally:
        # What it is about to change is also recorded, so it is not cancelled.
        over.set()
        await rounds


def _parts(settings: Settings, opened: Opened | None) -> AbstractAsyncContextManager[Parts]:
    if opened is not None:
        return opened(settings)
    # Imported by the real server alone: tests bring their own parts.
    from perf_alerts_dagster.server.wiring import open_parts

    return open_parts(settings)
