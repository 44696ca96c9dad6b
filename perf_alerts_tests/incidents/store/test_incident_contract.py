"""What every store of incidents does: the one in memory, SQLite, PostgreSQL."""

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import (
    EscalationChain,
    Firing,
    Incident,
    Reason,
    Resolution,
    Status,
)
from perf_alerts_dagster.incidents.notification import IncidentNotice, MessageKind, new_notification
from perf_alerts_dagster.incidents.ports import (
    ConcurrentChange,
    Decisions,
    IncidentFilter,
    JudgementOffset,
    TimelineEntry,
)
from perf_alerts_dagster.incidents.transitions import (
    IncidentEvent,
    acknowledge,
    open_incident,
    resolve,
)
from perf_alerts_dagster.judging.evaluation import Evidence, Kind
from perf_alerts_tests.incidents.incident_desk import (
    DAILY,
    DAY,
    HOUR,
    INSTANT,
    MINUTE,
    MONDAY,
    START,
    breach,
    judged,
)
from perf_alerts_tests.storage.bench import Bench
from perf_alerts_tests.storage.changes import change

CHAIN = EscalationChain(delay=timedelta(minutes=15), steps=3)


def incident(
    key: str = "trend|max_drawdown|-", *, at: timedelta = 0 * MINUTE, **changes: Any
) -> Incident:
    given: dict[str, Any] = {
        "dedup_key": key,
        "strategy": "trend",
        "rule": "max_drawdown",
        "alert": DAILY,
        "severity": Severity.CRITICAL,
        "run_id": "run",
        "message": 'a hostile "name" 量化 \x00 \ud800 <b>',
        "value": -0.1 - 0.2,
        "limit": math.inf,
        "p_year": 1 / 3,
        "as_of": MONDAY,
        "session": MONDAY,
        "kind": Kind.EVENT,
        "evidence": Evidence.STRONG,
        "parts": {"a": [1, 2.5, None, {"b": True}], "z": 0.1 + 0.2},
    }
    return open_incident(Firing(**(given | changes)), now=START + at, chain=CHAIN)


def stored(bench: Bench, *incidents: Incident, **changes: Any) -> None:
    bench.incidents.apply(Decisions(opened=incidents, **changes))


def entry(
    one: Incident, what: str, at: timedelta = 0 * MINUTE, alert: str = "daily_pnl_check"
) -> TimelineEntry:
    return TimelineEntry(
        incident_id=one.id,
        at=START + at,
        what=what,
        actor="ann",
        detail={"why": "a \x00 \ud800", "alert": alert},
    )


def test_an_empty_store_knows_no_incident(bench: Bench) -> None:
    found = bench.incidents.snapshot(now=START, since=START)
    assert (found.incidents, found.notified, found.silences) == ((), (), ())
    assert bench.incidents.incident("x") is None
    assert bench.incidents.live_incident("x") is None
    assert bench.incidents.incidents(IncidentFilter()).incidents == ()
    assert list(bench.incidents.timeline("x")) == []
    assert list(bench.incidents.judged_sessions(MONDAY)) == []
    counts = bench.incidents.counts(START, START + DAY)
    assert (counts.breached, counts.suppressed, counts.escalated) == ((), 0, 0)


def test_an_incident_comes_back_equal(bench: Bench) -> None:
    given = incident()
    stored(bench, given)

    assert bench.incidents.incident(given.id) == given
    assert bench.incidents.snapshot(now=START, since=START).incidents == (given,)


def test_an_acknowledged_and_a_resolved_one_come_back_equal(bench: Bench) -> None:
    acked = acknowledge(incident(), by="ann", at=START, comment="c", until=START + DAY)
    over = resolve(
        incident("b"), IncidentEvent.RESOLVE, Resolution.KNOWN, at=START, by="bob", comment="c"
    )
    stored(bench, acked, over)

    assert bench.incidents.incident(acked.id) == acked
    assert bench.incidents.incident(over.id) == over


def test_a_change_counts_the_version(bench: Bench) -> None:
    given = incident()
    stored(bench, given)
    after = acknowledge(given, by="ann", at=START)
    bench.incidents.apply(Decisions(changed=(after,), entries=(entry(given, "acknowledged"),)))

    assert bench.incidents.incident(given.id) == replace(after, version=1)
    assert list(bench.incidents.timeline(given.id)) == [entry(given, "acknowledged")]


