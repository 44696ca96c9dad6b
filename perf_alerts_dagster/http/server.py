"""Serve an application: the address, the server's settings, and its graceful stop.

Stops at SIGTERM or Ctrl-C: running requests are answered, within 12 seconds.
"""

import gc
import logging
import resource
import socket
from contextlib import ExitStack
from threading import Event
from types import FrameType

import uvicorn
from fastapi import FastAPI

from perf_alerts_dagster.core.errors import StackError
from perf_alerts_dagster.core.logs import handler
from perf_alerts_dagster.http.protocol import KEEP_ALIVE, Peers, bounded
from perf_alerts_dagster.settings import Settings

LOG = logging.getLogger(__name__)

# Longer than the default time budget of an upstream call (10 s), shorter than what the
# supervisor grants (15 s).
_GRACE = 12
# The kernel bounds it by net.core.somaxconn.
_BACKLOG = 4096
_MAXIMUM_CONNECTIONS = 10_000
# Open files beside the connections: the store, Dagster, the record's source, the log.
_OTHER_FILES = 256
_FILES = _MAXIMUM_CONNECTIONS + _OTHER_FILES
_LARGEST_HEAD = 32 * 1024
# Of one connection, in the kernel; what an answer has beyond it counts as unread.
_SEND_BUFFER = 64 * 1024


def run(settings: Settings, app: FastAPI) -> None:
    """Serve an application at the settings' address until SIGTERM or Ctrl-C.

    Args:
        settings: The address and the log level.
        app: Its `state.stopping` is set as soon as a signal comes.

    Raises:
        StackError: the address cannot be listened on.
        StoreUnavailable: the alert store cannot be reached, or was not migrated.
    """
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler()])
    # One line per request to Dagster says nothing that the access log does not.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    listening = listen(settings.proxy_host, settings.proxy_port)
    raise_open_files()
    # What was loaded stays: to look through it again and again held every request for a while.
    gc.collect()
    gc.freeze()
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
        http=bounded(Peers(_maximum_connections(), settings.trusted_proxies)),
        ws="none",
        proxy_headers=False,
        h11_max_incomplete_event_size=_LARGEST_HEAD,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=_GRACE,
        backlog=_BACKLOG,
    )


def raise_open_files() -> None:
    """Raise the soft limit of open files to what connections need, within the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    raised = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < raised:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        LOG.info("the limit of open files is %d now, and was %d", raised, soft)
    LOG.info("at most %d connections at once", _maximum_connections())


def _maximum_connections() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _FILES if soft == resource.RLIM_INFINITY else min(soft, _FILES)
    return max(files - _OTHER_FILES, files // 2)


# Of the web UI's process, which loads it by this name: it is of a lower room.
WEB_UI = bounded(Peers(_maximum_connections()))


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
            # The accepted sockets inherit it.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            listener.bind(address)
            listener.listen(_BACKLOG)
            undo.pop_all()
    except OSError as error:
        raise StackError(
            f"{host}:{port} cannot be listened on ({error.strerror or error}); stop what listens "
            "there, or set ALERT_PROXY_HOST and ALERT_PROXY_PORT"
        ) from error
    return listener
