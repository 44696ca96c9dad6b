"""What every outbox and every store of silences does: in memory, SQLite, PostgreSQL."""

from dataclasses import replace
from datetime import timedelta

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Incident, Reason, Resolution, system_firing
from perf_alerts_dagster.incidents.notification import (
    DeliveryState,
    IncidentNotice,
    MessageKind,
    Notification,
    new_notification,
)
from perf_alerts_dagster.incidents.ports import Decisions
from perf_alerts_dagster.incidents.suppression import Matchers, Silence
from perf_alerts_dagster.incidents.transitions import (
    IncidentEvent,
    acknowledge,
    open_incident,
    resolve,
)
from perf_alerts_tests.incidents.incident_desk import DAY, HOUR, INSTANT, MINUTE, START
from perf_alerts_tests.storage.bench import Bench
from perf_alerts_tests.storage.changes import change

TTL = timedelta(seconds=60)


def an_incident(about: str = "a") -> Incident:
    firing = system_firing("execution_failed", about, message="m", run_id="r", as_of=None)
    return open_incident(firing, now=START, chain=None)


def a_row(
    *incidents: Incident,
    window: str = "w",
    channel: str = "mail",
    reason: Reason = Reason.OPENED,
    kind: MessageKind = MessageKind.NORMAL,
    after: timedelta = 0 * MINUTE,
) -> Notification:
    lines = [IncidentNotice(incident=one, reason=reason, number=1) for one in incidents]
    return new_notification(kind, window, "daily_pnl_check", lines, channel, START + after)


def posted(bench: Bench, *rows: Notification) -> None:
    bench.incidents.apply(Decisions(notifications=rows))


@pytest.fixture
def known(bench: Bench) -> Incident:
    one = an_incident()
    bench.incidents.apply(Decisions(opened=(one,)))
    return one


def test_a_row_comes_back_equal(bench: Bench, known: Incident) -> None:
    given = a_row(known)
    posted(bench, given)

    found = bench.outbox.row(given.key)
    assert found is not None
    assert replace(found, id=0) == given
    assert bench.outbox.row("x") is None


def test_a_key_that_is_there_is_left_as_it_is(bench: Bench, known: Incident) -> None:
    posted(bench, a_row(known))
    (leased,) = bench.outbox.claim(START, "a", TTL)
    posted(bench, a_row(known, after=HOUR))

    assert bench.outbox.row(leased.key) == leased
    assert bench.outbox.state().leased == 1


def test_a_row_is_leased_once(bench: Bench, known: Incident) -> None:
    posted(bench, a_row(known))

    (leased,) = bench.outbox.claim(START, "a", TTL)
    assert (leased.state, leased.lease_owner, leased.fence) == (DeliveryState.LEASED, "a", 1)
    assert leased.lease_until == START + TTL
    assert list(bench.outbox.claim(START + TTL - INSTANT, "b", TTL)) == []


def test_a_lease_that_ran_out_is_anybodys(bench: Bench, known: Incident) -> None:
    posted(bench, a_row(known))
    (old,) = bench.outbox.claim(START, "a", TTL)
    (new,) = bench.outbox.claim(START + TTL, "b", TTL)

    assert (new.lease_owner, new.fence) == ("b", 2)
    for late in (
        bench.outbox.mark_sent(old.id, old.fence, START),
        bench.outbox.mark_for_retry(old.id, old.fence, START, "e"),
        bench.outbox.mark_dead(old.id, old.fence, "e"),
    ):
        assert not late
    assert bench.outbox.row(new.key) == new
    assert bench.outbox.mark_sent(new.id, new.fence, START + TTL)


def test_rows_come_oldest_first_and_only_when_due(bench: Bench) -> None:
    others = [an_incident(name) for name in "bcd"]
    bench.incidents.apply(Decisions(opened=tuple(others)))
    later, first, soon = (
        a_row(others[0], window="later", after=2 * MINUTE),
        a_row(others[1], window="first"),
        a_row(others[2], window="soon", after=MINUTE),
    )
    posted(bench, later, first, soon)

    found = bench.outbox.claim(START + MINUTE, "a", TTL, limit=10)
    assert [one.key for one in found] == [first.key, soon.key]


