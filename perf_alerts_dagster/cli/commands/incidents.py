"""`perf-alerts incidents`: list, show, acknowledge and resolve incidents."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from perf_alerts_dagster.cli.options import TIME, json_option
from perf_alerts_dagster.cli.output import (
    OUT,
    print_json,
    print_table,
    say,
    styled,
    table,
)
from perf_alerts_dagster.cli.session import (
    MAXIMUM_IDS,
    Clock,
    change_of,
    desk_clock,
    newest,
    open_stored_incidents,
    user,
    whole_id,
)
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Breach, Incident, Resolution, Status

if TYPE_CHECKING:
    from perf_alerts_dagster.incidents.lifecycle import Incidents
    from perf_alerts_dagster.incidents.notification import Notification

OUTCOMES = [outcome.value for outcome in Resolution if outcome.is_manual]


@click.group()
def incidents() -> None:
    """List, show, acknowledge and resolve incidents, in the alert store of these settings.

    It needs no running stack, only the store. What it changes is recorded as done by
    cli:<your user name>.
    """


@incidents.command(name="list")
@click.option("--status", type=click.Choice([each.value for each in Status]), help="Only these.")
@click.option(
    "--severity", type=click.Choice([each.value for each in Severity]), help="Only these."
)
@click.option("--strategy", help="Only this strategy's.")
@click.option("--rule", help="Only this rule's.")
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@json_option
def list_(
    status: str | None,
    severity: str | None,
    strategy: str | None,
    rule: str | None,
    everything: bool,
    limit: int,
    as_json: bool,
) -> None:
    """The incidents, newest first; without --status or --all, the unresolved ones."""
    from perf_alerts_dagster.incidents.ports import IncidentFilter

    wanted = IncidentFilter(
        severity=Severity(severity) if severity else None,
        strategy=strategy,
        rule=rule,
    )
    everything = everything or bool(status)
    with open_stored_incidents() as stored:
        listed = newest(
            lambda each: (
                stored.store.incidents(replace(wanted, status=each), limit=limit).incidents
            ),
            status,
            everything=everything,
            limit=limit,
        )
    if as_json:
        print_json({"incidents": [_json(incident) for incident in listed]})
        return
    if not listed:
        OUT.print("no incident fits" if everything else "no incident is open")
        return
    from perf_alerts_dagster.defs.values import value_text

    clock = desk_clock()
    rows = table(
        "incidents",
        *("id", "severity", "status", "strategy", "rule", "value", "age", "owner"),
        *("since", "seen", "message"),
        numeric=("value", "seen"),
        sentences=("message",),
        optional=("seen", "since", "owner", "status", "rule", "value"),
    )
    for incident in listed:
        rows.add_row(
            incident.id,
            styled(incident.severity.value),
            incident.status.value,
            escape(incident.strategy or "-"),
            escape(incident.rule),
            value_text(incident.rule, incident.value),
            clock.age(incident.opened_at),
            escape(str(incident.parts.get("owner") or "")),
            clock.at(incident.opened_at),
            f"{incident.breaches}x",
            escape(sentence_of(incident)),
        )
    print_table(rows)


def sentence_of(breach: Breach) -> str:
    """Its headline, else its message."""
    return str(breach.parts.get("headline") or breach.message)


def _found(stored: "Incidents", given: str) -> Incident:
    """The incident whose id begins as given."""
    from perf_alerts_dagster.incidents.ports import UnknownIncident

    known = [stored.store.incident(each) for each in stored.store.starting(given, MAXIMUM_IDS)]
    by_id = {each.id: each for each in known if each is not None}
    named = {each.id: f"{each.strategy or 'the system'}, {each.rule}" for each in by_id.values()}
    incident_id = whole_id(given, "incident", named)
    if incident_id not in by_id:
        raise UnknownIncident(f"there is no incident {given}")
    return by_id[incident_id]


@incidents.command()
@click.argument("incident_id", metavar="ID")
@json_option
def show(incident_id: str, as_json: bool) -> None:
    """One incident, with its timeline and the messages about it."""
    # The same fields as REST's, so that a script may read either.
    from perf_alerts_dagster.api.incidents.schemas import incident_detail

    with open_stored_incidents() as stored:
        incident = _found(stored, incident_id)
        history = stored.history(incident)
    if as_json:
        print_json(incident_detail(history, public_url=None).model_dump(mode="json"))
        return
    from perf_alerts_dagster.notifications.timeline import entry_words, person

    clock = desk_clock()
    _print(incident)
    entries = table("timeline", "at", "by", "what", sentences=("what",))
    for entry in history.timeline:
        said = entry_words(entry, clock.words)
        entries.add_row(clock.at(entry.at), escape(person(entry.actor)), escape(said))
    print_table(entries)
    print_messages(history.messages, clock)


def print_messages(rows: "Sequence[Notification]", clock: Clock) -> None:
    """The messages about an incident or an event, if there are any."""
    from perf_alerts_dagster.notifications.timeline import channel_words

    if rows:
        messages = table(
            "messages",
            *("channel", "reason", "state", "sent", "attempts", "error"),
            sentences=("error",),
            optional=("attempts",),
        )
        for row in rows:
            messages.add_row(
                escape(channel_words(row.channel)),
                ", ".join(dict.fromkeys(item.reason.value for item in row.items)),
                row.state.value,
                clock.at(row.sent_at),
                str(row.attempts),
                escape(row.error or ""),
            )
        print_table(messages)


@incidents.command()
@click.argument("incident_id", metavar="ID")
@click.option("--comment", default="", help="Why, or what you do about it.")
@click.option("--until", type=TIME, help="When it opens again unless it is over.")
def ack(incident_id: str, comment: str, until: datetime | None) -> None:
    """Acknowledge an incident: it no longer escalates or repeats, unless it gets worse."""
    now = datetime.now(UTC)
    with open_stored_incidents() as stored:
        incident = _found(stored, incident_id)
        after = stored.lifecycle.acknowledge(
            incident.id,
            by=user(),
            now=now,
            comment=comment,
            until=until,
            change=change_of("acknowledge", f"incidents/{incident.id}", now),
        )
    _print(after)


@incidents.command()
@click.argument("incident_id", metavar="ID")
@click.option(
    "--outcome",
    type=click.Choice(OUTCOMES),
    required=True,
    help="What it was: a true alarm, a false one, a known matter, or wrong data.",
)
@click.option("--comment", default="", help="What you found.")
def resolve(incident_id: str, outcome: str, comment: str) -> None:
    """Resolve an incident with a verdict; a later breach opens a new incident."""
    now = datetime.now(UTC)
    with open_stored_incidents() as stored:
        incident = _found(stored, incident_id)
        after = stored.lifecycle.resolve(
            incident.id,
            by=user(),
            now=now,
            outcome=Resolution(outcome),
            comment=comment,
            change=change_of("resolve", f"incidents/{incident.id}", now),
        )
    _print(after)


def _print(incident: Incident) -> None:
    from perf_alerts_dagster.notifications.fields import shown_fields

    OUT.print(
        f"{styled(incident.severity.value)} "
        f"{escape(incident.strategy or 'the system')}: {escape(incident.rule)}",
        highlight=False,
    )
    say(incident.message)
    for label, text in shown_fields(incident, desk_clock().words).items():
        say(f"{label}: {text}")


def _json(incident: Incident) -> dict[str, object]:
    # The same fields as REST's, so that a script may read either.
    from perf_alerts_dagster.api.incidents.schemas import incident_data

    return incident_data(incident, public_url=None).model_dump(mode="json")
