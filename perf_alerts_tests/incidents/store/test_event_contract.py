"""What a store does with events, in memory and over each database."""

from collections import Counter
from dataclasses import replace
from datetime import datetime

import pytest

from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents import transitions
from perf_alerts_dagster.incidents.events import URGENCY, Event, new_event
from perf_alerts_dagster.incidents.model import (
    Incident,
    Resolution,
    Status,
    evaluation_firing,
    system_firing,
)
from perf_alerts_dagster.incidents.ports import (
    ConcurrentChange,
    Decisions,
    EventFilter,
    IncidentFilter,
    TimelineEntry,
)
from perf_alerts_dagster.incidents.transitions import open_incident
from perf_alerts_tests.incidents.incident_desk import MINUTE, START, breach, judged
from perf_alerts_tests.storage.bench import Bench

CRITICAL = Severity.CRITICAL


def an_event(leader: str, after: int = 0) -> tuple[Event, Incident]:
    """An event of an incident about the system, so many minutes after the start."""
    now = START + after * MINUTE
    firing = system_firing("execution_failed", leader, message="m", run_id="r", as_of=None)
    incident = open_incident(firing, now=now, chain=None)
    event = new_event(incident, now, ())
    return event, replace(incident, event_id=event.id)


@pytest.fixture
def stored(bench: Bench) -> list[Event]:
    """Five events, oldest first; the second one is resolved, the third one acknowledged."""
    pairs = [an_event(f"alert-{number}", number) for number in range(5)]
    events = [event for event, _ in pairs]
    events[1] = replace(events[1], status=Status.RESOLVED, outcome=Resolution.KNOWN, live_key=None)
    events[2] = replace(events[2], status=Status.ACKNOWLEDGED, escalation_step=2)
    bench.incidents.apply(
        Decisions(opened=tuple(one for _, one in pairs), new_events=tuple(events))
    )
    return events


def test_an_event_comes_back_equal(bench: Bench, stored: list[Event]) -> None:
    assert [bench.incidents.event(one.id) for one in stored] == stored
    assert bench.incidents.event("0" * 24) is None


def test_events_are_listed_newest_first_page_by_page(bench: Bench, stored: list[Event]) -> None:
    found: list[Event] = []
    cursor = None
    for size in (2, 2, 1):
        page = bench.incidents.events(EventFilter(), before=cursor, limit=2)
        assert len(page.events) == size
        found += page.events
        cursor = page.last
    assert cursor is None
    assert found == stored[::-1]


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        (EventFilter(status=Status.OPEN), [4, 3, 0]),
        (EventFilter(status=Status.RESOLVED), [1]),
        (EventFilter(ids=frozenset()), []),
        (EventFilter(severity=CRITICAL), [4, 3, 2, 1, 0]),
        (EventFilter(severity=Severity.WARNING), []),
        (EventFilter(leader="|execution_failed|alert-3"), [3]),
        (EventFilter(leader="|execution_failed|alert-3", status=Status.RESOLVED), []),
    ],
)
def test_a_filter_takes_what_fits_all_of_it(
    bench: Bench, stored: list[Event], wanted: EventFilter, places: list[int]
) -> None:
    assert list(bench.incidents.events(wanted).events) == [stored[place] for place in places]


def test_a_place_that_no_page_gave_is_refused(bench: Bench, stored: list[Event]) -> None:
    with pytest.raises(UsageError, match="cursor"):
        bench.incidents.events(EventFilter(), before="yesterday")


def test_the_incidents_of_events_are_read_oldest_first(bench: Bench, stored: list[Event]) -> None:
    found = bench.incidents.of_events([stored[3].id, stored[0].id])

    assert [one.event_id for one in found] == [stored[0].id, stored[3].id]
    assert list(bench.incidents.of_events([])) == []


def test_ids_are_found_by_what_they_begin_with(bench: Bench, stored: list[Event]) -> None:
    whole = stored[0].id

    assert list(bench.incidents.starting(whole[:10])) == [whole]
    every = bench.incidents.starting("", limit=50)
    assert len(every) == 10
    assert list(every) == sorted(every)
    assert list(bench.incidents.starting("", limit=3)) == list(every[:3])
    assert list(bench.incidents.starting("x")) == []


