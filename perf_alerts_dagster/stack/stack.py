"""The parts that make up a running perf-alerts, and the run of them all."""

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from perf_alerts_dagster.core.errors import StackError
from perf_alerts_dagster.scheduler.dagster_internals import DAEMON_MODULE
from perf_alerts_dagster.scheduler.names import DEFINITIONS, LOCATION
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.stack import readiness
from perf_alerts_dagster.stack.dagster_home import code_socket, own_folder, prepare_home
from perf_alerts_dagster.stack.process import PartSpec
from perf_alerts_dagster.stack.supervisor import Stack


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
        state_dir: The state folder that `render_home` was called with.
        webserver_port: Where the web UI listens, on 127.0.0.1 only.
        environment: What the parts see of our settings; all else they have from this process,
            see `part_environment`.
        module: The module that holds the Dagster definitions.
        proxy: Where the REST API listens, host and port; not started where None.
    """
    home = state_dir.absolute() / "dagster_home"
    listens = code_socket(state_dir)
    own_folder(listens.parent)
    workspace = str(home / "workspace.yaml")
    frozen = part_environment(environment, home)
    python = (sys.executable, "-m")
    # `dagster api grpc`, not `dagster code-server`: the latter is one process more.
    code_server = (
        *python, "dagster", "api", "grpc", "--socket", str(listens), "--module-name", module,
        "--location-name", LOCATION, "--log-level", "warning", "--log-format", "json",
    )  # fmt: skip
    webserver = (
        *python, "perf_alerts_dagster.stack.webserver",
        "--port", str(webserver_port), "--workspace", workspace,
    )  # fmt: skip
    daemon = (*python, DAEMON_MODULE, "run", "--workspace", workspace, "--log-format", "json")
    specs = (
        PartSpec(
            name="code-server",
            argv=code_server,
            environment=frozen,
            ready=readiness.code_server(listens),
            order=0,
            folder=home,
        ),
        PartSpec(
            name="webserver",
            argv=webserver,
            environment=frozen,
            ready=readiness.http_answer(webserver_port, "/server_info"),
            order=1,
            folder=home,
        ),
        PartSpec(
            name="daemon",
            argv=daemon,
            environment=frozen,
            ready=readiness.daemon(webserver_port),
            order=2,
            folder=home,
        ),
    )
    if proxy is None:
        return specs
    host, port = proxy
    return (
        *specs,
        PartSpec(
            name="proxy",
            argv=(*python, "perf_alerts_dagster.server.serve"),
            environment=frozen,
            ready=readiness.http_answer(port, "/health/live", host=_reached_at(host)),
            order=2,
            folder=home,
        ),
    )


def _reached_at(host: str) -> str:
    """Where this machine reaches what listens on `host`: everywhere is also here."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound


def part_environment(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """All variables a part sees: ours as given, DAGSTER_HOME, and this process's others.

    A stray DAGSTER_WEBSERVER_HOST=0.0.0.0 or DAGSTER_GRPC_PORT would change what the parts
    do, so no DAGSTER_* or ALERT_* variable of this process is handed on.
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
    settings: Settings, *, on_ready: Callable[[], Awaitable[None]], with_proxy: bool = True
) -> int:
    """Run the stack that the settings ask for until it is asked to stop; the exit code.

    The alert store must have been migrated. For the rest see `up`.
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
    return 0


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
        on_ready: Awaited once all parts answer, and cancelled where the stack is asked to stop
            before it is done. What it raises stops the stack.

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
