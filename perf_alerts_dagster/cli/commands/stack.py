"""Commands that run and examine the system: `up`, `home`, `migrate`, `proxy`, `run`, `doctor`."""

import asyncio
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime
from importlib import import_module
from itertools import count

import click
from rich.markup import escape

from perf_alerts_dagster.cli import options, output
from perf_alerts_dagster.cli.output import ERR, OUT
from perf_alerts_dagster.cli.session import desk_clock, open_stored_incidents
from perf_alerts_dagster.core.alerts import ALERTS, Alert
from perf_alerts_dagster.core.errors import PerfAlertsError, SettingsError, StoreUnavailable
from perf_alerts_dagster.core.wording import counted
from perf_alerts_dagster.scheduler.graphql.client import Budgets, connected
from perf_alerts_dagster.scheduler.names import REQUEST_ID, TRIGGERED_BY
from perf_alerts_dagster.scheduler.port import (
    AlertRun,
    Launch,
    RunFilter,
    RunState,
    Scheduler,
    SchedulerError,
)
from perf_alerts_dagster.settings import Settings, load_settings

# Seconds: between questions about runs that work, between attempts after one that failed, between
# lines about something that takes long, and until the login link is printed in any case.
_POLL = 2.0
_AGAIN = 15.0
_SHOWN = 15.0
_FIRST = 45.0
_OURS = ("-m", "perf_alerts_dagster.cli")
_CHANNELS = """
import sys
from perf_alerts_dagster.bootstrap.notifications import open_all_channels
from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.settings import load_settings
try:
    open_all_channels(load_settings())
except SettingsError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""


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
@click.option(
    "--standby",
    is_flag=True,
    help="Where another stack works over the same databases, wait for its end and take over.",
)
def up(first_runs: bool, proxy: bool, standby: bool) -> None:
    """Start the whole stack and keep it running; Ctrl-C or SIGTERM stops all of it.

    Code server, web UI (loopback only), daemon and REST API run as one supervised group: ready
    when all answer, restarted when one ends, all stopped within 15 seconds when you stop it.
    State and logs are in ALERT_STATE_DIR. What it read from the environment and `.env` is frozen
    until the next start.
    """
    from perf_alerts_dagster.bootstrap.records import make_state_dir
    from perf_alerts_dagster.identity.keys import first_admin_key, key_for_links
    from perf_alerts_dagster.stack.dagster_home import only_stack
    from perf_alerts_dagster.stack.stack import run_stack

    settings = output.settings_with_warnings()
    if settings.notify_urls or settings.escalation_urls:
        _apart(settings, "-c", _CHANNELS, task="opening the channels")
    make_state_dir(settings)
    with only_stack(settings.state_dir), _databases(settings, standby=standby):
        _apart(settings, *_OURS, "migrate", task="the migration of the alert store")
        key = first_admin_key(settings) if proxy else None
        ERR.print(f"starting the stack, state in {escape(str(settings.state_dir))} ...")
        has_link = proxy and sys.stdout.isatty() and key_for_links(settings) is not None

        async def ready() -> None:
            OUT.print(f"web UI   http://127.0.0.1:{settings.webserver_port}")
            if proxy:
                _show_api(settings, key)
            OUT.print(f"records  {escape(settings.records_shown)}")
            OUT.print(f"state    {escape(str(settings.state_dir))}")
            OUT.print("the stack is up; Ctrl-C stops it")
            first = asyncio.ensure_future(_run_first(settings) if first_runs else asyncio.sleep(0))
            try:
                # The link comes last, where people look, with something to see behind it.
                await asyncio.wait({first}, timeout=_FIRST)
                if has_link:
                    await asyncio.to_thread(_show_login_link, settings)
                await first
            finally:
                first.cancel()

        asyncio.run(run_stack(settings, on_ready=ready, with_proxy=proxy))


@click.command()
def home() -> None:
    """Print the path of the Dagster home; rendered into the state folder where no stack runs.

    \b
    export DAGSTER_HOME="$(perf-alerts home)"
    dagster job launch -w workspace.yaml -j daily_pnl_check
    """
    from perf_alerts_dagster.stack.running import open_home

    path, frozen = open_home(load_settings())
    _warn(frozen.warning)
    click.echo(str(path))


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
    it; the stack need not be running. Where it is, its settings count. A date older than the
    newest judged one is recorded and changes nothing else. Exit code 1 when the run fails.
    """
    from perf_alerts_dagster.stack.running import open_home

    path, frozen = open_home(load_settings())
    _warn(frozen.warning)
    # The run's process reads the same settings as this one, frozen.
    os.environ.update(frozen.settings.environment())
    os.environ["DAGSTER_HOME"] = str(path)
    import dagster as dg

    from perf_alerts_dagster.defs.metadata import SENTENCE
    from perf_alerts_dagster.scheduler.dagster_internals import (
        PARTITION_NAME_TAG,
        ReconstructableRepository,
    )
    from perf_alerts_dagster.scheduler.names import ALERT, DEFINITIONS, ERROR, OUTCOME
    from perf_alerts_dagster.stack.ownership import owners

    tags = {ALERT: alert.name, TRIGGERED_BY: "cli"}
    if as_of is not None:
        tags[PARTITION_NAME_TAG] = as_of.isoformat()
    repository = ReconstructableRepository.for_module(DEFINITIONS, "defs")
    # Dagster itself ends in a traceback where its database is down.
    owners(frozen.settings)
    began_at = datetime.now(UTC)
    with dg.DagsterInstance.get() as instance:
        result = dg.execute_job(
            repository.get_reconstructable_job(alert.name),
            instance=instance,
            tags=tags,
            # Dagster's own steps are in the run's log.
            run_config={"loggers": {"console": {"config": {"log_level": "INFO"}}}},
        )
        finished = instance.get_run_by_id(result.run_id)
        tags = dict(finished.tags) if finished else {}
        outputs = [each.step_output_data for each in result.all_events if each.is_successful_output]
    if not result.success:
        why = tags.get(ERROR, "its log says why")
        ERR.print(escape(f"{alert.name} failed, run {result.run_id}: {why}"), highlight=False)
        click.echo(f"run        {_run_page(frozen.settings, result.run_id)}")
        sys.exit(1)
    output.say(f"{alert.name} finished: {tags.get(OUTCOME, '-')}, run {result.run_id}")
    for each in outputs:
        if SENTENCE in each.metadata:
            output.say(str(each.metadata[SENTENCE].value))
    _print_next(alert, frozen.settings, result.run_id, began_at)


