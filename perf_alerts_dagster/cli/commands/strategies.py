"""`perf-alerts strategies`: list them, retire one, set the calendar of one."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import click
from rich.markup import escape

from perf_alerts_dagster.bootstrap.desk import open_desk
from perf_alerts_dagster.cli.commands import record
from perf_alerts_dagster.cli.options import DAY
from perf_alerts_dagster.cli.output import OUT
from perf_alerts_dagster.cli.session import change_of, user
from perf_alerts_dagster.core.errors import SettingsError, UsageError
from perf_alerts_dagster.executions.source import retire as end_strategy
from perf_alerts_dagster.records.desk import KeptCalendar, Retirement
from perf_alerts_dagster.records.sessions import OWN, open_calendar
from perf_alerts_dagster.settings import load_settings


@click.pass_context
def _list(ctx: click.Context, /, **options: object) -> None:
    """List the strategies where no subcommand is asked for."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(record.strategies, **options)


strategies = click.Group(
    "strategies",
    callback=_list,
    invoke_without_command=True,
    params=record.strategies.params,
    help=record.strategies.help,
)


@strategies.command()
@click.argument("name")
@click.option("--from", "since", type=DAY, required=True, help="The first day not judged.")
@click.option("--reason", required=True, help="Why it ended.")
def retire(name: str, since: date, reason: str) -> None:
    """End a strategy: from a day on it is not judged, and need not be in the source.

    Its incident of missing data is resolved as known. The retirement is recorded in the alert
    store of these settings, as done by cli:<your user name>; a later one replaces it.
    """
    settings = load_settings()
    now = datetime.now(UTC)
    today = now.astimezone(ZoneInfo(settings.timezone)).date()
    if since > today:
        raise UsageError(
            f"--from {since} is in the future; a day up to today ({today}) is accepted"
        )
    if not reason.strip():
        raise UsageError("--reason is empty; a line that says why it ended is accepted")
    retirement = Retirement(strategy=name, since=since, reason=reason.strip(), by=user(), at=now)
    with open_desk(settings) as (desk, lifecycle):
        change = change_of("retire", f"strategies/{name}", now)
        end_strategy(desk, lifecycle, retirement, change)
    OUT.print(escape(f"{name} is retired: it is not judged from {since} on"), highlight=False)


@strategies.command()
@click.argument("name")
@click.argument("code")
def calendar(name: str, code: str) -> None:
    """Set a strategy's calendar: weekdays, 24/7, weekly, monthly, sparse, or a code such as XNYS.

    It replaces the calendar that was inferred, from the next execution on. The `calendar` column
    of the strategies table wins over it.
    """
    settings = load_settings()
    now = datetime.now(UTC)
    today = now.astimezone(ZoneInfo(settings.timezone)).date()
    kept = KeptCalendar(name=code, periods_per_year=_periods_of(code), since=today, by=user())
    with open_desk(settings) as (desk, _):
        desk.set_calendar(name, kept, change_of("calendar", f"strategies/{name}", now))
    OUT.print(
        escape(f"{name} has the calendar {code} from the next execution on"),
        highlight=False,
    )


def _periods_of(code: str) -> float:
    if code == "record":
        raise UsageError(f"CODE {code!r} is no calendar of one strategy; {OWN} is accepted")
    try:
        return open_calendar(code).periods_per_year
    except SettingsError as error:
        raise UsageError(f"CODE {code!r} is no calendar; {OWN} is accepted") from error
