"""The documented endpoints alone, as an ASGI application: authenticated, and onto Dagster."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from threading import Event

from fastapi import FastAPI

from perf_alerts_dagster.http.app import new_app
from perf_alerts_dagster.http.middleware import AccessLog
from perf_alerts_dagster.identity.middleware import Authentication, open_identity
from perf_alerts_dagster.proxy import routes, wiring
from perf_alerts_dagster.proxy.resources import ProxyParts, open_proxy
from perf_alerts_dagster.settings import Settings

ROUTERS = (routes.auth_router, routes.schedule_router)


def create_app(
    settings: Settings,
    *,
    open_parts: Callable[[Settings], AbstractAsyncContextManager[ProxyParts]] = wiring.open_parts,
) -> FastAPI:
    """The application; its lifespan opens and closes its resources.

    Args:
        settings: What it runs with.
        open_parts: Opens the adapters; a test brings its own.
    """
    # Set when the server stops, so that no request goes on waiting for a run's end.
    stopping = Event()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        async with (
            open_parts(settings) as parts,
            open_identity(app, settings, parts.identity, clock=parts.clock, seconds=parts.seconds),
            open_proxy(settings, parts, stopping) as resources,
        ):
            yield {"proxy": resources}

    app = new_app(lifespan, ROUTERS, key_header=settings.api_key_header)
    app.state.stopping = stopping
    app.add_middleware(Authentication)
    app.add_middleware(AccessLog)
    return app
