"""The outbox's worker: what it sends, tries again and gives up, with an injected clock."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

import pytest

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.notification import DeliveryState
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.notifications.delivery import (
    Deliverer,
    DeliveryCounts,
    DeliveryFailed,
    try_channels,
)
from perf_alerts_dagster.notifications.messages import test_message as make_test
from perf_alerts_tests.incidents.incident_desk import (
    DAY,
    HOUR,
    INSTANT,
    MINUTE,
    START,
    IncidentDesk,
    breach,
    fine,
)
from perf_alerts_tests.incidents.memory import MemoryIncidents
from perf_alerts_tests.incidents.post import Post


class Fixed(Random):
    """The middle of every jitter."""

    def random(self) -> float:
        return 0.5


@dataclass
class Office:
    """A desk whose messages are delivered by a worker."""

    desk: IncidentDesk
    mail: Post
    chat: Post
    points: list[str] = field(default_factory=list)
    owner: str = "worker"

    def worker(self, reached: Callable[[str], None] | None = None) -> Deliverer:
        lifecycle = self.desk.lifecycle
        return Deliverer(
            outbox=self.desk.outbox,
            channels={one.name: one for one in (self.mail, self.chat)},
            on_dead_letter=lifecycle.dead_letter,
            on_sent=lifecycle.channel_recovered,
            clock=lambda: self.desk.now,
            jitter=Fixed(),
            owner=self.owner,
            reached=reached or self.points.append,
        )

    def drain(self) -> DeliveryCounts:
        return self.worker().drain(5.0)

    def due(self, channel: str = "mail") -> datetime:
        (row,) = [one for one in self.desk.memory.rows.values() if one.channel == channel]
        return row.next_at


def failing(text: str = "HTTP 500", **how: object) -> Callable[[], None]:
    def does() -> None:
        raise DeliveryFailed(text, **how)  # type: ignore[arg-type]

    return does


@pytest.fixture
def office() -> Office:
    desk = IncidentDesk(settings=NotificationSettings(channels=("mail", "chat")))
    desk.judge(breach(severity=Severity.CRITICAL))
    return Office(desk=desk, mail=Post("mail"), chat=Post("chat"))


def test_what_waits_is_sent_once_to_every_channel(office: Office) -> None:
    assert office.drain() == DeliveryCounts(sent=2)
    assert office.drain() == DeliveryCounts()

    (mail,), (chat,) = office.mail.got, office.chat.got
    assert mail.key != chat.key
    assert mail.subject == "[CRITICAL] trend: max drawdown -0.3"
    assert office.desk.only().last_notified_at == START
    assert sorted(office.points) == sorted(["claimed", "sent", "marked"] * 2)


def test_a_delivered_message_reads_no_snapshot_of_all_incidents(office: Office) -> None:
    for strategy in ("carry", "value", "vol"):
        office.desk.judge(breach(strategy=strategy))
    before = office.desk.memory.snapshots

    assert office.drain() == DeliveryCounts(sent=8)
    assert office.desk.memory.snapshots == before


def test_one_failing_channel_does_not_hold_up_another(office: Office) -> None:
    office.mail.does = failing()

    assert office.drain() == DeliveryCounts(sent=1, retried=1)
    assert len(office.chat.got) == 1


def test_one_slow_channel_does_not_delay_another(office: Office) -> None:
    arrived = threading.Event()
    # The mail goes on only when the chat has been notified.
    office.mail.does = lambda: _wait(arrived)
    office.chat.does = arrived.set

    assert office.drain() == DeliveryCounts(sent=2)


def _wait(event: threading.Event) -> None:
    if not event.wait(5):
        raise DeliveryFailed("the other one never came")


def test_a_failure_is_tried_again_after_longer_and_longer_waits(office: Office) -> None:
    office.mail.does = failing()
    waits = []
    for _ in range(12):
        office.drain()
        waits.append((office.due() - office.desk.now).total_seconds())
        office.desk.now = office.due()

    # Half of 5 s, 10 s, 20 s and so on, up to half of 15 min.
    assert waits == [2.5, 5, 10, 20, 40, 80, 160, 320, 450, 450, 450, 450]


def test_jitter_is_between_a_second_and_the_whole_wait(office: Office) -> None:
    office.mail.does = failing()
    worker = replace(office.worker(), jitter=Random(1))
    for _ in range(30):
        worker.drain(5.0)
        wait = office.due() - office.desk.now
        assert timedelta(seconds=1) <= wait <= timedelta(minutes=15)
        office.desk.now = office.due()


def test_it_is_not_tried_before_its_time(office: Office) -> None:
    office.mail.does = failing()
    office.drain()
    due = office.due()
    office.mail.does = lambda: None

    office.desk.now = due - INSTANT
    assert office.drain() == DeliveryCounts()
    office.desk.now = due
    assert office.drain() == DeliveryCounts(sent=1)


@pytest.mark.parametrize(
    ("asked", "waits"),
    [
        (timedelta(seconds=0), timedelta(seconds=2.5)),
        (timedelta(seconds=90), timedelta(seconds=90)),
        (HOUR, HOUR),
        (DAY, HOUR),
    ],
)
def test_it_waits_as_long_as_the_receiver_asks_up_to_an_hour(
    office: Office, asked: timedelta, waits: timedelta
) -> None:
    office.mail.does = failing(retry_after=asked)
    office.drain()

    assert office.due() - office.desk.now == waits


def test_what_can_never_succeed_is_a_dead_letter_with_its_incident(office: Office) -> None:
    office.mail.does = failing("HTTP 404", permanent=True)

    # The chat may take the dead letter's message within the same drain.
    assert office.drain() + office.drain() == DeliveryCounts(sent=2, dead=1)
    _, incident = office.desk.all()
    assert (incident.rule, incident.parts["about"]) == ("dead_letter", "mail")
    assert "HTTP 404" in incident.message
    assert [one.subject for one in office.chat.got] == [
        "[CRITICAL] trend: max drawdown -0.3",
        "[CRITICAL] mail: a channel does not deliver",
    ]


def test_a_dead_channel_that_works_again_ends_its_incident(office: Office) -> None:
    office.mail.does = failing(permanent=True)
    office.drain()
    office.drain()
    office.mail.does = lambda: None
    office.desk.judge(breach(strategy="carry"))
    office.drain()
    office.drain()

    assert "recovered" in [str(one.payload["incidents"][0]["reason"]) for one in office.chat.got]  # type: ignore[index,call-overload]


def test_after_a_day_it_is_given_up_if_it_was_tried_all_the_time(office: Office) -> None:
    office.mail.does = failing()
    office.desk.wait(DAY - INSTANT)
    assert office.drain() == DeliveryCounts(sent=1, retried=1)
    # A machine that was down, or whose clock jumped, has not tried yet.
    for _ in range(19):
        office.desk.now = office.due()
        assert office.drain() == DeliveryCounts(retried=1)
    office.desk.now = office.due()
    assert office.drain().dead == 1


def test_a_poison_row_is_pushed_on_and_the_next_one_is_sent(office: Office) -> None:
    memory = office.desk.memory
    (first,) = [row for row in memory.rows.values() if row.channel == "mail"]
    memory.rows[first.id] = replace(first, payload={"incidents": "poison"})
    office.desk.judge(breach(strategy="carry"))

    assert (office.drain() + office.drain()).dead == 1
    assert "[WARNING] carry: max drawdown -0.3" in [one.subject for one in office.mail.got]


def test_a_channel_that_breaks_over_one_message_takes_the_next_one(office: Office) -> None:
    office.desk.judge(breach(strategy="carry"))
    faults: list[Exception] = [ZeroDivisionError("smtp://user:canary@mail.example")]

    def breaks() -> None:
        if faults:
            raise faults.pop()

    office.mail.does = breaks

    assert office.drain() == DeliveryCounts(sent=3, retried=1)
    assert [one.subject for one in office.mail.got] == ["[WARNING] carry: max drawdown -0.3"]
    (broken,) = [one for one in office.desk.memory.rows.values() if one.attempts and one.error]
    # Whose text it is nobody knows: it may hold the channel's secret.
    assert broken.error == "the channel broke: ZeroDivisionError"


def test_a_crash_while_a_message_is_given_up_still_notifies(office: Office) -> None:
    office.mail.does = failing(permanent=True)

    def dies(channel: str, error: str, now: datetime) -> None:
        office.desk.lifecycle.dead_letter(channel, error=error, now=now)
        raise Killed

    with pytest.raises(Killed):
        replace(office.worker(), on_dead_letter=dies).drain(5.0)
    assert [one.rule for one in office.desk.all()] == ["max_drawdown", "dead_letter"]

    # The row is given up by the next worker, and the incident is not notified again.
    office.desk.wait(MINUTE)
    office.drain()
    assert [one.rule for one in office.desk.all()] == ["max_drawdown", "dead_letter"]
    assert {one.state for one in office.desk.memory.rows.values()} == {
        DeliveryState.SENT,
        DeliveryState.DEAD,
    }
    assert [one.subject for one in office.chat.got] == [
        "[CRITICAL] trend: max drawdown -0.3",
        "[CRITICAL] mail: a channel does not deliver",
    ]


def test_messages_to_a_channel_that_left_the_settings_die_after_a_day(office: Office) -> None:
    office.chat.name = "other"
    assert office.drain() == DeliveryCounts(sent=1, retried=1)
    office.desk.wait(DAY)
    assert office.drain().dead == 1


class Killed(BaseException):
    """Stands for a process that ends here."""


@pytest.mark.parametrize("point", ["claimed", "sent", "marked"])
def test_a_worker_that_dies_loses_nothing_and_doubles_only_the_key(
    office: Office, point: str
) -> None:
    def reached(at: str) -> None:
        if at == point:
            raise Killed

    with pytest.raises(Killed):
        office.worker(reached).drain(5.0)

    # Its leases hold until they run out, then anybody sends.
    office.owner = "another"
    office.desk.wait(timedelta(seconds=60) - INSTANT)
    office.drain()
    office.desk.wait(INSTANT)
    office.drain()
    for channel in (office.mail, office.chat):
        assert len({one.key for one in channel.got}) == 1
        assert len(channel.got) == (2 if point == "sent" else 1)
    assert {one.state for one in office.desk.memory.rows.values()} == {DeliveryState.SENT}


def test_a_worker_that_was_too_slow_marks_nothing(office: Office) -> None:
    def slow() -> None:
        office.desk.wait(2 * MINUTE)
        office.desk.outbox.claim(office.desk.now, "another", MINUTE, channels=["mail"])

    office.mail.does = slow
    office.drain()

    (row,) = [one for one in office.desk.memory.rows.values() if one.channel == "mail"]
    assert (row.state, row.lease_owner, row.fence) == (DeliveryState.LEASED, "another", 2)


def test_a_store_that_fails_is_not_hidden(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def sent(*_: object) -> bool:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(MemoryIncidents, "mark_sent", sent)
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        office.drain()


def test_a_withdrawn_escalation_is_not_sent(office: Office) -> None:
    office.drain()
    office.desk.wait(15 * MINUTE)
    office.desk.sweep()
    office.desk.acknowledge()

    assert office.drain() == DeliveryCounts()


def test_a_recovery_is_folded_into_an_opening_that_still_waits(office: Office) -> None:
    office.desk.judge(fine())
    office.drain()

    assert [one.subject for one in office.mail.got] == [
        "[RECOVERED] trend: max drawdown -0.3; over"
    ]
    assert "It was over before this could be sent." in office.mail.got[0].text


def test_a_recovery_is_folded_into_an_opening_that_failed_before(office: Office) -> None:
    office.mail.does = failing()
    office.drain()
    office.mail.does = lambda: None
    office.desk.wait(2 * MINUTE)
    office.desk.judge(fine())
    office.drain()

    assert [one.subject for one in office.mail.got] == [
        "[RECOVERED] trend: max drawdown -0.3; over after 2 min",
    ]


def test_a_recovery_waits_for_the_opening_that_another_worker_sends(office: Office) -> None:
    (row,) = office.desk.outbox.claim(office.desk.now, "another", MINUTE, channels=["mail"])
    office.desk.judge(fine())
    office.drain()
    assert office.mail.got == []

    # The other one was killed: its lease runs out.
    office.desk.wait(MINUTE)
    office.drain()
    opening, recovery = office.mail.got
    assert opening.key == row.key
    assert opening.subject == "[CRITICAL] resolved by now: trend: max drawdown -0.3"
    assert "It is resolved by now." in opening.text
    assert recovery.subject == "[RECOVERED] trend: max drawdown -0.3; over"


def test_every_channel_is_tried_directly(office: Office) -> None:
    office.mail.does = failing("HTTP 500")
    tried = try_channels([office.mail, office.chat], make_test(START, public_url=None))

    assert [(one.channel, one.error) for one in tried] == [("mail", "HTTP 500"), ("chat", None)]
    assert list(try_channels([], make_test(START, public_url=None))) == []


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_without_channels_nothing_is_sent(office: Office) -> None:
    worker = replace(office.worker(), channels={})

    assert worker.drain(5.0) == DeliveryCounts(retried=2)
    assert office.mail.got == []


def test_without_time_nothing_is_sent(office: Office) -> None:
    office.chat.name = "other"

    assert office.worker().drain(0.0) == DeliveryCounts()
