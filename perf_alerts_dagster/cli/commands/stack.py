"""Commands that run and examine the system: `up`, `home`, `migrate`, `proxy`, `run`, `doctor`."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from importlib import import_module

import click
from rich.markup import escape

from perf_alerts_dagster.cli import options, output
from perf_alerts_dagster.cli.output import ERR, OUT
from perf_alerts_dagster.core.alerts import ALERTS, Alert
from perf_alerts_dagster.core.errors import StackError, StoreUnavailable
from perf_alerts_dagster.scheduler.port import AlertRun, Launch, RunFilter, RunState, SchedulerError
from perf_alerts_dagster.settings import Settings, load_settings

_POLL_SECONDS = 0.5
_LONGEST_SECONDS = 180.0


async def is_first_start(settings: Settings) -> bool:
    """Whether no execution of an alert has succeeded yet.

    Raises:
        StackError: the webserver does not say.
    """
    from perf_alerts_dagster.scheduler.graphql.client import connected
    from perf_alerts_dagster.scheduler.graphql.scheduler import GraphQLScheduler

    wanted = RunFilter(states=frozenset({RunState.SUCCESS}), limit=1)
    try:
        async with connected(settings.webserver_port, state_dir=settings.state_dir) as client:
            return not (await GraphQLScheduler(client).runs(wanted)).runs
    except SchedulerError as error:
        raise StackError(f"the runs of the past cannot be read: {error}") from error


async def _launch_all(settings: Settings) -> AsyncIterator[AlertRun]:
    """Launch all alerts, then yield each run at its end, or at the end of the waiting.

    Raises:
        StackError: the webserver refused a run, or does not answer any more.
    """
    from perf_alerts_dagster.scheduler.graphql.client import connected
    from perf_alerts_dagster.scheduler.graphql.scheduler import GraphQLScheduler
    from perf_alerts_dagster.scheduler.names import ALERT, TRIGGERED_BY

    time = asyncio.get_running_loop().time
    try:
        async with connected(settings.webserver_port, state_dir=settings.state_dir) as client:
            scheduler = GraphQLScheduler(client)
            runs = []
            for alert in ALERTS:
                tags = {ALERT: alert.name, TRIGGERED_BY: "first start"}
                runs.append(await scheduler.launch(Launch(alert=alert.name, tags=tags)))
                ERR.print(f"launched {alert.name}")
            end = time() + _LONGEST_SECONDS
            for run in runs:
                while not run.state.is_finished and time() < end:
                    await asyncio.sleep(_POLL_SECONDS)
                    run = await scheduler.run(run.run_id) or run
                yield run
    except SchedulerError as error:
        raise StackError(f"the first runs could not be launched: {error}") from error


@click.command()
@click.option(
    "--first-runs/--no-first-runs",
    default=True,
    help="Where none has succeeded yet, execute all alerts once: there is something to see.",
)
@click.option(
    "--proxy/--no-proxy",
    default=True,
    help="Serve the REST API as well; without it, start it elsewhere by `perf-alerts proxy`.",
)
def up(first_runs: bool, proxy: bool) -> None:
    """Start the whole stack and keep it running; Ctrl-C or SIGTERM stops all of it.

    Code server, web UI (loopback only), daemon and REST API run as one supervised group: ready
    when all answer, restarted when one ends, all stopped within 15 seconds when you stop it.
    State and logs are in ALERT_STATE_DIR. What it read from the environment and `.env` is frozen
    until the next start.
    """
    from perf_alerts_dagster.identity.keys import first_admin_key
    from perf_alerts_dagster.stack.stack import run_stack

    settings = output.settings_with_warnings()
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

    asyncio.run(run_stack(settings, on_ready=ready, with_proxy=proxy))


@click.command()
def home() -> None:
    """Render the Dagster home into the state folder and print its path.

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


@click.command()
@click.option(
    "--documented-only",
    is_flag=True,
    help="Serve the documented endpoints only: auth and schedule, without pages, incidents, "
    "strategies, metrics and health, and without sweeping incidents.",
)
def proxy(documented_only: bool) -> None:
    """Serve the REST API alone, on ALERT_PROXY_HOST and ALERT_PROXY_PORT (8089).

    Dagster's webserver is asked on 127.0.0.1:ALERT_WEBSERVER_PORT. It keeps nothing of its own,
    so that several may run over one alert store. Ctrl-C or SIGTERM answers what is under way
    and stops it.
    """
    from perf_alerts_dagster.http import server
    from perf_alerts_dagster.identity.keys import first_admin_key

    settings = output.settings_with_warnings()
    key = first_admin_key(settings)
    if key is not None:
        click.echo(f"an admin key, made now and shown once; only its hash is kept: {key}")
    # By its name: the documented endpoints alone must not load the others.
    app = import_module(f"perf_alerts_dagster.{'proxy' if documented_only else 'server'}.app")
    server.run(settings, app.create_app(settings))


