"""The FastAPI application: errors are problem documents, which OpenAPI documents too."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perf_alerts_dagster.http.paths import BASE, OPEN
from perf_alerts_dagster.http.problems import MEDIA_TYPE, ProblemDocument, add_handlers

_KEY, _TOKEN = "apiKey", "token"
_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_ERRORS = {
    400: "Two credentials, or a request that cannot be read.",
    401: "No credential, or one that is not accepted.",
    403: "The role lacks the permission.",
    404: "There is no such alert, strategy or path.",
    405: "The path does not know the method.",
    422: "A value is not accepted.",
    429: "Too many wrong credentials from this address, or too many unfinished runs.",
    502: "Dagster gave an unexpected answer.",
    503: "Dagster, the store or the record cannot be used now.",
    504: "Dagster did not answer in time.",
}
_ERRORS_WITH_BODY = {
    408: "The body did not arrive in time.",
    409: "The same is under way; repeat it.",
    412: "Somebody else was faster.",
    413: "The body is too large.",
    415: "The body is not application/json.",
}

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any]]]


def new_app(lifespan: Lifespan, routers: Iterable[APIRouter], *, key_header: str) -> FastAPI:
    """A FastAPI application with the routers below the API's base path.

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
    # Each by itself: FastAPI looks for a route once more at every level of inclusion.
    for router in routers:
        app.include_router(router, prefix=BASE)
    app.add_middleware(Head)
    _add_document(app, key_header)
    add_handlers(app)
    return app


class Head:
    """ASGI middleware that answers HEAD as GET, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; outside, in the log and the metrics, it stays a HEAD."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_headers(message: Message) -> None:
            await send({**message, "body": b""} if "body" in message else message)

        scope["method"], scope.setdefault("state", {})["is_head"] = "GET", True
        try:
            await self._app(scope, receive, send_headers)
        finally:
            scope["method"] = "HEAD"


def _add_document(app: FastAPI, key_header: str) -> None:
    """Have `app.openapi()` return the whole document, built once."""
    generate = app.openapi

    def document_of_app() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            _describe(document, key_header)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = document_of_app  # type: ignore[method-assign] # FastAPI's documented way


def _describe(document: dict[str, Any], key_header: str) -> None:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    # FastAPI's own error shapes; none of our answers has them.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = ProblemDocument.model_json_schema()
    components["securitySchemes"] = {
        _KEY: {"type": "apiKey", "in": "header", "name": key_header},
        _TOKEN: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    }
    document["security"] = [{_KEY: []}, {_TOKEN: []}]
    document["servers"] = [{"url": "/", "description": f"Everything is below {BASE}."}]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if (method.upper(), path) in OPEN:
                operation["security"] = []
            errors = _ERRORS | ({} if method.upper() in ("GET", "HEAD") else _ERRORS_WITH_BODY)
            operation["responses"].pop("422", None)
            for status, description in errors.items():
                operation["responses"].setdefault(
                    str(status), {"description": description, "content": _PROBLEM}
                )
