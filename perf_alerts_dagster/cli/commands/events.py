"""`perf-alerts events`: what one cause did, and one answer for all of it."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from perf_alerts_dagster.cli.commands.incidents import OUTCOMES, print_messages, sentence_of
from perf_alerts_dagster.cli.commands.silences import Span
from perf_alerts_dagster.cli.options import TIME, json_option
from perf_alerts_dagster.cli.output import (
    OUT,
    print_json,
    print_table,
    say,
    say_under,
    styled,
    table,
)
from perf_alerts_dagster.cli.session import (
    MAXIMUM_IDS,
    change_of,
    desk_clock,
    newest,
    open_stored_incidents,
    user,
    whole_id,
)
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Incident, Resolution, Status

if TYPE_CHECKING:
    from perf_alerts_dagster.incidents.events import Event
    from perf_alerts_dagster.incidents.lifecycle import Incidents
    from perf_alerts_dagster.incidents.suppression import Silence

_id = click.argument("event_id", metavar="ID")
_comment = click.option("--comment", default="", help="Why, or what you found.")


@click.group()
def events() -> None:
    """List, show, acknowledge, resolve and silence events, in the alert store of these settings.

    An event is what one cause did, with all of its incidents: one answer is for all of them. An
    ID may be cut to its first 4 characters or more. What is changed is recorded as done by
    cli:<your user name>.
    """


@events.command(name="list")
@click.option("--status", type=click.Choice([each.value for each in Status]), help="Only these.")
@click.option(
    "--severity", type=click.Choice([each.value for each in Severity]), help="Only these."
)
@click.option("--strategy", help="Only those that this strategy or group leads.")
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@json_option
def list_(
    status: str | None,
    severity: str | None,
    strategy: str | None,
    everything: bool,
    limit: int,
    as_json: bool,
) -> None:
    """The newest events, worst first; without --status or --all, the unresolved ones."""
    from perf_alerts_dagster.incidents.ports import EventFilter

    wanted = EventFilter(
        severity=Severity(severity) if severity else None,
        leader=strategy,
    )
    everything = everything or bool(status)
    with open_stored_incidents() as stored:
        found = newest(
            lambda each: stored.store.events(replace(wanted, status=each), limit=limit).events,
            status,
            everything=everything,
            limit=limit,
        )
        listed = sorted(found, key=_badness)
        silences = stored.store.silences(datetime.now(UTC))
        incidents = stored.store.of_events([each.id for each in listed])
    by_event: dict[str, list[Incident]] = {}
    for incident in incidents:
        by_event.setdefault(incident.event_id, []).append(incident)
    if as_json:
        print_json({"events": [_json(each, by_event.get(each.id, [])) for each in listed]})
        return
    if not listed:
        OUT.print("no event fits" if everything else "no event is open")
        return
    _print_list(listed, by_event, silences)


def _badness(event: "Event") -> tuple[int, int, float]:
    """Open, acknowledged and resolved ones, each the most severe and then the newest first."""
    statuses = list(Status)
    return statuses.index(event.status), -event.severity.rank, -event.opened_at.timestamp()


def _print_list(
    listed: "Sequence[Event]", by_event: dict[str, list[Incident]], silences: "Sequence[Silence]"
) -> None:
    from perf_alerts_dagster.api.events.schemas import shown_by
    from perf_alerts_dagster.defs.values import value_text

    clock = desk_clock()
    rows = table(
        "events",
        *("id", "severity", "status", "strategy", "value", "age", "owner", "incidents"),
        *("since", "message"),
        numeric=("value", "incidents"),
        sentences=("message",),
        optional=("incidents", "since", "owner", "status", "value"),
    )
    for event in listed:
        incidents = by_event.get(event.id, [])
        shown = shown_by(event, incidents) if incidents else None
        rows.add_row(
            event.id,
            styled(event.severity.value),
            _status(event, incidents, silences, clock.now),
            escape(_name(event, incidents) or "-"),
            value_text(shown.rule, shown.value) if shown else "",
            clock.age(event.opened_at),
            escape(str(shown.parts.get("owner") or "")) if shown else "",
            str(len(incidents)),
            clock.at(event.opened_at),
            escape(_sentence(event, incidents)),
        )
    print_table(rows)


@events.command()
@_id
@json_option
def show(event_id: str, as_json: bool) -> None:
    """One event, with its incidents and the messages about it."""
    from perf_alerts_dagster.defs.values import value_text

    with open_stored_incidents() as stored:
        event = _found(stored, event_id)
        incidents = stored.store.of_events([event.id])
        messages = {row.id: row for one in incidents for row in stored.outbox.about(one.id)}
        if as_json:
            print_json(_json(event, incidents))
            return
        _print(stored, event, incidents)
    clock = desk_clock()
    rows = table(
        "incidents",
        *("id", "severity", "status", "strategy", "rule", "value", "age", "message"),
        numeric=("value",),
        sentences=("message",),
        optional=("age", "value", "strategy", "status"),
    )
    for each in incidents:
        rows.add_row(
            each.id,
            styled(each.severity.value),
            each.status.value,
            escape(each.strategy or "-"),
            escape(each.rule),
            value_text(each.rule, each.value),
            clock.age(each.opened_at),
            escape(sentence_of(each)),
        )
    print_table(rows)
    print_messages([messages[row_id] for row_id in sorted(messages)], clock)


@events.command()
@_id
@_comment
@click.option("--until", type=TIME, help="When it opens again unless it is over.")
def acknowledge(event_id: str, comment: str, until: datetime | None) -> None:
    """Acknowledge an event: it no longer escalates or repeats, unless it gets worse."""
    now = datetime.now(UTC)
    with open_stored_incidents() as stored:
        event = _found(stored, event_id)
        change = change_of("acknowledge", f"events/{event.id}", now)
        event = stored.lifecycle.acknowledge_event(
            event.id, by=user(), now=now, comment=comment, until=until, change=change
        )
        _print(stored, event, stored.store.of_events([event.id]))


@events.command()
@_id
@click.option(
    "--outcome",
    type=click.Choice(OUTCOMES),
    required=True,
    help="What it was: a true alarm, a false one, a known matter, or wrong data.",
)
@_comment
def resolve(event_id: str, outcome: str, comment: str) -> None:
    """Resolve all incidents of an event with one verdict."""
    now = datetime.now(UTC)
    with open_stored_incidents() as stored:
        event = _found(stored, event_id)
        change = change_of("resolve", f"events/{event.id}", now)
        event = stored.lifecycle.resolve_event(
            event.id,
            by=user(),
            now=now,
            outcome=Resolution(outcome),
            comment=comment,
            change=change,
        )
        _print(stored, event, stored.store.of_events([event.id]))


@events.command()
@_id
@click.option("--for", "span", type=Span(), required=True, help="How long: 90m, 8h, 2d.")
@click.option("--reason", required=True, help="Why, for the others.")
def silence(event_id: str, span: timedelta, reason: str) -> None:
    """Mute messages about an event, and about what joins it, until a time."""
    from perf_alerts_dagster.incidents.suppression import Matchers, Silence, checked

    now = datetime.now(UTC)
    with open_stored_incidents() as stored:
        found = _found(stored, event_id)
        made = checked(
            Silence(
                id=uuid.uuid4().hex,
                matchers=Matchers(event=found.id, up_to=found.severity),
                starts_at=now,
                ends_at=now + span,
                author=user(),
                reason=reason.strip(),
            )
        )
        stored.store.add_silence(made, change_of("silence", f"silences/{made.id}", now))
    say(f"silence {made.id} until {desk_clock().at(made.ends_at)}")


def _found(stored: "Incidents", given: str) -> "Event":
    """The event whose id begins as given."""
    from perf_alerts_dagster.incidents.ports import UnknownIncident

    known = [stored.store.event(each) for each in stored.store.starting(given, MAXIMUM_IDS)]
    by_id = {each.id: each for each in known if each is not None}
    named = {each.id: f"{each.leader}, {each.first_session}" for each in by_id.values()}
    event_id = whole_id(given, "event", named)
    if event_id not in by_id:
        raise UnknownIncident(f"there is no event {given}")
    return by_id[event_id]


def _sentence(event: "Event", incidents: Sequence[Incident]) -> str:
    """What an event is about; of whom, where nothing of its leader goes on."""
    from perf_alerts_dagster.api.events.schemas import shown_by

    if not incidents:
        return ""
    shown = shown_by(event, incidents)
    other = shown.strategy if shown.strategy != event.leader else ""
    return f"{other} {sentence_of(shown)}".lstrip()


def _name(event: "Event", incidents: Sequence[Incident]) -> str:
    """The leader; empty for the system."""
    return event.leader if not incidents or any(each.strategy for each in incidents) else ""


def _counting(event: "Event", incidents: Sequence[Incident]) -> list[Incident]:
    """Those that go on; all of an event that is over."""
    return [each for each in incidents if event.is_resolved or not each.is_resolved]


def _status(
    event: "Event", incidents: Sequence[Incident], silences: "Sequence[Silence]", now: datetime
) -> str:
    """Its status, and whether silences mute all of it."""
    live = [each for each in incidents if not each.is_resolved]
    muted = [any(silence.mutes(each, now) for silence in silences) for each in live]
    return event.status.value + (", silenced" if muted and all(muted) else "")


def _print(stored: "Incidents", event: "Event", incidents: Sequence[Incident]) -> None:
    from perf_alerts_dagster.notifications.timeline import answers_of

    clock = desk_clock()
    status = _status(event, incidents, stored.store.silences(clock.now), clock.now)
    name = _name(event, incidents) or "the system"
    say_under(styled(event.severity.value), f"{name} {_sentence(event, incidents)}")
    say(f"{status}, event {event.id}, since {clock.at(event.opened_at)}")
    for answer in answers_of(_counting(event, incidents), clock.words):
        say(answer)


def _json(event: "Event", incidents: Sequence[Incident]) -> dict[str, object]:
    facts = asdict(event) | {
        "first_session": event.first_session.isoformat(),
        "last_session": event.last_session.isoformat(),
        "opened_at": timestamp(event.opened_at),
        "headline": _sentence(event, incidents) or None,
        "incidents": [one.id for one in incidents],
    }
    del facts["version"]
    return facts