@click.command()
@options.alert_argument
@options.as_of_option
def run(alert: Alert, as_of: date | None) -> None:
    """Execute one alert now as a Dagster run, and wait for it.

    The run, its retries and its result are in Dagster's storage, as if a schedule had started
    it; the stack need not be running. A date older than the newest judged one is recorded and
    changes nothing else. Exit code 1 when the run fails.
    """
    from perf_alerts_dagster.stack.dagster_home import prepare_home

    settings = load_settings()
    # The run's process reads the same settings as this one, frozen.
    os.environ.update(settings.environment())
    os.environ["DAGSTER_HOME"] = str(prepare_home(settings))
    import dagster as dg

    from perf_alerts_dagster.bootstrap.records import migrate_store
    from perf_alerts_dagster.scheduler.dagster_internals import (
        PARTITION_NAME_TAG,
        ReconstructableRepository,
    )
    from perf_alerts_dagster.scheduler.names import ALERT, DEFINITIONS, NOTE, OUTCOME, TRIGGERED_BY

    migrate_store(settings)
    tags = {ALERT: alert.name, TRIGGERED_BY: "cli"}
    if as_of is not None:
        tags[PARTITION_NAME_TAG] = as_of.isoformat()
    repository = ReconstructableRepository.for_module(DEFINITIONS, "defs")
    with dg.DagsterInstance.get() as instance:
        result = dg.execute_job(
            repository.get_reconstructable_job(alert.name), instance=instance, tags=tags
        )
        finished = instance.get_run_by_id(result.run_id)
        tags = dict(finished.tags) if finished else {}
        result_ok = result.success
    if not result_ok:
        ERR.print(f"{alert.name} failed, run {result.run_id}")
        sys.exit(1)
    OUT.print(f"{alert.name} finished: {tags.get(OUTCOME, '-')}, run {result.run_id}")
    if NOTE in tags:
        ERR.print(f"not judged in full: {escape(tags[NOTE])}", highlight=False)


@click.command()
@click.option("--mend", is_flag=True, help="Bring schedules back that a clock jump has silenced.")
@options.json_option
def doctor(mend: bool, as_json: bool) -> None:
    """Examine the running system and say what is wrong and how to fix it.

    It looks at the state folder and its disk, the alert store, the web UI and the code location,
    the daemon's heartbeats by their age, runs that wait too long, exceed their time or that
    are orphaned, and schedules whose ticks lie in the future. It changes nothing without
    --mend. Exit code 1 when something is wrong.
    """
    from perf_alerts_dagster.stack.doctor import examine

    settings = load_settings()
    with output.working("examining"):
        findings = list(examine(settings, datetime.now(UTC), fix=mend))
    if as_json:
        rows = [
            {"where": finding.where, "what": finding.problem, "mend": finding.fix}
            for finding in findings
        ]
        output.print_json({"healthy": not findings, "findings": rows})
    elif not findings:
        OUT.print(
            "[green]the system works[/green]: state, store, web UI, code, daemon, runs, clock"
        )
    for finding in [] if as_json else findings:
        OUT.print(f"[red]{escape(finding.where)}[/red]: {escape(finding.problem)}", highlight=False)
        OUT.print(f"    fix: {escape(finding.fix)}", highlight=False)
    sys.exit(1 if findings else 0)


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
    """Migrate in a process of its own: the modules needed once would stay in memory."""
    from perf_alerts_dagster.bootstrap.records import make_state_dir

    make_state_dir(settings)
    process = subprocess.run(
        [sys.executable, "-m", "perf_alerts_dagster.cli", "migrate"],
        env={**os.environ, **settings.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode != 0:
        ended = f"`perf-alerts migrate` ended with exit code {process.returncode}"
        raise StoreUnavailable(process.stderr.strip() or ended)


async def _run_first(settings: Settings) -> None:
    """Where no execution has succeeded yet, launch all alerts and show their outcomes."""
    if not await is_first_start(settings):
        return
    ERR.print("nothing was executed yet: executing all alerts once ...")
    table = output.table("first executions", "alert", "state", "outcome", "as of", "run")
    async for run in _launch_all(settings):
        succeeded = run.state is RunState.SUCCESS
        table.add_row(
            run.alert,
            output.styled("ok") if succeeded else f"[red]{escape(run.state.value)}[/red]",
            escape(run.outcome or run.error or "-"),
            escape(run.as_of or "-"),
            run.run_id,
        )
    OUT.print(table)
