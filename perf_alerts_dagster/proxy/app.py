"""The small proxy as an ASGI application: the documented endpoints alone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from threading import Event

from fastapi import FastAPI
from sqlalchemy import Engine

from perf_alerts_dagster.bootstrap.records import store_url
from perf_alerts_dagster.control.sql import SqlLeases
from perf_alerts_dagster.http.app import new_app
from perf_alerts_dagster.http.middleware import AccessLog
from perf_alerts_dagster.identity.middleware import Authentication, open_identity
from perf_alerts_dagster.identity.store import identity_stores
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.judging.store.sql import SqlAlertStore, open_store
from perf_alerts_dagster.proxy import routes
from perf_alerts_dagster.proxy.resources import ProxyParts, open_proxy
from perf_alerts_dagster.scheduler.graphql.client import Budgets, connected
from perf_alerts_dagster.scheduler.graphql.location import location_fault
from perf_alerts_dagster.scheduler.graphql.scheduler import GraphQLScheduler
from perf_alerts_dagster.scheduler.sql import SqlHistory, SqlSchedulerStore
from perf_alerts_dagster.settings import Settings

ROUTERS = (routes.auth_router, routes.schedule_router)


@asynccontextmanager
async def open_parts(settings: Settings) -> AsyncIterator[ProxyParts]:
    """Dagster's webserver on this machine, and the settings' alert store.

    Raises:
        StoreUnavailable: the store cannot be reached, or was not migrated.
    """
    store = await asyncio.to_thread(open_store, store_url(settings))
    try:
        async with parts_over(settings, store.engine) as parts:
            yield parts
    finally:
        store.close()


@asynccontextmanager
async def parts_over(settings: Settings, engine: Engine) -> AsyncIterator[ProxyParts]:
    """Dagster's webserver on this machine, and a store that is open already."""
    history = SqlHistory(engine)
    budgets = Budgets.within(settings.dagster_seconds)
    async with connected(settings.webserver_port, budgets, state_dir=settings.state_dir) as client:
        yield ProxyParts(
            scheduler=GraphQLScheduler(client, history.in_force),
            history=SqlAlertStore(engine),
            leases=SqlLeases(engine),
            store=SqlSchedulerStore(engine),
            identity=identity_stores(engine),
            incidents=SqlIncidents(engine),
            outbox=SqlOutbox(engine),
            location=lambda: location_fault(client),
            downtime=history.downtime,
        )


def create_app(
    settings: Settings,
    *,
    open_parts: Callable[[Settings], AbstractAsyncContextManager[ProxyParts]] = open_parts,
) -> FastAPI:
    """The ASGI application of the small proxy; its lifespan opens and closes its resources.

    Args:
        settings: The settings of the server.
        open_parts: Opens the adapters; replaced in tests.
    """
    # Set when the server stops, so that no request waits further for a run's end.
    stopping = Event()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        async with (
            open_parts(settings) as parts,
            open_identity(
                app,
                settings,
                parts.identity,
                clock=parts.clock,
                seconds=parts.seconds,
                pause=parts.pause,
            ),
            open_proxy(settings, parts, stopping) as resources,
        ):
            yield {"proxy": resources}

    app = new_app(lifespan, ROUTERS, key_header=settings.api_key_header)
    app.state.stopping = stopping
    app.add_middleware(Authentication)
    app.add_middleware(AccessLog)
    return app