def test_of_an_incident_one_channel_hears_in_order(bench: Bench, known: Incident) -> None:
    other = an_incident("b")
    bench.incidents.apply(Decisions(opened=(other,)))
    first, second = a_row(known), a_row(known, other, window="second", reason=Reason.RAISED)
    posted(bench, first, second, a_row(other, channel="chat", window="chat"))

    claimed = bench.outbox.claim(START, "a", TTL, limit=10)
    assert [one.channel for one in claimed] == ["mail", "chat"]
    assert claimed[0].key == first.key
    # While it is on its way, or its worker was killed, the second one waits.
    assert list(bench.outbox.claim(START + TTL - INSTANT, "b", TTL, limit=10)) == []
    (again,) = bench.outbox.claim(START + TTL, "b", TTL, channels=["mail"], limit=10)
    assert again.key == first.key
    assert bench.outbox.mark_sent(again.id, again.fence, START + TTL)
    (next_,) = bench.outbox.claim(START + TTL, "b", TTL, channels=["mail"], limit=10)
    assert next_.key == second.key


def test_an_incident_is_notified_after_what_waits_about_the_one_before_it(
    bench: Bench, known: Incident
) -> None:
    over = resolve(known, IncidentEvent.RECOVERED, Resolution.RECOVERED, at=START)
    next_ = replace(known, id="0" * 24)
    bench.incidents.apply(Decisions(changed=(over,), opened=(next_,)))
    first, second = a_row(known), a_row(next_, window="next")
    posted(bench, first, second)

    (claimed,) = bench.outbox.claim(START, "a", TTL, limit=10)
    assert claimed.key == first.key
    assert list(bench.outbox.claim(START, "b", TTL, limit=10)) == []
    bench.outbox.mark_sent(claimed.id, claimed.fence, START)
    (claimed,) = bench.outbox.claim(START, "b", TTL, limit=10)
    assert claimed.key == second.key


@pytest.mark.parametrize("ending", ["retry", "dead"])
def test_what_fails_holds_up_nothing_after_it(bench: Bench, known: Incident, ending: str) -> None:
    first, second = a_row(known), a_row(known, window="second")
    posted(bench, first, second)
    (failed,) = bench.outbox.claim(START, "a", TTL)
    if ending == "retry":
        bench.outbox.mark_for_retry(failed.id, failed.fence, START + INSTANT, "HTTP 500")
    else:
        bench.outbox.mark_dead(failed.id, failed.fence, "HTTP 400")

    (found,) = bench.outbox.claim(START, "a", TTL, limit=10)
    assert found.key == second.key


def test_a_message_brings_forward_what_failed_before_it(bench: Bench, known: Incident) -> None:
    other = an_incident("b")
    bench.incidents.apply(Decisions(opened=(other,)))
    mine, theirs, chat = (
        a_row(known),
        a_row(other, window="theirs"),
        a_row(known, channel="chat"),
    )
    posted(bench, mine, theirs, chat)
    for one in bench.outbox.claim(START, "a", TTL, limit=10):
        bench.outbox.mark_for_retry(one.id, one.fence, START + HOUR, "HTTP 500")
    later = a_row(known, window="later", after=MINUTE)
    posted(bench, later)

    (first,) = bench.outbox.claim(START + MINUTE, "a", TTL, limit=10)
    assert first.key == mine.key
    bench.outbox.mark_sent(first.id, first.fence, START + MINUTE)
    (second,) = bench.outbox.claim(START + MINUTE, "a", TTL, limit=10)
    assert second.key == later.key


def test_a_row_says_which_of_its_incidents_are_over_by_now(bench: Bench, known: Incident) -> None:
    other = an_incident("b")
    bench.incidents.apply(Decisions(opened=(other,)))
    given = a_row(known, other)
    posted(bench, given)
    over = resolve(other, IncidentEvent.RESOLVE, Resolution.TRUE, at=START, by="ann")
    bench.incidents.apply(Decisions(changed=(over,)))

    (found,) = bench.outbox.claim(START, "a", TTL)
    assert {one.incident_id: one.is_resolved for one in found.items} == {
        known.id: False,
        other.id: True,
    }


def test_only_the_channels_that_are_asked_for_are_leased(bench: Bench, known: Incident) -> None:
    posted(bench, a_row(known), a_row(known, channel="chat"))

    assert set(bench.outbox.channels()) == {"mail", "chat"}
    (found,) = bench.outbox.claim(START, "a", TTL, channels=["chat"], limit=10)
    assert found.channel == "chat"
    assert list(bench.outbox.claim(START, "a", TTL, channels=[], limit=10)) == []