def test_what_is_over_leaves_the_snapshot_unless_a_message_is_owed(bench: Bench) -> None:
    over = resolve(incident(), IncidentEvent.RECOVERED, Resolution.RECOVERED, at=START)
    owed = replace(
        resolve(incident("b"), IncidentEvent.RECOVERED, Resolution.RECOVERED, at=START),
        owed=Reason.RECOVERED,
    )
    stored(bench, over, owed)

    found = bench.incidents.snapshot(now=START, since=START)
    assert [one.dedup_key for one in found.incidents] == ["b"]


def one_of_everything(bench: Bench, changed: Incident, mark: JudgementOffset) -> Decisions:
    new = incident("new")
    return Decisions(
        opened=(new,),
        changed=(changed,),
        entries=(entry(new, "opened"),),
        notifications=(
            new_notification(
                MessageKind.NORMAL,
                "w",
                DAILY,
                [IncidentNotice(incident=new, reason=Reason.OPENED, number=1)],
                "mail",
                START,
            ),
        ),
        marks=(mark,),
        audit=change(),
    )


FRESH = JudgementOffset(alert=DAILY, before=0, after=7)


@pytest.mark.parametrize("case", ["version", "mark", "live key"])
def test_what_others_have_overtaken_is_stored_not_at_all(bench: Bench, case: str) -> None:
    given = incident()
    stored(bench, given)
    changed, mark = acknowledge(given, by="ann", at=START), FRESH
    if case == "version":
        changed = replace(changed, version=3)
    elif case == "mark":
        mark = JudgementOffset(alert=DAILY, before=4, after=7)
    else:
        stored(bench, incident("new", at=INSTANT))

    with pytest.raises(ConcurrentChange):
        bench.incidents.apply(one_of_everything(bench, changed, mark))

    assert bench.incidents.incident(given.id) == given
    new = incident("new")
    assert bench.incidents.incident(new.id) is None
    assert list(bench.incidents.timeline(new.id)) == []
    assert bench.outbox.state().pending == 0
    assert bench.incidents.unapplied(DAILY).mark == 0
    assert bench.changes() == []


def test_everything_is_stored_together(bench: Bench) -> None:
    given = incident()
    stored(bench, given)
    bench.incidents.apply(one_of_everything(bench, acknowledge(given, by="ann", at=START), FRESH))

    assert bench.outbox.state().pending == 1
    assert bench.incidents.unapplied(DAILY).mark == 7
    assert bench.changes() == ["trigger"]


def test_a_mark_moves_from_where_it_is(bench: Bench) -> None:
    bench.incidents.apply(Decisions(marks=(FRESH,)))
    with pytest.raises(ConcurrentChange):
        bench.incidents.apply(Decisions(marks=(FRESH,)))
    bench.incidents.apply(Decisions(marks=(JudgementOffset(alert=DAILY, before=7, after=9),)))
    assert bench.incidents.unapplied(DAILY).mark == 9


def test_one_that_is_over_makes_room_for_the_next_of_its_key(bench: Bench) -> None:
    old = incident()
    stored(bench, old)
    over = resolve(old, IncidentEvent.RESOLVE, Resolution.TRUE, at=START, by="ann")
    new = incident(at=HOUR)
    bench.incidents.apply(Decisions(opened=(new,), changed=(over,)))

    assert [one.id for one in bench.incidents.incidents(IncidentFilter()).incidents] == [
        new.id,
        old.id,
    ]


def test_judgements_that_are_not_applied_come_in_recording_order(bench: Bench) -> None:
    first = judged(breach(), as_of=MONDAY + DAY)
    other = judged(breach(), alert="weekly_stability_check")
    second = judged(breach(), judged_at=START + HOUR)
    for one in (first, other, second):
        bench.record(one)

    found = bench.incidents.unapplied(DAILY)
    assert [one for _, one in found.judgements] == [first, second]
    assert [
        one for _, one in bench.incidents.unapplied(DAILY, judged_before=START + HOUR).judgements
    ] == [first]
    last = found.judgements[0][0]
    bench.incidents.apply(
        Decisions(marks=(JudgementOffset(alert=DAILY, before=found.mark, after=last),))
    )
    assert [one for _, one in bench.incidents.unapplied(DAILY).judgements] == [second]


