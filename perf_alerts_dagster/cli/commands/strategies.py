"""`perf-alerts strategies`: list them, retire one, set the calendar or the baseline of one."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from perf_alerts_dagster.cli.commands import record
from perf_alerts_dagster.cli.options import DAY
from perf_alerts_dagster.cli.output import say
from perf_alerts_dagster.cli.session import change_of, user
from perf_alerts_dagster.core.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from perf_alerts_dagster.projections.projection import Proposal


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
    from perf_alerts_dagster.bootstrap.desk import open_desk
    from perf_alerts_dagster.executions.source import retire as end_strategy
    from perf_alerts_dagster.records.desk import Retirement
    from perf_alerts_dagster.settings import load_settings

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
    say(f"{name} is retired: it is not judged from {since} on")


@strategies.command()
@click.argument("name")
@click.option("--from", "since", type=DAY, required=True, help="The first day that counts.")
@click.option("--reason", required=True, help="Why it is held against something else.")
@click.option("--haircut", type=float, help="From 0 to 1; the proposed one where left out.")
@click.option("--dry-run", is_flag=True, help="Show what is proposed, and set nothing.")
def rebaseline(name: str, since: date, reason: str, haircut: float | None, dry_run: bool) -> None:
    """Hold a strategy or group against a lower mean from a day on.

    Projection and healthy lives are made anew as of the session before, with the haircut taken off
    the mean; decay and the band count rows from that day on. Judgements and incidents so far stay
    as they are. It is recorded as done by cli:<your user name>; a later one takes its place.
    """
    from perf_alerts_dagster.bootstrap.desk import kept_of, open_desk
    from perf_alerts_dagster.bootstrap.records import read_records
    from perf_alerts_dagster.executions.baselines import BaselineRefused, candidate
    from perf_alerts_dagster.executions.baselines import rebaseline as set_baseline
    from perf_alerts_dagster.settings import load_settings

    settings = load_settings()
    now = datetime.now(UTC)
    today = now.astimezone(ZoneInfo(settings.timezone)).date()
    if not reason.strip():
        raise UsageError("--reason is empty; a line that says why is accepted")
    try:
        reading = read_records(settings, now=now, kept=kept_of(settings))
        found = candidate(reading, name, since, today=today)
        say(_proposed(found.proposal))
        baseline = found.baseline(haircut, reason=reason.strip(), by=user(), at=now)
    except BaselineRefused as refused:
        raise UsageError(f"--{refused}") from refused
    if dry_run:
        return
    with open_desk(settings) as (desk, lifecycle):
        change = change_of("rebaseline", f"strategies/{name}", now)
        set_baseline(desk, lifecycle, baseline, change)
    text = f"{name} has the haircut {baseline.haircut:.0%} from {since} on"
    say(f"{text}, from the next execution")


def _proposed(proposal: "Proposal | None") -> str:
    if proposal is None:
        return "no haircut can be proposed"
    return (
        f"proposed haircut {proposal.haircut:.0%}, standard error {proposal.standard_error:.0%}: "
        f"{proposal.rows} live rows returned {proposal.live_mean:+.4%} a row in the mean, the "
        f"reference {proposal.reference_mean:+.4%}"
    )


@strategies.command()
@click.argument("name")
@click.argument("code")
def calendar(name: str, code: str) -> None:
    """Set a strategy's calendar: weekdays, 24/7, weekly, monthly, sparse, or a code such as XNYS.

    It replaces the calendar that was inferred, from the next execution on. The `calendar` column
    of the strategies table wins over it.
    """
    from perf_alerts_dagster.bootstrap.desk import open_desk
    from perf_alerts_dagster.records.desk import KeptCalendar
    from perf_alerts_dagster.settings import load_settings

    settings = load_settings()
    now = datetime.now(UTC)
    today = now.astimezone(ZoneInfo(settings.timezone)).date()
    kept = KeptCalendar(name=code, periods_per_year=_periods_of(code), since=today, by=user())
    with open_desk(settings) as (desk, _):
        desk.set_calendar(name, kept, change_of("calendar", f"strategies/{name}", now))
    say(f"{name} has the calendar {code} from the next execution on")


def _periods_of(code: str) -> float:
    from perf_alerts_dagster.records.sessions import OWN, open_calendar

    if code == "record":
        raise UsageError(f"CODE {code!r} is no calendar of one strategy; {OWN} is accepted")
    try:
        return open_calendar(code).periods_per_year
    except SettingsError as error:
        raise UsageError(f"CODE {code!r} is no calendar; {OWN} is accepted") from error
