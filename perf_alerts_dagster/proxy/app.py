"""The REST proxy as an ASGI application."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from threading import Event

from fastapi import APIRouter, FastAPI

from perf_alerts_dagster.proxy.authentication import Authentication
from perf_alerts_dagster.proxy.calls import BASE
from perf_alerts_dagster.proxy.control import controlling
from perf_alerts_dagster.proxy.faults import answer_faults
from perf_alerts_dagster.proxy.lifespan import running
from perf_alerts_dagster.proxy.metrics import Metrics
from perf_alerts_dagster.proxy.observe import Observed
from perf_alerts_dagster.proxy.openapi import add_document
from perf_alerts_dagster.proxy.pages import routes as pages
from perf_alerts_dagster.proxy.pages.session import LoginNeeded
from perf_alerts_dagster.proxy.problems import add_handlers
from perf_alerts_dagster.proxy.resources import Parts
from perf_alerts_dagster.proxy.routes import (
    admin,
    auth,
    changes,
    config,
    documents,
    incidents,
    operation,
    schedule,
    silences,
    strategies,
)
from perf_alerts_dagster.settings import Settings

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
        auth.router,
        schedule.router,
        changes.router,
        strategies.router,
        incidents.router,
        silences.router,
        operation.router,
        config.router,
        admin.router,
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
    from perf_alerts_dagster.proxy.wiring import open_parts

    return open_parts(settings)
