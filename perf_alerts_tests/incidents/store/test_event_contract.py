"""What a store does with events, in memory and over each database."""

from dataclasses import replace

import pytest

from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.events import Event, new_event
from perf_alerts_dagster.incidents.model import Incident, Resolution, Status, system_firing
from perf_alerts_dagster.incidents.ports import ConcurrentChange, Decisions, EventFilter
from perf_alerts_dagster.incidents.transitions import open_incident
from perf_alerts_tests.incidents.incident_desk import MINUTE, START
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
