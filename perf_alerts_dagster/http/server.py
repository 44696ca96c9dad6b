"""Serve an application: the address, the server's settings, and its graceful stop.

Stops at SIGTERM or Ctrl-C: running requests are answered, within 12 seconds.
"""

import logging
import socket
import sys
from contextlib import ExitStack
from threading import Event
from types import FrameType

import uvicorn
from fastapi import FastAPI

from perf_alerts_dagster.core.errors import StackError
from perf_alerts_dagster.settings import Settings

# Longer than the longest time budget of an upstream call (10 s), shorter than what the
# supervisor grants (15 s).
_GRACE = 12
_BACKLOG = 2048
# Idle connections count too, so this is the last resort only.
_MAXIMUM_CONNECTIONS = 2000
_KEEP_ALIVE = 30
_LARGEST_HEAD = 64 * 1024


def run(settings: Settings, app: FastAPI) -> None:
    """Serve an application at the settings' address until SIGTERM or Ctrl-C.

    Args:
        settings: The address and the log level.
        app: Its `state.stopping` is set as soon as a signal comes.

    Raises:
        StackError: the address cannot be listened on.
        StoreUnavailable: the alert store cannot be reached, or was not migrated.
    """
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    # One line per request to Dagster says nothing that the access log does not.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    listening = listen(settings.proxy_host, settings.proxy_port)
    _Server(config(settings, app), app.state.stopping).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Notifies the application as soon as it has to stop."""

    def __init__(self, config: uvicorn.Config, stopping: Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Notify the application, then stop as uvicorn does."""
        self._stopping.set()
        super().handle_exit(sig, frame)


def config(settings: Settings, app: FastAPI) -> uvicorn.Config:
    """The server's configuration: no Server header, and our own access log, without queries."""
    return uvicorn.Config(
        app,
        host=settings.proxy_host,
        port=settings.proxy_port,
        server_header=False,
        access_log=False,
        log_config=None,
        lifespan="on",
        http="h11",
        ws="none",
        proxy_headers=False,
        h11_max_incomplete_event_size=_LARGEST_HEAD,
        limit_concurrency=_MAXIMUM_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_GRACE,
        backlog=_BACKLOG,
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on the address, opened before anything else.

    Raises:
        StackError: the address is taken, or is none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with ExitStack() as undo:
            listener = undo.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
            undo.pop_all()
    except OSError as error:
        raise StackError(
            f"{host}:{port} cannot be listened on ({error.strerror or error}); stop what listens "
            "there, or set ALERT_PROXY_HOST and ALERT_PROXY_PORT"
        ) from error
    return listener
