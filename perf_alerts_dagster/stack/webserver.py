"""Dagster's web UI behind the guard, on loopback only.

Run as `python -m perf_alerts_dagster.stack.webserver --port N --workspace FILE`. Not
`dagster-webserver`, which has no guard and would listen to the whole network by a
DAGSTER_WEBSERVER_HOST variable.
"""

import argparse
import ipaddress
import os
import socket
import sys

import uvicorn
from dagster import DagsterInstance, __version__
from starlette.middleware import Middleware

from perf_alerts_dagster.scheduler.dagster_internals import (
    DagsterWebserver,
    WorkspaceFileTarget,
    WorkspaceProcessContext,
    WorkspaceRequestContext,
)
from perf_alerts_dagster.stack.browser_guard import Guard, own_hosts

_LOOPBACK = "127.0.0.1"

# As dagster-webserver sets them for its database: statement timeout in ms, recycling in s.
_STATEMENT_TIMEOUT = 15_000
_POOL_RECYCLE = 3600
_POOL_OVERFLOW = 20

# Seconds for open requests at a stop; the UI's websockets never end by themselves.
_GRACE = 3


class GuardedWebserver(DagsterWebserver[WorkspaceProcessContext, WorkspaceRequestContext]):
    """Dagster's webserver, which answers only its own pages and programs on this machine."""

    def __init__(self, context: WorkspaceProcessContext, port: int) -> None:
        self._port = port
        super().__init__(context)

    def build_middleware(self) -> list[Middleware]:
        """Dagster's middleware, with the guard in front of it."""
        return [Middleware(Guard, hosts=own_hosts(self._port)), *super().build_middleware()]


def listening(port: int) -> socket.socket:
    """A socket that listens on loopback only.

    Raises:
        OSError: The port is taken.
    """
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((_LOOPBACK, port))
    address = bound.getsockname()[0]
    if not ipaddress.ip_address(address).is_loopback:
        bound.close()
        raise OSError(f"the web UI must listen on loopback only, and got {address}")
    return bound


def main(arguments: list[str]) -> None:
    """Serve the web UI until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m perf_alerts_dagster.stack.webserver")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workspace", required=True)
    options = parser.parse_args(arguments)
    for name in [name for name in os.environ if name.startswith(("DAGSTER_WEBSERVER_", "DAGIT_"))]:
        del os.environ[name]
    try:
        bound = listening(options.port)
    except OSError as error:
        sys.exit(f"the web UI cannot listen on {_LOOPBACK}:{options.port}: {error}")
    with bound, DagsterInstance.get() as instance:
        instance.optimize_for_webserver(_STATEMENT_TIMEOUT, _POOL_RECYCLE, _POOL_OVERFLOW)
        target = WorkspaceFileTarget([options.workspace])
        with WorkspaceProcessContext(instance, target, version=__version__) as context:
            app = GuardedWebserver(context, bound.getsockname()[1]).create_asgi_app()
            config = uvicorn.Config(
                app,
                log_level="warning",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE,
            )
            uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main(sys.argv[1:])
