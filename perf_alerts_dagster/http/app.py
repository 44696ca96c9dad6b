"""The FastAPI application of this project: problem documents, OpenAPI of our own, no redirects."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI

from perf_alerts_dagster.http.openapi import add_document
from perf_alerts_dagster.http.paths import BASE
from perf_alerts_dagster.http.problems import add_handlers

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any]]]


def new_app(lifespan: Lifespan, routers: Iterable[APIRouter], *, key_header: str) -> FastAPI:
    """An application whose routers are below the API's path, with errors as problem documents.

    Args:
        lifespan: Opens and closes the resources of the endpoints.
        routers: The endpoints, in the order of the OpenAPI document.
        key_header: The header that carries an API key.
    """
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
    for router in routers:
        base.include_router(router)
    app.include_router(base)
    add_document(app, key_header)
    add_handlers(app)
    return app
