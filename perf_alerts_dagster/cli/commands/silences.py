"""`perf-alerts silence`: mute messages about something until a time."""

import re
import uuid
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import click
from rich.markup import escape

from perf_alerts_dagster.cli.output import OUT, print_table, say, table
from perf_alerts_dagster.cli.session import (
    change_of,
    desk_clock,
    open_stored_incidents,
    user,
    whole_id,
)
from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.suppression import Matchers, Silence, checked

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
MAXIMUM = timedelta(days=366)


class Span(click.ParamType[timedelta]):
    """A length of time such as 90m, 8h or 2d."""

    name = "SPAN"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Parse the text; the maximum is 366 days."""
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"([1-9]\d{0,5})([mhd])", value, re.ASCII)
        span = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
        if span is None or span > MAXIMUM:
            self.fail(f"{value!r} is no span: use 90m, 8h or 2d, up to a year", param, ctx)
        return span


@click.group()
def silence() -> None:
    """Mute messages about a strategy, a rule, an alert or a severity, until a time.

    Incidents open and close all the same; when the silence ends, messages about
    what is still open are sent.
    """


@silence.command()
@click.option("--strategy", help="Only this strategy's.")
@click.option("--rule", help="Only this rule's.")
@click.option("--alert", type=click.Choice([each.name for each in ALERTS]), help="Only this one's.")
@click.option(
    "--severity", type=click.Choice([each.value for each in Severity]), help="Only these."
)
@click.option("--for", "span", type=Span(), required=True, help="How long: 90m, 8h, 2d.")
@click.option("--reason", required=True, help="Why, for the others.")
def add(
    strategy: str | None,
    rule: str | None,
    alert: str | None,
    severity: str | None,
    span: timedelta,
    reason: str,
) -> None:
    """Mute messages about incidents that match all options, from now on.

    \b
    perf-alerts silence add --strategy momentum --for 2d --reason "rebalancing"
    """
    now = datetime.now(UTC)
    silence = checked(
        Silence(
            id=uuid.uuid4().hex,
            matchers=Matchers(
                strategy=strategy,
                rule=rule,
                alert=alert,
                severity=Severity(severity) if severity else None,
            ),
            starts_at=now,
            ends_at=now + span,
            author=user(),
            reason=reason.strip(),
        )
    )
    with open_stored_incidents() as incidents:
        incidents.store.add_silence(silence, change_of("silence", f"silences/{silence.id}", now))
    say(f"silence {silence.id} until {desk_clock().at(silence.ends_at)}")


@silence.command(name="list")
def list_() -> None:
    """The silences that have not ended."""
    clock = desk_clock()
    with open_stored_incidents() as incidents:
        listed = incidents.store.silences(clock.now)
    if not listed:
        OUT.print("nothing is silenced")
        return
    rows = table(
        "silences",
        *("id", "matches", "from", "until", "by", "why"),
        sentences=("why",),
        optional=("from", "by"),
    )
    for silence in listed:
        rows.add_row(
            silence.id,
            escape(_matched(silence.matchers)),
            clock.at(silence.starts_at),
            clock.at(silence.ends_at),
            escape(silence.author),
            escape(silence.reason),
        )
    print_table(rows)


@silence.command()
@click.argument("silence_id", metavar="ID")
def end(silence_id: str) -> None:
    """End a silence now; the next sweep sends the muted messages that still apply."""
    now = datetime.now(UTC)
    with open_stored_incidents() as incidents:
        found = incidents.store.silences(now)
        named = {each.id: f"{_matched(each.matchers)}: {each.reason}" for each in found}
        silence_id = whole_id(silence_id, "silence", named)
        change = change_of("end_silence", f"silences/{silence_id}", now)
        if not incidents.store.end_silence(silence_id, now, change):
            raise UsageError(f"there is no silence {silence_id} that goes on")
    say(f"silence {silence_id} has ended")


def _matched(matchers: Matchers) -> str:
    return ", ".join(f"{name} {value}" for name, value in asdict(matchers).items() if value)
