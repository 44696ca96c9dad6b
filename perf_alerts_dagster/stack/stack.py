"""The parts of a running stack, their readiness checks, and the run of the stack.

Nothing here imports dagster, whose 100 MB the supervisor would keep for a few calls.
"""

import asyncio
import http.client
import logging
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import grpc  # type: ignore[import-untyped] # ships no annotations
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # as above

from perf_alerts_dagster.core.errors import StackError
from perf_alerts_dagster.scheduler.dagster_internals import DAEMON_MODULE
from perf_alerts_dagster.scheduler.graphql import documents
from perf_alerts_dagster.scheduler.graphql.client import Budgets, connected
from perf_alerts_dagster.scheduler.names import DEFINITIONS, LOCATION
from perf_alerts_dagster.scheduler.port import SchedulerError
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.settings.keys import ROLES, digest, entries
from perf_alerts_dagster.settings.model import FILES
from perf_alerts_dagster.settings.urls import reached_at
from perf_alerts_dagster.stack.dagster_home import code_socket, own_folder, prepare_home
from perf_alerts_dagster.stack.supervisor import PartSpec, Probe, Stack

LOG = logging.getLogger(__name__)

_PROBE_SECONDS = 5.0
_PORT_TRIES = 20
_PORT_PAUSE = 0.25

# What `python -m` starts. Not `dagster code-server`, which adds a process.
CODE_SERVER = "perf_alerts_dagster.defs.code_server api grpc"
_WEBSERVER = "perf_alerts_dagster.stack.webserver"
_PROXY = "perf_alerts_dagster.server.serve"
_SENSOR_TICKS = "perf_alerts_dagster.defs.sensor_ticks"

# The variables that may hold a secret, those of the identity among them.
_SECRET = frozenset(FILES)
_KEYS = frozenset(f"ALERT_{role.upper()}_API_KEY" for role in ROLES)
_IDENTITY = _KEYS | {"ALERT_JWT_SECRET"}


def stack_specs(
    *,
    state_dir: Path,
    webserver_port: int,
    environment: Mapping[str, str],
    module: str = DEFINITIONS,
    proxy: tuple[str, int] | None = None,
    start_seconds: float = 300.0,
) -> tuple[PartSpec, ...]:
    """Code server, guarded webserver, daemon and proxy, over a state folder with a rendered home.

    Args:
        state_dir: The state folder that `prepare_home` was called for.
        webserver_port: The port of the web UI, on 127.0.0.1 only.
        environment: The ALERT_* variables that the parts get; see `part_environment`.
        module: The module that holds the Dagster definitions.
        proxy: Host and port of the REST API; not started where None.
        start_seconds: The maximum time until a part is ready.
    """
    home = state_dir.absolute() / "dagster_home"
    listens = code_socket(state_dir)
    own_folder(listens.parent)
    workspace = str(home / "workspace.yaml")

    def part(
        name: str,
        order: int,
        ready: Probe,
        program: str,
        *arguments: str,
        after_set_back: tuple[str, ...] = (),
    ) -> PartSpec:
        return PartSpec(
            name=name,
            argv=(sys.executable, "-m", *program.split(), *arguments),
            environment=part_environment(environment, home, program),
            ready=ready,
            order=order,
            folder=home,
            start_seconds=start_seconds,
            after_set_back=after_set_back,
        )

    specs = [
        part(
            "code-server", 0, _code_server_ready(listens), CODE_SERVER,
            "--socket", str(listens), "--module-name", module,
            "--location-name", LOCATION, "--log-level", "warning", "--log-format", "json",
        ),
        part(
            "webserver", 1, _http_ready(webserver_port, "/server_info"), _WEBSERVER,
            "--port", str(webserver_port), "--workspace", workspace,
        ),
        part(
            "daemon", 2, _daemon_ready(webserver_port, state_dir), DAEMON_MODULE,
            "run", "--workspace", workspace, "--log-format", "json",
            after_set_back=(sys.executable, "-m", _SENSOR_TICKS),
        ),
    ]  # fmt: skip
    if proxy is not None:
        host, port = proxy
        ready = _http_ready(port, "/health/live", host=reached_at(host))
        specs.append(part("proxy", 2, ready, _PROXY))
    return tuple(specs)


