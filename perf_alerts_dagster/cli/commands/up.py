"""`perf-alerts up`, `home` and `migrate`: the stack, its Dagster home, its schema."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import click
from rich.markup import escape

from perf_alerts_dagster.cli.output import ERR, OUT, styled, table
from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.errors import StackError, StoreUnavailable
from perf_alerts_dagster.scheduler.port import (
    AlertRun,
    Launch,
    RunFilter,
    RunState,
    Scheduler,
    SchedulerError,
)
from perf_alerts_dagster.settings import Settings, load_settings, unknown_names

_POLL_SECONDS = 0.5
_LONGEST_SECONDS = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """One run as it ended, or as it stood when the waiting ended."""

    alert: str
    run_id: str
    state: str
    outcome: str
    as_of: str


async def is_first_start(port: int) -> bool:
    """Whether no execution of an alert has succeeded yet.

    Raises:
        StackError: the webserver does not say.
    """
    from perf_alerts_dagster.scheduler.graphql.client import GraphQLClient
    from perf_alerts_dagster.scheduler.graphql.scheduler import GraphQLScheduler

    client = GraphQLClient(f"http://127.0.0.1:{port}")
    wanted = RunFilter(states=frozenset({RunState.SUCCESS}), limit=1)
    try:
        return not (await GraphQLScheduler(client).runs(wanted)).runs
    except SchedulerError as error:
        raise StackError(f"the runs of the past cannot be read: {error}") from error
    finally:
        await client.close()


async def launch_all(port: int, *, report: Callable[[str], None]) -> AsyncIterator[Launched]:
    """Launch the five alerts, then yield each as it ends, in their order.

    Raises:
        StackError: the webserver refused a run, or went away.
    """
    from perf_alerts_dagster.scheduler.graphql.client import GraphQLClient
    from perf_alerts_dagster.scheduler.graphql.scheduler import GraphQLScheduler
    from perf_alerts_dagster.scheduler.names import ALERT, TRIGGERED_BY

    client = GraphQLClient(f"http://127.0.0.1:{port}")
    scheduler = GraphQLScheduler(client)
    try:
        runs = []
        for alert in ALERTS:
            tags = {ALERT: alert.name, TRIGGERED_BY: "first start"}
            runs.append(await scheduler.launch(Launch(alert=alert.name, tags=tags)))
            report(f"launched {alert.name}")
        end = asyncio.get_running_loop().time() + _LONGEST_SECONDS
        for run in runs:
            yield _as_it_ended(await _wait(scheduler, run, end))
    except SchedulerError as error:
        raise StackError(f"the first runs could not be launched: {error}") from error
    finally:
        await client.close()


async def _wait(scheduler: Scheduler, run: AlertRun, end: float) -> AlertRun:
    while not run.state.is_finished and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(_POLL_SECONDS)
        run = await scheduler.run(run.run_id) or run
    return run


def _as_it_ended(run: AlertRun) -> Launched:
    return Launched(
        alert=run.alert,
        run_id=run.run_id,
        state=run.state.value,
        outcome=run.outcome or run.error or "-",
        as_of=run.as_of or "-",
    )


@click.command()
@click.option(
    "--first-runs/--no-first-runs",
    default=True,
    help="Where none has succeeded yet, execute the five alerts once: there is something to see.",
)
@click.option(
    "--proxy/--no-proxy",
    default=True,
    help="Serve the REST API as well; without it, start it elsewhere by `perf-alerts proxy`.",
)
def up(first_runs: bool, proxy: bool) -> None:
    """Start the whole stack and keep it running; Ctrl-C or SIGTERM stops all of it.

    Code server, web UI (loopback only), daemon and REST API run as one supervised group: ready
    when all answer, restarted when one dies, gone within 15 seconds when you stop it. State and
    logs are in ALERT_STATE_DIR. What it read from the environment and `.env` is frozen until
    the next start.
    """
    from perf_alerts_dagster.identity.keys import first_admin_key
    from perf_alerts_dagster.stack.stack import run_stack

    settings = load_settings()
    for warning in (*unknown_names(), *settings.warnings):
        ERR.print(f"[yellow]warning[/yellow]: {escape(warning)}", highlight=False)
    _migrate(settings)
    key = first_admin_key(settings) if proxy else None
    ERR.print(f"starting the stack, state in {escape(str(settings.state_dir))} ...")

    async def ready() -> None:
        OUT.print(f"web UI   http://127.0.0.1:{settings.webserver_port}")
        if proxy:
            _show_api(settings, key)
        OUT.print(f"records  {escape(settings.records_shown)}")
        OUT.print(f"state    {escape(str(settings.state_dir))}")
        if first_runs:
            await _run_first(settings)
        OUT.print("the stack is up; Ctrl-C stops it")

    sys.exit(asyncio.run(run_stack(settings, on_ready=ready, with_proxy=proxy)))


@click.command()
def home() -> None:
    """Render the Dagster home into the state folder and print its place.

    \b
    export DAGSTER_HOME="$(perf-alerts home)"
    dagster job launch -w workspace.yaml -j daily_pnl_check
    """
    from perf_alerts_dagster.bootstrap.records import migrate_store
    from perf_alerts_dagster.stack.dagster_home import prepare_home

    settings = load_settings()
    migrate_store(settings)
    click.echo(str(prepare_home(settings)))


@click.command()
def migrate() -> None:
    """Bring the alert store to this version; `up`, `home` and `run` do it too.

    For stores that other processes write: migrate once, before the new version starts. Safe to
    repeat, and safe when two start it at once.
    """
    from perf_alerts_dagster.bootstrap.records import migrate_store

    migrate_store(load_settings())
    OUT.print("the alert store is at this version")


def _show_api(settings: Settings, key: str | None) -> None:
    base = f"http://{settings.proxy_host}:{settings.proxy_port}/api/performance-alerts"
    OUT.print(f"REST API {base}")
    if key is None:
        return
    # Not through rich: a line that is folded cannot be copied.
    click.echo(f"API key  {key}")
    click.echo("         an admin key, made now and shown once; only its hash is kept. Try it:")
    click.echo(f'  curl -H "{settings.api_key_header}: {key}" {base}/schedule/status')


def _migrate(settings: Settings) -> None:
    """In a process of its own: what migrates is needed once, and would stay in memory."""
    from perf_alerts_dagster.bootstrap.records import make_state_dir

    make_state_dir(settings)
    done = subprocess.run(
        [sys.executable, "-m", "perf_alerts_dagster.cli", "migrate"],
        env={**os.environ, **settings.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        ended = f"`perf-alerts migrate` ended with exit code {done.returncode}"
        raise StoreUnavailable(done.stderr.strip() or ended)


async def _run_first(settings: Settings) -> None:
    """Where no execution has succeeded yet, launch the five alerts and show what they concluded."""
    if not await is_first_start(settings.webserver_port):
        return
    ERR.print("nothing was executed yet: executing the five alerts once ...")
    shown = table("first executions", "alert", "state", "outcome", "as of", "run")
    async for one in launch_all(settings.webserver_port, report=ERR.print):
        shown.add_row(
            one.alert,
            styled("ok") if one.state == "success" else f"[red]{escape(one.state)}[/red]",
            escape(one.outcome),
            escape(one.as_of),
            one.run_id,
        )
    OUT.print(shown)
