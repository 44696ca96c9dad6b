"""The whole stack against bare Dagster, in one run: import, trigger to finish, idle memory.

The peer is Dagster as its documentation starts it: a webserver and a daemon, each with a code
server of its own, over one location with one job that does nothing. Ours is `perf-alerts up` over
the bundled record: code server, guarded webserver, daemon and REST API. A trigger is one POST that
waits for the run's end; the peer's job is launched over GraphQL, then polled until it has ended.
The same triggers without the checks of Dagster's catalog, and the import of the definitions with a
catalog of 1,000 strategies, say what the catalog costs.
Memory is the sum of proportional set sizes (Linux). Run: `python benchmarks/stack.py`, two minutes.
"""

import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

REPEATS, IDLE_SECONDS = 9, 20
DEFINITIONS = "perf_alerts_dagster.definitions"
KEY = "benchmark-key-0123456789abcdef0123456789"
NOOP = """
import dagster as dg

@dg.op
def nothing() -> None:
    return

@dg.job(executor_def=dg.in_process_executor)
def noop() -> None:
    nothing()

defs = dg.Definitions(jobs=[noop])
"""
DAGSTER = """
run_coordinator:
  module: dagster._core.run_coordinator
  class: DefaultRunCoordinator
telemetry:
  enabled: false
"""
LAUNCH = """mutation { launchRun(executionParams: {selector: {repositoryLocationName: "noop.py",
  repositoryName: "__repository__", jobName: "noop"}}) {
  __typename ... on LaunchRunSuccess { run { runId } } } }"""
STATUS = "query Q($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


def clean_environment() -> dict[str, str]:
    """This environment without ALERT_* and DAGSTER_* variables."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("ALERT_", "DAGSTER_"))}


def free_port() -> int:
    """A free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def import_seconds(module: str, state: str = "", use: str = "") -> float:
    """Seconds that a new Python takes to import a module, and to do something with it."""
    code, environ = f"import {module}; {use}", clean_environment()
    if state:
        environ["ALERT_STATE_DIR"] = state
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=environ, check=True)
    return time.perf_counter() - started


def catalogs() -> dict[int, float]:
    """By their number of strategies, seconds to import and load the definitions as a server."""
    use = f"{DEFINITIONS}.defs.get_repository_def().load_all_definitions()"
    found = {}
    for count in (0, 16, 1_000):
        with tempfile.TemporaryDirectory() as state:
            listed = [
                {"name": f"s{at}", "group": f"g{at % 9}", "owner": "Vol Desk", "is_group": False}
                for at in range(count)
            ]
            content = json.dumps({"left_out": 0, "strategies": listed})
            (Path(state) / "catalog.json").write_text(content)
            times = [import_seconds(DEFINITIONS, state, use) for _ in range(REPEATS)]
            found[count] = statistics.median(times)
    return found


@contextmanager
def processes(
    commands: list[list[str]], environ: dict[str, str], folder: Path, url: str
) -> Iterator[list[psutil.Process]]:
    """Run commands until the context ends; yields once the URL answers with 200."""
    with (folder / "log").open("a") as log:
        started = [
            subprocess.Popen(command, env=environ, cwd=folder, stdout=log, stderr=log)
            for command in commands
        ]
    try:
        while not answers(url):
            if any(process.poll() is not None for process in started):
                raise SystemExit((folder / "log").read_text())
            time.sleep(0.2)
        yield [psutil.Process(process.pid) for process in started]
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