def test_what_was_sent_is_never_leased_again(bench: Bench, known: Incident) -> None:
    posted(bench, a_row(known))
    (leased,) = bench.outbox.claim(START, "a", TTL)
    assert bench.outbox.mark_sent(leased.id, leased.fence, START + MINUTE)

    assert list(bench.outbox.claim(START + DAY, "b", TTL)) == []
    found = bench.outbox.row(leased.key)
    assert found is not None
    assert (found.state, found.sent_at, found.attempts) == (DeliveryState.SENT, START + MINUTE, 1)
    assert not bench.outbox.mark_sent(leased.id, leased.fence, START + DAY)
    notified = bench.incidents.incident(known.id)
    assert notified is not None
    assert notified.last_notified_at == START + MINUTE


def test_a_delivery_does_not_disturb_decisions_in_the_making(bench: Bench, known: Incident) -> None:
    posted(bench, a_row(known))
    (leased,) = bench.outbox.claim(START, "a", TTL)
    bench.outbox.mark_sent(leased.id, leased.fence, START)

    # Read before the delivery: its version holds, and the time of the delivery stays.
    bench.incidents.apply(Decisions(changed=(acknowledge(known, by="ann", at=START),)))
    after = bench.incidents.incident(known.id)
    assert after is not None
    assert after.last_notified_at == START


def test_a_recovery_is_no_time_to_repeat_from(bench: Bench, known: Incident) -> None:
    for after, reason in [(0, Reason.OPENED), (5, Reason.RECOVERED)]:
        posted(bench, a_row(known, window=reason.value, reason=reason))
        (leased,) = bench.outbox.claim(START, "a", TTL)
        bench.outbox.mark_sent(leased.id, leased.fence, START + after * MINUTE)

    found = bench.incidents.incident(known.id)
    assert found is not None
    assert found.last_notified_at == START


def listed(bench: Bench, row: Notification) -> list[tuple[str, object]]:
    found = bench.outbox.row(row.key)
    assert found is not None
    entries = found.payload["incidents"]
    assert isinstance(entries, list)
    assert [item.reason.value for item in found.items] == [
        each["reason"] for each in entries if isinstance(each, dict)
    ]
    return [(str(each["reason"]), each.get("folded")) for each in entries if isinstance(each, dict)]


def test_a_recovery_is_folded_into_the_opening_that_still_waits(bench: Bench) -> None:
    gone, stays = an_incident("gone"), an_incident("stays")
    bench.incidents.apply(Decisions(opened=(gone, stays)))
    opening = a_row(gone, stays)
    posted(bench, opening)
    posted(bench, a_row(gone, window="later", reason=Reason.RECOVERED))

    assert sorted(listed(bench, opening), key=str) == [("opened", None), ("recovered", "opened")]
    assert bench.outbox.state().pending == 1


@pytest.mark.parametrize("state", ["leased", "sent"])
def test_a_recovery_follows_the_opening_that_is_on_its_way(
    bench: Bench, known: Incident, state: str
) -> None:
    posted(bench, a_row(known))
    (leased,) = bench.outbox.claim(START, "a", TTL)
    if state == "sent":
        bench.outbox.mark_sent(leased.id, leased.fence, START)
    recovery = a_row(known, window="later", reason=Reason.RECOVERED)
    posted(bench, recovery)

    assert listed(bench, recovery) == [("recovered", None)]


def test_only_what_is_not_folded_is_in_the_new_message(bench: Bench) -> None:
    told, waits = an_incident("told"), an_incident("waits")
    bench.incidents.apply(Decisions(opened=(told, waits)))
    posted(bench, a_row(told))
    (leased,) = bench.outbox.claim(START, "a", TTL)
    bench.outbox.mark_sent(leased.id, leased.fence, START)
    posted(bench, a_row(waits, window="second"))
    recovery = a_row(told, waits, window="third", reason=Reason.RECOVERED)
    posted(bench, recovery)

    found = bench.outbox.row(recovery.key)
    assert found is not None
    assert [item.incident_id for item in found.items] == [told.id]
    assert listed(bench, recovery) == [("recovered", None)]