def withheld(program: str) -> frozenset[str]:
    """The variables with secrets that a program does not need and does not get.

    The proxy alone knows the API keys, and those as hashes. Notifications are sent from runs, which
    the code server starts, and from the proxy. Dagster's database is in `dagster.yaml`.
    """
    return {
        CODE_SERVER: _IDENTITY | {"ALERT_HEARTBEAT_URL"},
        _WEBSERVER: _SECRET - {"ALERT_DATABASE_URL"},
        DAEMON_MODULE: _SECRET,
    }.get(program, frozenset())


def _hashed(keys: str) -> str:
    return ",".join(
        f"{name}:sha256:{digest(key)}" if name else f"sha256:{digest(key)}"
        for name, key in entries(keys)
    )


def _code_server_ready(path: Path) -> Probe:
    """Ready when the health service answers SERVING: the code is loaded by then."""

    def check() -> bool:
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

    def check() -> bool:
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
    """Ready when each daemon that the instance requires has a heartbeat that was not there before.

    Not by its time, since a clock may jump during the start. `healthy` would not do: Dagster leaves
    it true for 30 minutes after a daemon's end.
    """
    before: dict[str, float | None] | None = None

    async def probe() -> bool:
        nonlocal before
        try:
            async with connected(
                webserver_port, Budgets(read=_PROBE_SECONDS), state_dir=state_dir
            ) as client:
                answer = await client.ask(documents.HEARTBEATS, {})
            statuses = answer["instance"]["daemonHealth"]["allDaemonStatuses"]
            beats = {
                status["daemonType"]: status["lastHeartbeatTime"]
                for status in statuses
                if status["required"]
            }
        except (SchedulerError, KeyError, TypeError):
            return False
        if before is None:
            before = beats
        return bool(beats) and all(
            beat is not None and beat != before.get(kind) for kind, beat in beats.items()
        )

    return probe


def _in_thread(check: Callable[[], bool]) -> Probe:
    async def probe() -> bool:
        return await asyncio.to_thread(check)

    return probe


def part_environment(
    environment: Mapping[str, str], home: Path, program: str = ""
) -> dict[str, str]:
    """The environment of a part: `environment`, DAGSTER_HOME and this process's other variables.

    No variable of this process for Dagster, the settings or the command line is passed on, since a
    stray DAGSTER_WEBSERVER_HOST=0.0.0.0 or DAGSTER_GRPC_PORT would affect the parts, and
    PERF_ALERTS_KEY is a key. What `withheld` names is blank, and API keys are hashes. Logs are in
    UTC.
    """
    others = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ALERT_", "DAGSTER_", "DAGIT_", "PERF_ALERTS_"))
    }
    blank = dict.fromkeys(withheld(program) & environment.keys(), "")
    keys = {name: _hashed(environment[name]) for name in _KEYS if environment.get(name)}
    named = {"TZ": "UTC", "DAGSTER_HOME": str(home)}
    return {**others, **environment, **keys, **blank, **named}


def check_port(port: int, variable: str) -> None:
    """Raise `StackError` where a loopback port stays taken, before anything is started.

    It may be a part of a stack that was killed just now.
    """
    for _ in range(_PORT_TRIES):
        if _is_free(port):
            return
        time.sleep(_PORT_PAUSE)
    raise StackError(f"127.0.0.1:{port} is in use; stop what listens there, or set {variable}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def run_stack(
    settings: Settings, *, on_ready: Callable[[], Awaitable[None]], with_proxy: bool
) -> None:
    """Run the stack of the settings until it is asked to stop; see `up`.

    The caller holds `only_stack`, and has migrated the alert store.
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
        start_seconds=settings.start_seconds,
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
        state_dir: The state folder; its caller holds `only_stack`.
        on_ready: Run once all parts are ready, and cancelled when the stack is asked to stop. It is
            a courtesy: an exception that it raises is a warning.

    Raises:
        StackError: A part did not start.
    """
    async with Stack(specs, state_dir=state_dir) as stack:
        if stack.stopping or on_ready is None:
            await stack.wait()
            return
        work = asyncio.ensure_future(on_ready())
        work.add_done_callback(_warn)
        await stack.wait()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def _warn(work: asyncio.Future[None]) -> None:
    if not work.cancelled() and (error := work.exception()) is not None:
        LOG.warning("the stack runs, and what follows its start failed: %s", error or repr(error))