def answers(url: str) -> bool:
    """Whether a GET of the URL answers with 200."""
    try:
        return httpx.get(url, timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


def memory(parents: list[psutil.Process]) -> float:
    """Proportional set size of the processes and their descendants, in MB."""
    every = {
        process for parent in parents for process in (parent, *parent.children(recursive=True))
    }
    return float(sum(process.memory_full_info().pss for process in every)) / 2**20


def median(call: Callable[[], None]) -> float:
    """Median seconds of a call, after one warm-up call."""
    call()
    durations = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


def bare() -> tuple[float, float]:
    """Dagster alone: seconds from launch to the run's end, MB when idle."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        (folder / "noop.py").write_text(NOOP)
        (folder / "workspace.yaml").write_text("load_from:\n  - python_file: noop.py\n")
        (folder / "dagster.yaml").write_text(DAGSTER)
        commands = [
            [tool("dagster-webserver"), "-h", "127.0.0.1", "-p", str(port)],
            [tool("dagster-daemon"), "run"],
        ]
        url = f"http://127.0.0.1:{port}"
        environ = {**clean_environment(), "DAGSTER_HOME": name}
        with (
            processes(commands, environ, folder, f"{url}/server_info") as parents,
            httpx.Client(base_url=url, timeout=60) as api,
        ):

            def launch() -> None:
                answer = api.post("/graphql", json={"query": LAUNCH}).json()
                run_id = answer["data"]["launchRun"]["run"]["runId"]
                body = {"query": STATUS, "variables": {"id": run_id}}
                while True:
                    status = api.post("/graphql", json=body).json()["data"]["runOrError"]["status"]
                    if status in ("SUCCESS", "FAILURE"):
                        return
                    time.sleep(0.05)

            seconds = median(launch)
            time.sleep(IDLE_SECONDS)
            return seconds, memory(parents)


@contextmanager
def stack(state: Path, ports: tuple[int, int], **more: str) -> Iterator[list[psutil.Process]]:
    """`perf-alerts up` over a state folder, with its web UI and its REST API on two ports."""
    up = [perf_alerts("up", "--no-first-runs")]
    url = f"{api_url(ports[1])}/health/ready"
    with processes(up, settings(state, ports) | more, state.parent, url) as parents:
        yield parents


def api_url(port: int) -> str:
    """The base URL of the REST API."""
    return f"http://127.0.0.1:{port}/api/performance-alerts"


def perf_alerts(*arguments: str) -> list[str]:
    """The command line of a perf-alerts command."""
    return [sys.executable, "-m", "perf_alerts_dagster.cli", *arguments]


def settings(state: Path, ports: tuple[int, int]) -> dict[str, str]:
    """The environment of a stack on its own ports, with its schedules switched off."""
    return {
        **clean_environment(),
        "ALERT_STATE_DIR": str(state),
        "ALERT_WEBSERVER_PORT": str(ports[0]),
        "ALERT_PROXY_PORT": str(ports[1]),
        "ALERT_ADMIN_API_KEY": KEY,
        "ALERT_SCHEDULES_START": "stopped",
    }


def ours(**more: str) -> tuple[dict[str, float], float]:
    """The whole stack: by alert the seconds from trigger to the run's end, MB when idle.

    `more` are further settings.
    """
    with tempfile.TemporaryDirectory() as name:
        ports = (free_port(), free_port())
        with (
            stack(Path(name) / "state", ports, **more) as parents,
            httpx.Client(
                base_url=api_url(ports[1]), headers={"X-Alert-API-Key": KEY}, timeout=90
            ) as api,
        ):
            seconds = {}
            for alert in ("performance_threshold_check", "daily_pnl_check"):

                def trigger(alert: str = alert) -> None:
                    # Without its own key it would get the run of the trigger before it.
                    key = {"Idempotency-Key": uuid.uuid4().hex}
                    answer = api.post(f"/schedule/trigger/{alert}?wait=60", headers=key)
                    if answer.status_code != 200:
                        raise SystemExit(answer.text)

                seconds[alert] = median(trigger)
            time.sleep(IDLE_SECONDS)
            return seconds, memory(parents)


def tool(name: str) -> str:
    """The path of a script of this Python environment."""
    return str(Path(sys.executable).with_name(name))


def main() -> None:
    """Measure all and write the ratios to standard output."""
    from importlib.metadata import version

    write = sys.stdout.write
    write(
        f"Python {platform.python_version()}, dagster {version('dagster')}, "
        f"{os.cpu_count()} cores\n"
    )
    for module in ("dagster", DEFINITIONS):
        import_seconds(module)
    pairs = [(import_seconds("dagster"), import_seconds(DEFINITIONS)) for _ in range(REPEATS)]
    alone, definitions = (statistics.median(times) for times in zip(*pairs, strict=True))
    write(
        f"import: dagster {alone:.2f} s, our definitions {definitions:.2f} s, "
        f"{definitions - alone:+.2f} s, {definitions / alone:.2f}x\n"
    )
    for count, seconds in catalogs().items():
        write(
            f"definitions with {count} strategies, loaded: {seconds:.2f} s, "
            f"{seconds - alone:+.2f} s, {seconds / alone:.2f}x the import of dagster\n"
        )
    noop, bare_memory = bare()
    write(f"bare dagster: launch to end of a job that does nothing {noop:.2f} s\n")
    by_alert, our_memory = ours()
    for alert, seconds in by_alert.items():
        write(
            f"{alert}: trigger to end {seconds:.2f} s, {seconds - noop:+.2f} s, "
            f"{seconds / noop:.2f}x the bare job\n"
        )
    without, _ = ours(ALERT_CATALOG_EVENTS="0")
    for alert, seconds in by_alert.items():
        write(
            f"{alert}: with the checks of the catalog {seconds / without[alert]:.2f}x, "
            f"{seconds - without[alert]:+.2f} s\n"
        )
    write(
        f"idle memory: bare dagster {bare_memory:.0f} MB, our whole stack {our_memory:.0f} MB, "
        f"{our_memory / bare_memory:.2f}x\n"
    )


if __name__ == "__main__":
    main()