def test_nobody_hears_the_end_of_what_was_withdrawn_before_it_was_sent(
    bench: Bench, known: Incident
) -> None:
    posted(bench, a_row(known, kind=MessageKind.ESCALATION, channel="boss"))
    over = resolve(known, IncidentEvent.RECOVERED, Resolution.RECOVERED, at=START)
    recovery = a_row(over, window="later", channel="boss", reason=Reason.RECOVERED)
    bench.incidents.apply(
        Decisions(changed=(over,), withdrawn=(over.id,), notifications=(recovery,))
    )

    assert bench.outbox.row(recovery.key) is None
    assert bench.outbox.state().pending == 0


def test_a_failed_row_waits_for_its_time(bench: Bench, known: Incident) -> None:
    posted(bench, a_row(known))
    (leased,) = bench.outbox.claim(START, "a", TTL)
    assert bench.outbox.mark_for_retry(leased.id, leased.fence, START + MINUTE, "HTTP 500")

    assert list(bench.outbox.claim(START + MINUTE - INSTANT, "a", TTL)) == []
    (again,) = bench.outbox.claim(START + MINUTE, "a", TTL)
    assert (again.attempts, again.error, again.fence) == (1, "HTTP 500", 2)


def test_a_dead_row_stays_dead(bench: Bench, known: Incident) -> None:
    posted(bench, a_row(known))
    (leased,) = bench.outbox.claim(START, "a", TTL)
    assert bench.outbox.mark_dead(leased.id, leased.fence, "HTTP 400")

    assert list(bench.outbox.claim(START + DAY, "a", TTL)) == []
    assert bench.outbox.state().dead == 1
    assert not bench.outbox.mark_dead(leased.id, leased.fence, "HTTP 400")


def test_the_messages_about_an_incident_come_oldest_first(bench: Bench, known: Incident) -> None:
    other = an_incident("b")
    bench.incidents.apply(Decisions(opened=(other,)))
    both = a_row(known, other, window="both", after=MINUTE)
    chat = a_row(known, channel="chat")
    posted(bench, both, chat, a_row(other, window="other"))

    assert [one.key for one in bench.outbox.about(known.id)] == [chat.key, both.key]
    assert list(bench.outbox.about("x")) == []


def test_the_state_counts_what_waits_and_since_when(bench: Bench, known: Incident) -> None:
    posted(bench, a_row(known, window="b", after=MINUTE), a_row(known, window="a"))
    bench.outbox.claim(START, "a", TTL)

    state = bench.outbox.state()
    assert (state.pending, state.leased, state.dead, state.oldest) == (1, 1, 0, START)


@pytest.mark.parametrize("over", ["sent", "dead"])
def test_nothing_waits_since_a_message_that_is_over(
    bench: Bench, known: Incident, over: str
) -> None:
    posted(bench, a_row(known))
    (first,) = bench.outbox.claim(START, "a", TTL)
    if over == "sent":
        bench.outbox.mark_sent(first.id, first.fence, START)
    else:
        bench.outbox.mark_dead(first.id, first.fence, "HTTP 400")
    assert bench.outbox.state().oldest is None
    posted(bench, a_row(known, window="later", after=MINUTE))

    state = bench.outbox.state()
    assert (state.pending, state.leased, state.dead) == (1, 0, int(over == "dead"))
    assert state.oldest == START + MINUTE


def test_a_withdrawn_escalation_is_not_sent(bench: Bench, known: Incident) -> None:
    other = an_incident("b")
    bench.incidents.apply(Decisions(opened=(other,)))
    posted(
        bench,
        a_row(known, kind=MessageKind.ESCALATION, window="one"),
        a_row(known, other, kind=MessageKind.ESCALATION, window="both"),
        a_row(known, window="normal", channel="chat"),
    )
    over = resolve(known, IncidentEvent.RESOLVE, Resolution.TRUE, at=START, by="ann")
    bench.incidents.apply(Decisions(changed=(over,), withdrawn=(known.id,)))

    left = bench.outbox.claim(START, "a", TTL, limit=10)
    assert sorted(str(one.payload["window"]) for one in left) == ["both", "normal"]