def test_a_snapshot_has_what_lives_and_what_a_person_ended_lately(
    bench: Bench, stored: list[Event]
) -> None:
    recovered, _ = an_event("gone", 9)
    over = replace(recovered, status=Status.RESOLVED, outcome=Resolution.RECOVERED, live_key=None)
    bench.incidents.apply(Decisions(new_events=(over,)))

    found = bench.incidents.snapshot(now=START, since=START)
    assert list(found.events) == stored


def test_the_snapshot_of_an_event_holds_nothing_else(bench: Bench, stored: list[Event]) -> None:
    found = bench.incidents.snapshot_of(stored[3].id, now=START)

    assert list(found.events) == [stored[3]]
    assert [one.event_id for one in found.incidents] == [stored[3].id]
    assert bench.incidents.snapshot_of("0" * 24, now=START).events == ()


def test_of_two_changes_at_once_the_second_is_refused(bench: Bench, stored: list[Event]) -> None:
    bench.incidents.apply(Decisions(events=(replace(stored[0], severity=Severity.WARNING),)))
    with pytest.raises(ConcurrentChange):
        bench.incidents.apply(Decisions(events=(replace(stored[0], escalation_step=1),)))

    known = bench.incidents.event(stored[0].id)
    assert known == replace(stored[0], severity=Severity.WARNING, version=1)


def test_two_that_are_not_over_never_have_one_key(bench: Bench, stored: list[Event]) -> None:
    twin = replace(stored[0], id="f" * 24)
    with pytest.raises(ConcurrentChange):
        bench.incidents.apply(Decisions(new_events=(twin,)))
    ended = replace(stored[0], status=Status.RESOLVED, outcome=Resolution.RECOVERED, live_key=None)
    bench.incidents.apply(Decisions(events=(ended,)))
    bench.incidents.apply(Decisions(new_events=(twin,)))

    assert bench.incidents.event(twin.id) == twin


def of_strategies(bench: Bench) -> list[Event]:
    """Six events of strategies, a minute apart, of several severities and statuses."""
    kinds = [
        ("old_emergency", Severity.EMERGENCY, Status.RESOLVED),
        ("first_critical", Severity.CRITICAL, Status.ACKNOWLEDGED),
        ("warning", Severity.WARNING, Status.OPEN),
        ("newest_critical", Severity.CRITICAL, Status.OPEN),
        ("info", Severity.INFO, Status.OPEN),
        ("old_info", Severity.INFO, Status.RESOLVED),
    ]
    found: list[Event] = []
    for minute, (name, severity, status) in enumerate(kinds):
        firing = evaluation_firing(
            breach(strategy=name, rule=f"rule_{minute}", parts={"owner": f'{name} "desk" 100%'}),
            severity,
            judged(),
        )
        now = START + minute * MINUTE
        incident = open_incident(firing, now=now, chain=None)
        event = replace(new_event(incident, now, ()), status=status)
        if status is Status.RESOLVED:
            event = replace(event, live_key=None)
        found.append(event)
        opened = replace(incident, event_id=event.id)
        bench.incidents.apply(Decisions(opened=(opened,), new_events=(event,)))
    return found


WORST_FIRST = ["newest_critical", "first_critical", "warning", "info", "old_emergency", "old_info"]


def test_the_worst_events_come_first_over_all_pages_also_while_others_open(bench: Bench) -> None:
    of_strategies(bench)
    found: list[str] = []
    cursor = None
    for page_number in range(6):
        page = bench.incidents.events(EventFilter(), before=cursor, limit=1, worst_first=True)
        found += [one.leader for one in page.events]
        cursor = page.last
        assert (cursor is None) == (page_number == 5)
        event, incident = an_event(f"more-{page_number}", 60 + page_number)
        added = replace(event, severity=Severity.EMERGENCY)
        bench.incidents.apply(Decisions(opened=(incident,), new_events=(added,)))

    assert found == WORST_FIRST


