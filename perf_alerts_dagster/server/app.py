"""The server as an ASGI application: proxy, API and pages, with the watchdog beside them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from threading import Event

from fastapi import FastAPI

from perf_alerts_dagster.api import documents
from perf_alerts_dagster.api.admin import routes as admin_routes
from perf_alerts_dagster.api.incidents import routes as incident_routes
from perf_alerts_dagster.api.operations import routes as operation_routes
from perf_alerts_dagster.api.operations.health import Health
from perf_alerts_dagster.api.operations.metrics import Metrics
from perf_alerts_dagster.api.resources import ApiParts, ApiResources, Control
from perf_alerts_dagster.api.strategies import routes as strategy_routes
from perf_alerts_dagster.http.app import new_app
from perf_alerts_dagster.http.middleware import AccessLog
from perf_alerts_dagster.identity.access import open_identity
from perf_alerts_dagster.identity.middleware import Authentication
from perf_alerts_dagster.notifications.outage import Outage
from perf_alerts_dagster.notifications.sweeper import Sweeper
from perf_alerts_dagster.pages import routes as pages
from perf_alerts_dagster.pages.session import LoginNeeded
from perf_alerts_dagster.proxy import app as proxy
from perf_alerts_dagster.proxy.resources import ProxyParts, Resources, open_proxy
from perf_alerts_dagster.server.watchdog import Watchdog
from perf_alerts_dagster.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of proxy and API, and who looks after incidents.

    `sweeper` sweeps while Dagster's sensor does not; without one nobody does. `outage` notifies
    people while the alert store cannot be written.
    """

    proxy: ProxyParts
    api: ApiParts
    sweeper: Sweeper | None = None
    outage: Outage | None = None


OpenParts = Callable[[Settings], AbstractAsyncContextManager[Parts]]
_ROUTERS = (
    *proxy.ROUTERS,
    strategy_routes.router,
    incident_routes.router,
    incident_routes.silences_router,
    operation_routes.router,
    admin_routes.config,
    admin_routes.router,
    operation_routes.admin,
    documents.router,
)


def create_app(settings: Settings, *, open_parts: OpenParts | None = None) -> FastAPI:
    """The application; its lifespan opens and closes its resources.

    Args:
        settings: What it runs with.
        open_parts: Opens the adapters; the real ones where None.
    """
    metrics = Metrics()
    # Set when the server stops, so that no request goes on waiting for a run's end.
    stopping = Event()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        async with _parts(settings, open_parts) as parts:
            clock, seconds = parts.proxy.clock, parts.proxy.seconds
            async with (
                open_identity(app, settings, parts.proxy.identity, clock=clock, seconds=seconds),
                open_proxy(
                    settings, parts.proxy, stopping, metrics.count_status_query
                ) as resources,
            ):
                api = _api(parts, resources, metrics)
                async with _watchdog(parts, resources, api):
                    yield {"proxy": resources, "api": api, "control": _control(settings, parts)}

    app = new_app(lifespan, _ROUTERS, key_header=settings.api_key_header)
    # Where probes and scrapers look by themselves.
    app.include_router(operation_routes.router, include_in_schema=False)
    app.state.stopping = stopping
    app.include_router(pages.router)
    app.add_exception_handler(LoginNeeded, pages.to_login)
    app.add_middleware(Authentication)
    app.add_middleware(AccessLog, count_answer=metrics.count_answer)
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
async def _watchdog(parts: Parts, resources: Resources, api: ApiResources) -> AsyncIterator[None]:
    """Run the watchdog meanwhile, where there is a sweeper."""
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
        # Not cancelled: a change that has begun must be recorded as well.
        over.set()
        await rounds


def _parts(settings: Settings, open_parts: OpenParts | None) -> AbstractAsyncContextManager[Parts]:
    if open_parts is not None:
        return open_parts(settings)
    # Imported by the real server alone: tests bring their own parts.
    from perf_alerts_dagster.server import wiring

    return wiring.open_parts(settings)
