"""The parts of a running stack, their readiness checks, and the run of the stack.

Nothing here imports dagster, whose 100 MB the supervisor would keep for a few calls.
"""

import asyncio
import http.client
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import grpc  # type: ignore[import-untyped] # ships no annotations
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # as above

from perf_alerts_dagster.core.errors import StackError
from perf_alerts_dagster.scheduler.dagster_internals import DAEMON_MODULE
from perf_alerts_dagster.scheduler.graphql import documents
from perf_alerts_dagster.scheduler.graphql.client import connected
from perf_alerts_dagster.scheduler.names import DEFINITIONS, LOCATION
from perf_alerts_dagster.scheduler.port import SchedulerError
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.stack.dagster_home import code_socket, own_folder, prepare_home
from perf_alerts_dagster.stack.supervisor import PartSpec, Probe, Stack

_PROBE_SECONDS = 5.0


def stack_specs(
    *,
    state_dir: Path,
    webserver_port: int,
    environment: Mapping[str, str],
    module: str = DEFINITIONS,
    proxy: tuple[str, int] | None = None,
) -> tuple[PartSpec, ...]:
    """Code server, guarded webserver, daemon and proxy, over a state folder with a rendered home.

    Args:
        state_dir: The state folder that `prepare_home` was called for.
        webserver_port: The port of the web UI, on 127.0.0.1 only.
        environment: The ALERT_* variables that the parts get; see `part_environment`.
        module: The module that holds the Dagster definitions.
        proxy: Host and port of the REST API; not started where None.
    """
    home = state_dir.absolute() / "dagster_home"
    listens = code_socket(state_dir)
    own_folder(listens.parent)
    workspace = str(home / "workspace.yaml")
    frozen = part_environment(environment, home)

    def part(name: str, order: int, ready: Probe, program: str, *arguments: str) -> PartSpec:
        argv = (sys.executable, "-m", program, *arguments)
        return PartSpec(
            name=name, argv=argv, environment=frozen, ready=ready, order=order, folder=home
        )

    specs = [
        # `dagster api grpc`, since `dagster code-server` adds a process.
        part(
            "code-server", 0, _code_server_ready(listens),
            "dagster", "api", "grpc", "--socket", str(listens), "--module-name", module,
            "--location-name", LOCATION, "--log-level", "warning", "--log-format", "json",
        ),
        part(
            "webserver", 1, _http_ready(webserver_port, "/server_info"),
            "perf_alerts_dagster.stack.webserver",
            "--port", str(webserver_port), "--workspace", workspace,
        ),
        part(
            "daemon", 2, _daemon_ready(webserver_port, state_dir),
            DAEMON_MODULE, "run", "--workspace", workspace, "--log-format", "json",
        ),
    ]  # fmt: skip
    if proxy is not None:
        host, port = proxy
        ready = _http_ready(port, "/health/live", host=_reached_at(host))
        specs.append(part("proxy", 2, ready, "perf_alerts_dagster.server.serve"))
    return tuple(specs)


def _reached_at(host: str) -> str:
    """The address by which this machine reaches `host`: loopback for a wildcard address."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound


def _code_server_ready(path: Path) -> Probe:
    """Ready when the health service answers SERVING: the code is loaded by then."""

    def check(_started: float) -> bool:
        with grpc.insecure_channel(f"unix:{path}") as channel:
            request = health_pb2.HealthCheckRequest(service="DagsterApi")
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=_PROBE_SECONDS)
            except grpc.RpcError:
                return False
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return _in_thread(check)


def _http_ready(port: int, path: str, *, host: str = "127.0.0.1") -> Probe:
    """Ready when a GET answers 200."""

    def check(_started: float) -> bool:
        connection = http.client.HTTPConnection(host, port, timeout=_PROBE_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return _in_thread(check)


def _daemon_ready(webserver_port: int, state_dir: Path) -> Probe:
    """Ready when each daemon that the instance requires has a heartbeat since its start.

    `healthy` would not do: Dagster leaves it true for 30 minutes after a daemon's end.
    """

    async def probe(started: float) -> bool:
        try:
            async with connected(webserver_port, state_dir=state_dir) as client:
                answer = await client.ask(documents.HEARTBEATS, {})
            statuses = answer["instance"]["daemonHealth"]["allDaemonStatuses"]
            beats = [status["lastHeartbeatTime"] for status in statuses if status["required"]]
        except (SchedulerError, KeyError, TypeError):
            return False
        return bool(beats) and all(beat is not None and beat >= started for beat in beats)

    return probe


def _in_thread(check: Callable[[float], bool]) -> Probe:
    async def probe(started: float) -> bool:
        return await asyncio.to_thread(check, started)

    return probe


def part_environment(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """The environment of a part: `environment`, DAGSTER_HOME and this process's other variables.

    No DAGSTER_* or ALERT_* variable of this process is passed on, since a stray
    DAGSTER_WEBSERVER_HOST=0.0.0.0 or DAGSTER_GRPC_PORT would affect the parts.
    """
    others = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ALERT_", "DAGSTER_", "DAGIT_"))
    }
    return {**others, **environment, "DAGSTER_HOME": str(home)}


def check_port(port: int, variable: str) -> None:
    """Raise `StackError` where a loopback port is taken, before anything is started."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StackError(
                f"127.0.0.1:{port} is in use; stop what listens there, or set {variable}"
            ) from error


async def run_stack(
    settings: Settings, *, on_ready: Callable[[], Awaitable[None]], with_proxy: bool
) -> None:
    """Run the stack of the settings until it is asked to stop; see `up`.

    The alert store must have been migrated.
    """
    check_port(settings.webserver_port, "ALERT_WEBSERVER_PORT")
    if with_proxy:
        check_port(settings.proxy_port, "ALERT_PROXY_PORT")
    prepare_home(settings)
    specs = stack_specs(
        state_dir=settings.state_dir,
        webserver_port=settings.webserver_port,
        environment=settings.environment(),
        proxy=(settings.proxy_host, settings.proxy_port) if with_proxy else None,
    )
    await up(specs, state_dir=settings.state_dir, on_ready=on_ready)


async def up(
    specs: Sequence[PartSpec],
    *,
    state_dir: Path,
    on_ready: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Run the stack until SIGTERM, Ctrl-C or SIGHUP.

    Args:
        specs: The parts, as `stack_specs` builds them.
        state_dir: The state folder; one stack at a time may hold it.
        on_ready: Awaited once all parts are ready, and cancelled when the stack is asked to stop.
            An exception that it raises stops the stack.

    Raises:
        StackError: The folder is held by another stack, or a part did not start.
    """
    async with Stack(specs, state_dir=state_dir) as stack:
        if stack.stopping or on_ready is None:
            await stack.wait()
            return
        stopping = asyncio.create_task(stack.wait())
        work = asyncio.ensure_future(on_ready())
        try:
            await asyncio.wait({stopping, work}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await work
                await stopping
        finally:
            stopping.cancel()
            work.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(stopping, work, return_exceptions=True)