def test_urgency_in_the_database_is_that_of_the_table(bench: Bench) -> None:
    every = [
        replace(
            an_event(f"{severity}-{status}", 3)[0],
            severity=severity, status=status, live_key=None,
        )
        for severity in Severity
        for status in Status
    ]  # fmt: skip
    bench.incidents.apply(Decisions(new_events=tuple(every)))
    page = bench.incidents.events(EventFilter(), worst_first=True)

    ranks = [URGENCY[one.severity, one.status] for one in page.events]
    assert ranks == sorted(ranks, reverse=True)
    assert len(ranks) == len(every)


@pytest.mark.parametrize("cursor", ["", "x", "2026-01-05T18:00:00+00:00 a", "9 x y", "1 2 3"])
def test_a_place_of_another_order_is_refused(bench: Bench, cursor: str) -> None:
    with pytest.raises(UsageError, match="cursor"):
        bench.incidents.events(EventFilter(), before=cursor, worst_first=True)


def test_a_place_with_a_rank_that_no_page_gave_finds_nothing_strange(bench: Bench) -> None:
    of_strategies(bench)
    place = f"{'9' * 200} {START.isoformat()} a"

    assert len(bench.incidents.events(EventFilter(), before=place, worst_first=True).events) == 6


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (EventFilter(strategy="warning"), ["warning"]),
        (EventFilter(strategy="warn"), []),
        (EventFilter(rule="rule_0"), ["old_emergency"]),
        (EventFilter(owner='info "desk" 100%'), ["info"]),
        (EventFilter(owner="desk"), []),
        (EventFilter(owner="%"), []),
        (EventFilter(since=START + 4 * MINUTE), ["info", "old_info"]),
        (EventFilter(text="CRIT"), ["newest_critical", "first_critical"]),
        (EventFilter(text="ule_2"), ["warning"]),
        (EventFilter(text="old%emergency"), []),
        (EventFilter(text="old", status=Status.RESOLVED), ["old_emergency", "old_info"]),
        (EventFilter(severity=CRITICAL, status=Status.OPEN), ["newest_critical"]),
    ],
)
def test_a_filter_asks_for_an_incident_of_the_event(
    bench: Bench, wanted: EventFilter, names: list[str]
) -> None:
    of_strategies(bench)
    page = bench.incidents.events(wanted, worst_first=True)

    assert [one.leader for one in page.events] == names
    counts = bench.incidents.event_counts(replace(wanted, status=None))
    assert counts == bench.incidents.event_counts(wanted)
    every = bench.incidents.events(replace(wanted, status=None)).events
    assert {name: count for name, count in counts.items() if count} == Counter(
        one.status for one in every
    )


def test_the_beginning_of_an_id_finds_its_event(bench: Bench) -> None:
    events = of_strategies(bench)
    found = bench.incidents.events(EventFilter(text=events[3].id[:9].upper()))

    assert [one.leader for one in found.events] == ["newest_critical"]


def test_an_acknowledged_incident_that_breaches_on_is_forgotten_after_the_time(
    bench: Bench,
) -> None:
    (event, incident) = an_event("held")
    bench.incidents.apply(Decisions(opened=(incident,), new_events=(event,)))
    at = START + MINUTE
    held = transitions.acknowledge(incident, by="ann", at=at, comment="", until=None)
    entry = TimelineEntry(incident_id=held.id, at=at, what="acknowledged", actor="ann")
    bench.incidents.apply(Decisions(changed=(held,), entries=(entry,)))

    def forgotten(since: datetime) -> int:
        wanted = EventFilter(forgotten_since=since)
        return len(bench.incidents.events(wanted).events)

    assert forgotten(at) == 0
    seen = replace(held, last_seen_at=at + MINUTE, version=1)
    bench.incidents.apply(Decisions(changed=(seen,)))
    assert [forgotten(at - MINUTE), forgotten(at), forgotten(at + MINUTE)] == [0, 1, 1]


def test_incidents_without_an_event_are_found(bench: Bench) -> None:
    event, incident = an_event("new")
    _, old = an_event("old", 5)
    bench.incidents.apply(
        Decisions(opened=(incident, replace(old, event_id="")), new_events=(event,))
    )
    page = bench.incidents.incidents(IncidentFilter(eventless=True))

    assert [one.id for one in page.incidents] == [old.id]