def test_sessions_that_were_judged_finally_come_once_rising(bench: Bench) -> None:
    bench.record(judged(as_of=MONDAY))
    bench.record(judged(as_of=MONDAY + 2 * DAY))
    bench.record(judged(as_of=MONDAY + DAY, alert="weekly_stability_check"))
    bench.record(judged(as_of=MONDAY + 2 * DAY, run_id="again"))
    bench.record(judged(as_of=MONDAY + 3 * DAY, provisional=True))

    assert list(bench.incidents.judged_sessions(MONDAY)) == [MONDAY + DAY, MONDAY + 2 * DAY]


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        (IncidentFilter(), ["c", "b", "a"]),
        (IncidentFilter(status=Status.RESOLVED), ["c"]),
        (IncidentFilter(severity=Severity.WARNING), ["b"]),
        (IncidentFilter(strategy="carry"), ["b"]),
        (IncidentFilter(rule="max_drawdown"), ["c", "a"]),
        (IncidentFilter(since=START + HOUR), ["c", "b"]),
        (IncidentFilter(since=START + HOUR + INSTANT), ["c"]),
        (IncidentFilter(status=Status.OPEN, strategy="trend"), ["a"]),
        (IncidentFilter(strategy="nobody"), []),
    ],
)
def test_incidents_are_filtered(bench: Bench, wanted: IncidentFilter, keys: list[str]) -> None:
    stored(
        bench,
        incident("a"),
        incident("b", at=HOUR, strategy="carry", rule="r", severity=Severity.WARNING),
        resolve(
            incident("c", at=2 * HOUR),
            IncidentEvent.RECOVERED,
            Resolution.RECOVERED,
            at=START + DAY,
        ),
    )

    assert [one.dedup_key for one in bench.incidents.incidents(wanted).incidents] == keys


def test_what_is_not_over_is_counted_by_status(bench: Bench) -> None:
    acked = acknowledge(incident("b"), by="ann", at=START)
    over = resolve(incident("d"), IncidentEvent.RECOVERED, Resolution.RECOVERED, at=START)
    stored(bench, incident("a"), acked, incident("c"), over)

    assert dict(bench.incidents.live()) == {Status.OPEN: 2, Status.ACKNOWLEDGED: 1}


def test_the_incident_of_a_key_is_the_one_that_is_not_over(bench: Bench) -> None:
    over = resolve(incident("a"), IncidentEvent.RECOVERED, Resolution.RECOVERED, at=START)
    acked = acknowledge(incident("b"), by="ann", at=START)
    gone = resolve(incident("c"), IncidentEvent.RECOVERED, Resolution.RECOVERED, at=START)
    again = incident("a", at=HOUR)
    stored(bench, over, acked, gone, again)

    assert [bench.incidents.live_incident(key) for key in "abcd"] == [again, acked, None, None]


def test_pages_follow_each_other_without_gap_or_repeat(bench: Bench) -> None:
    # Several of one moment: their order must hold between pages.
    stored(bench, *(incident(f"k{n}", at=n // 3 * MINUTE) for n in range(7)))

    found, place = [], None
    for _ in range(4):
        page = bench.incidents.incidents(IncidentFilter(), before=place, limit=2)
        found += [one.id for one in page.incidents]
        place = page.last
    everything = [one.id for one in bench.incidents.incidents(IncidentFilter(), limit=7).incidents]
    assert found == everything
    assert len(set(found)) == 7
    assert place is None


@pytest.mark.parametrize("place", ["", "x", "2026-99-01T00:00:00+00:00 a", " "])
def test_a_place_that_no_page_has_given_is_refused(bench: Bench, place: str) -> None:
    with pytest.raises(UsageError, match="cursor"):
        bench.incidents.incidents(IncidentFilter(), before=place)


def test_a_period_counts_what_happened_in_it(bench: Bench) -> None:
    a, b, c = incident("a"), incident("b", severity=Severity.WARNING), incident("c")
    stored(
        bench,
        a,
        b,
        c,
        entries=(
            entry(a, "opened"),
            entry(a, "breached", HOUR, alert="evening_performance_check"),
            entry(a, "breached", HOUR),
            entry(b, "breached", DAY - INSTANT, alert=""),
            entry(c, "opened", -INSTANT),
            entry(c, "opened", DAY),
            entry(a, "suppressed"),
            entry(b, "suppressed"),
            entry(a, "suppressed", DAY),
            entry(a, "escalated"),
            entry(a, "notified"),
        ),
    )

    counts = bench.incidents.counts(START, START + DAY)
    daily, evening = "daily_pnl_check", "evening_performance_check"
    assert {(one.severity, one.alerts) for one in counts.breached} == {
        (Severity.CRITICAL, frozenset({daily, evening})),
        (Severity.WARNING, frozenset()),
    }
    assert {one.strategy for one in counts.breached} == {a.strategy, b.strategy}
    assert (counts.suppressed, counts.escalated) == (2, 1)
