"""Counts and logs every answer: no query string, no header and no body reaches the log."""

import logging
import time
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perf_alerts_dagster.proxy.metrics import Metrics

LOG = logging.getLogger("perf_alerts.access")

_LONGEST_PATH = 200
_UNMATCHED = "unmatched"
_OPEN_ENDED = 599


class Observed:
    """ASGI middleware, outside all others, so that refusals count too."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        # Where nothing was answered, the connection is closed: worse than any status.
        status = _OPEN_ENDED

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            self._note(scope, status, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.answered(method=method, route=_route(scope), status=status, seconds=seconds)
        state = scope.get("state", {})
        who = getattr(state.get("principal"), "user_id", "-")
        LOG.info(
            "%s %s %d %.1f ms user=%s request=%s",
            method,
            quote(scope["path"][:_LONGEST_PATH]),
            status,
            seconds * 1000,
            who,
            state.get("request_id", "-"),
        )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"})


def _route(scope: Scope) -> str:
    """The route's template: names and numbers in paths would make a time series each."""
    return str(getattr(scope.get("route"), "path", _UNMATCHED))