def _print_next(alert: Alert, settings: Settings, run_id: str, began_at: datetime) -> None:
    """What the run opened, when the alert is due next, and the pages about both."""
    from perf_alerts_dagster.cli.commands.status import next_run
    from perf_alerts_dagster.incidents.ports import IncidentFilter
    from perf_alerts_dagster.stack.dagster_home import holder

    clock = desk_clock()
    with open_stored_incidents() as stored:
        newest = stored.store.incidents(IncidentFilter(since=began_at), limit=500).incidents
    opened = [each for each in newest if each.run_id == run_id and each.opened_at >= began_at]
    count = Counter(each.severity for each in sorted(opened, key=lambda one: -one.severity.rank))
    worst = ", ".join(f"{number} {severity.value}" for severity, number in count.items())
    events = counted(len({each.event_id for each in opened}), "event")
    output.say(f"incidents opened: {len(opened)}" + (f" ({worst}) in {events}" if opened else ""))
    due = clock.at(next_run(alert, settings, clock.now))
    is_up = holder(settings.state_dir) is not None
    output.say(f"due next: {due}" + ("" if is_up else "; no stack is running: `perf-alerts up`"))
    # As they are: a line that is folded cannot be copied.
    click.echo(f"run        {_run_page(settings, run_id)}")
    if opened:
        pages = settings.public_url or f"http://127.0.0.1:{settings.proxy_port}"
        click.echo(f"incidents  {pages}/incidents")


def _run_page(settings: Settings, run_id: str) -> str:
    return f"http://127.0.0.1:{settings.webserver_port}/runs/{run_id}"


@click.command()
@click.option("--mend", is_flag=True, help="Bring schedules back that a clock jump has silenced.")
@options.json_option
def doctor(mend: bool, as_json: bool) -> None:
    """Examine the running system and say what is wrong and how to fix it.

    It looks at the state folder and its disk, the alert store, the web UI and the code location,
    the daemon's heartbeats by their age, runs that wait too long, exceed their time or that
    are orphaned, and schedules whose ticks lie in the future. A running stack is examined with
    its own settings. It changes nothing without --mend. Exit code 1 when something is wrong.
    """
    from perf_alerts_dagster.stack.doctor import examine
    from perf_alerts_dagster.stack.running import frozen_settings

    frozen = frozen_settings(load_settings())
    _warn(frozen.warning)
    with output.working("examining"):
        findings = list(examine(frozen.settings, datetime.now(UTC), fix=mend))
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