def test_past_messages_are_in_the_snapshot(bench: Bench, known: Incident) -> None:
    over = resolve(an_incident("b"), IncidentEvent.RECOVERED, Resolution.RECOVERED, at=START)
    bench.incidents.apply(Decisions(opened=(over,)))
    posted(bench, a_row(known, window="live"), a_row(over, window="over"))
    for one in bench.outbox.claim(START, "a", TTL, limit=10):
        bench.outbox.mark_sent(one.id, one.fence, START)

    def notified(since: timedelta) -> set[str]:
        found = bench.incidents.snapshot(now=START, since=START + since).notified
        return {one.incident_id for one in found}

    assert notified(0 * MINUTE) == {known.id, over.id}
    assert notified(INSTANT) == {known.id}


def silence(name: str = "s", start: timedelta = 0 * MINUTE, end: timedelta = HOUR) -> Silence:
    return Silence(
        id=name,
        matchers=Matchers(strategy="trend", severity=Severity.CRITICAL),
        starts_at=START + start,
        ends_at=START + end,
        author="ann",
        reason='a "reason" 量化',
    )


def test_a_silence_comes_back_equal_and_is_kept_once(bench: Bench) -> None:
    bench.incidents.add_silence(silence(), change())
    bench.incidents.add_silence(silence(end=DAY), change())

    assert list(bench.incidents.silences(START)) == [silence()]
    assert bench.changes() == ["trigger"]


def test_silences_that_have_ended_are_listed_where_asked(bench: Bench) -> None:
    future = silence("future", HOUR, 2 * HOUR)
    for one in (silence(), future):
        bench.incidents.add_silence(one)

    assert list(bench.incidents.silences(START)) == [future, silence()]
    assert list(bench.incidents.silences(START + HOUR)) == [future]
    assert list(bench.incidents.silences(START + DAY, ended=True)) == [future, silence()]
    snapshot = bench.incidents.snapshot(now=START + HOUR - INSTANT, since=START)
    assert snapshot.silences == (silence(),)
    assert bench.incidents.snapshot(now=START + HOUR, since=START).silences == (future,)


def test_a_silence_is_ended_once(bench: Bench) -> None:
    bench.incidents.add_silence(silence())

    assert bench.incidents.end_silence("s", START + MINUTE, change())
    assert not bench.incidents.end_silence("s", START + 2 * MINUTE, change())
    assert not bench.incidents.end_silence("x", START, change())
    assert list(bench.incidents.silences(START + MINUTE)) == []
    assert bench.changes() == ["trigger"]


def test_a_clock_that_was_set_back_holds_no_message_up(bench: Bench) -> None:
    one = an_incident("b")
    bench.incidents.apply(Decisions(opened=(one,)))
    posted(bench, a_row(one, window="first"))
    (row,) = bench.outbox.claim(START, "a", TTL)
    # Its owner died, and the clock with it.
    for back in (60 * MINUTE, 24 * 60 * MINUTE):
        (row,) = bench.outbox.claim(START - back, "b", TTL)
    assert bench.outbox.claim(START - 24 * 60 * MINUTE, "c", TTL) == []
    bench.outbox.mark_for_retry(row.id, row.fence, START - 24 * 60 * MINUTE + MINUTE, "it failed")

    # It waits for its retry by the clock of now.
    assert bench.outbox.claim(START - 24 * 60 * MINUTE, "c", TTL) == []
    assert len(bench.outbox.claim(START - 24 * 60 * MINUTE + MINUTE, "c", TTL)) == 1


def test_the_oldest_message_that_fails_is_known_by_channel(bench: Bench) -> None:
    incidents = [an_incident(name) for name in "bcd"]
    bench.incidents.apply(Decisions(opened=tuple(incidents)))
    posted(bench, *(a_row(one, window=one.id) for one in incidents))
    assert bench.outbox.failing() == {}
    rows = bench.outbox.claim(START, "a", TTL, limit=3)
    for row in rows[:2]:
        bench.outbox.mark_for_retry(row.id, row.fence, START, "it failed")
    bench.outbox.mark_dead(rows[2].id, rows[2].fence, "it is gone")
    assert bench.outbox.failing() == {rows[0].channel: rows[0].id}
    (row,) = bench.outbox.claim(START, "a", TTL)
    bench.outbox.mark_sent(row.id, row.fence, START)

    assert bench.outbox.failing() == {rows[1].channel: rows[1].id}