def _show_login_link(settings: Settings) -> None:
    """Print a link that logs in whoever reads along; a courtesy, so that a failure is a warning."""
    try:
        shown = _apart(settings, *_OURS, "login-link", task="the login link")
        click.echo(f"open     {shown.rstrip()}".replace("\n", "\n         "))
    except PerfAlertsError as error:
        _warn(f"there is no login link, and a key logs in as well: {error}")


def _warn(text: str) -> None:
    if text:
        ERR.print(f"[yellow]warning[/yellow]: {escape(text)}", highlight=False)


def _databases(settings: Settings, *, standby: bool) -> AbstractContextManager[None]:
    """The lease of the databases, where another stack could reach them; see `Ownership`."""
    if settings.database_url is None and settings.dagster_database_url is None:
        return nullcontext()
    # Here, since it stays in memory.
    from perf_alerts_dagster.stack.ownership import Ownership

    return Ownership(settings).hold(standby=standby)


def _apart(settings: Settings, *words: str, task: str) -> str:
    """The output of Python in a process of its own: modules needed once would stay in memory."""
    process = subprocess.Popen(  # noqa: S603 - words of ours
        [sys.executable, *words],
        env={**os.environ, **settings.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for waited in count(1):
        try:
            stdout, stderr = process.communicate(timeout=_SHOWN)
            break
        except subprocess.TimeoutExpired:
            ERR.print(f"waiting for {task}, {waited * _SHOWN:g} s ...")
    if process.returncode == 2:
        raise SettingsError(stderr.strip())
    if process.returncode != 0:
        raise StoreUnavailable(stderr.strip() or f"{task} ended: exit code {process.returncode}")
    return stdout


async def _run_first(settings: Settings) -> None:
    """Where no execution has succeeded yet, execute all alerts once and show their outcomes.

    A courtesy: it is tried again until it works, and what fails is a warning.
    """
    from perf_alerts_dagster.scheduler.graphql.scheduler import GraphQLScheduler

    budgets = Budgets.within(settings.dagster_seconds)
    tags = {TRIGGERED_BY: "first start", REQUEST_ID: uuid.uuid4().hex}
    is_first = False
    while True:
        try:
            async with connected(
                settings.webserver_port, budgets, state_dir=settings.state_dir
            ) as client:
                scheduler = GraphQLScheduler(client)
                is_first = is_first or await is_first_start(scheduler)
                runs = await first_runs(scheduler, tags) if is_first else ()
            break
        except SchedulerError as error:
            _warn(f"the first executions are tried again in {_AGAIN:g} s: {error}")
            await asyncio.sleep(_AGAIN)
    if not runs:
        return
    table = output.table(
        "first executions", "alert", "state", "outcome", "as of", "run", optional=("as of", "run")
    )
    for run in runs:
        succeeded = run.state is RunState.SUCCESS
        table.add_row(
            run.alert,
            output.styled("ok") if succeeded else f"[red]{escape(run.state.value)}[/red]",
            escape(run.outcome or run.error or "-"),
            escape(run.as_of or "-"),
            run.run_id,
        )
    output.print_table(table)


async def is_first_start(scheduler: Scheduler) -> bool:
    """Whether no execution of an alert has succeeded yet."""
    return not (await scheduler.runs(RunFilter(states=frozenset({RunState.SUCCESS}), limit=1))).runs


async def first_runs(scheduler: Scheduler, tags: Mapping[str, str]) -> Sequence[AlertRun]:
    """Launch each alert that has no run with these tags yet; all of the runs, once they ended."""
    # An attempt before this one may have launched some, and not heard so.
    known = {run.alert for run in (await scheduler.runs(RunFilter(tags=tags))).runs}
    for alert in [alert for alert in ALERTS if alert.name not in known]:
        await scheduler.launch(Launch(alert=alert.name, tags=tags))
        ERR.print(f"nothing was executed yet: launched {alert.name}")
    while True:
        runs = (await scheduler.runs(RunFilter(tags=tags))).runs
        if all(run.state.is_finished for run in runs):
            return runs[::-1]
        await asyncio.sleep(_POLL)
