"""Pages against an intake that keeps them, and over the life of events in a real store."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.events import Event
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.model import EXECUTION_FAILED, Incident, Resolution
from perf_alerts_dagster.incidents.notification import DeliveryState
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import EventFilter, IncidentFilter
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.notifications.channels import pagerduty as pagers
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.open import open_channels
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.channels.pagerduty import PagerDuty
from perf_alerts_dagster.notifications.delivery import (
    LEASE,
    Channel,
    Deliverer,
    DeliveryFailed,
    try_channels,
)
from perf_alerts_dagster.notifications.messages import Message, MessageEvent
from perf_alerts_dagster.notifications.messages import test_message as make_test
from perf_alerts_tests.incidents.incident_desk import (
    DAY,
    HOUR,
    MONDAY,
    START,
    breach,
    event,
    fine,
    judged,
)
from perf_alerts_tests.incidents.post import Post
from perf_alerts_tests.receivers import Authority, Intake, http_receiver
from perf_alerts_tests.storage.bench import Bench, sql_bench

LOCAL = Addresses(allowed=frozenset({"127.0.0.1"}))
CRITICAL = Severity.CRITICAL
KEY = "canary-of-the-routing-key"


def opened(url: str, addresses: Addresses = LOCAL, outgoing: Outgoing | None = None) -> PagerDuty:
    (made,) = open_channels(
        [url],
        variable="ALERT_NOTIFY_URLS",
        secret=None,
        addresses=addresses,
        outgoing=outgoing,
    )
    assert isinstance(made, PagerDuty)
    return made


def an_event(**changes: Any) -> MessageEvent:
    made = MessageEvent(
        id="e1",
        leader="short_vol",
        status="open",
        severity="critical",
        title="[CRITICAL] short_vol -15.0 % on Fri 27 Nov",
        reasons=("opened",),
        link="https://alerts.example/a/7Kx2",
        incident_ids=("i1",),
    )
    return replace(made, **changes)


def a_message(*events: MessageEvent, **changes: Any) -> Message:
    given: dict[str, Any] = {"kind": "normal", "payload": {"incidents": []}, **changes}
    return Message(key="k1", subject="s", text="short_vol lost 15.0 %", events=events, **given)


def failure(channel: Channel, message: Message) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        channel.send(message)
    assert KEY not in str(caught.value)
    return caught.value


def test_a_page_says_what_happened_and_where_to_answer(intake: Intake) -> None:
    opened(intake.url).send(a_message(an_event(title="x" * 2000)))

    (sent,) = intake.events
    assert sent == {
        "routing_key": intake.key,
        "event_action": "trigger",
        "dedup_key": "e1",
        "client": "perf-alerts",
        "payload": {
            "summary": "x" * 1024,
            "source": "short_vol",
            "severity": "critical",
            "custom_details": {"message": "short_vol lost 15.0 %"},
        },
        "links": [{"href": "https://alerts.example/a/7Kx2", "text": "Answer"}],
    }
    assert intake.receiver.got[0].path == "/v2/enqueue"


@pytest.mark.parametrize(
    ("changes", "actions"),
    [
        ({}, ["trigger"]),
        ({"reasons": ("recovered", "raised")}, ["trigger"]),
        ({"reasons": ("recovered",)}, []),
        ({"reasons": ("acknowledged",)}, []),
        ({"reasons": ("resolved",)}, []),
        ({"status": "acknowledged", "reasons": ("acknowledged",)}, ["acknowledge"]),
        ({"status": "acknowledged"}, ["acknowledge"]),
        ({"status": "resolved", "reasons": ("recovered",)}, ["resolve"]),
        ({"status": "resolved", "reasons": ("opened",)}, ["resolve"]),
    ],
)
def test_a_page_follows_the_events_status(
    intake: Intake, changes: dict[str, Any], actions: list[str]
) -> None:
    opened(intake.url).send(a_message(an_event(**changes)))

    assert intake.actions == actions


@pytest.mark.parametrize(
    ("severity", "theirs"),
    [
        ("info", "info"),
        ("warning", "warning"),
        ("critical", "critical"),
        ("emergency", "critical"),
    ],
)
def test_severities_have_the_pagers_words(intake: Intake, severity: str, theirs: str) -> None:
    opened(intake.url).send(a_message(an_event(severity=severity, leader="", link=None)))

    (sent,) = intake.events
    assert (sent["payload"]["severity"], sent["payload"]["source"]) == (theirs, "perf-alerts")
    assert sent["links"] == []


def test_a_digest_pages_nobody(intake: Intake) -> None:
    opened(intake.url).send(a_message(kind="digest"))

    assert intake.events == []


def test_a_test_leaves_no_page_open(intake: Intake) -> None:
    (result,) = try_channels([opened(intake.url)], make_test(START, public_url=None))

    assert result.error is None
    assert intake.actions == ["trigger", "resolve"]
    assert list(intake.pages.values()) == ["resolved"]


def test_what_two_processes_send_past_the_store_is_one_page(intake: Intake) -> None:
    past = {"incidents": [], "direct": True}
    for event_id in ("of-one-process", "of-another"):
        opened(intake.url).send(a_message(an_event(id=event_id), payload=past))

    assert len(intake.paged) == 1
    assert intake.actions == ["trigger", "trigger"]


def test_many_events_are_sent_at_once_within_the_time_of_one_message(intake: Intake) -> None:
    events = [an_event(id=f"e{n}") for n in range(60)]
    opened(intake.url).send(a_message(*events))

    assert intake.pages == {event.id: "triggered" for event in events}


@pytest.mark.parametrize(
    ("answers", "permanent", "words"),
    [
        ([500], False, "answered with 500"),
        ([429], False, "answered with 429"),
        ([400], True, "answered with 400: is the routing key that of an Events API v2"),
        ([(302, {"Location": "/evil"})], True, "redirects are not followed"),
        (["reset"], False, "the connection was reset"),
        # One of two may succeed later.
        ([400, 500], False, "answered with 500"),
        ([202, 400], True, "answered with 400"),
    ],
)
def test_what_a_later_try_may_heal_is_not_permanent(
    intake: Intake, answers: list[Any], permanent: bool, words: str
) -> None:
    intake.receiver.answers = answers
    url = intake.url.replace(intake.key, KEY)

    error = failure(opened(url), a_message(an_event(), an_event(id="e2")))
    assert error.permanent is permanent
    assert words in str(error)


def test_a_later_attempt_goes_on_where_the_intake_had_enough(intake: Intake) -> None:
    intake.receiver.answers = [202, 202, (429, {"Retry-After": "60"})]
    channel = opened(intake.url)
    message = a_message(*[an_event(id=f"e{n}") for n in range(5)])
    failure(channel, message)
    intake.receiver.answers = [202]
    intake.receiver.got.clear()
    channel.send(message)
    assert len(intake.events) == 3

    # Sent again after a crash: nothing is known any more.
    channel.send(message)
    assert len(intake.events) == 8


def test_what_ended_between_two_attempts_is_resolved_though_its_page_was_accepted(
    intake: Intake,
) -> None:
    intake.receiver.answers = [202, (429, {"Retry-After": "60"}), 202]
    channel = opened(intake.url)
    first, second = an_event(id="e1"), an_event(id="e2")
    message = a_message(first, second)
    failure(channel, message)
    (known,) = {each["dedup_key"] for each in intake.events[:1]}
    over = replace(first if known == "e1" else second, status="resolved")
    other = second if known == "e1" else first
    channel.send(replace(message, events=(over, other)))

    sent = [(each["event_action"], each["dedup_key"]) for each in intake.events[2:]]
    assert sorted(sent) == [("resolve", over.id), ("trigger", other.id)]


def test_it_waits_as_long_as_the_intake_asks(intake: Intake) -> None:
    intake.receiver.answers = [(429, {"Retry-After": "30"}), (429, {"Retry-After": "90"})]
    error = failure(opened(intake.url), a_message(an_event(), an_event(id="e2")))

    assert error.retry_after == timedelta(seconds=90)


def test_an_intake_that_does_not_answer_is_left(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagers, "_TOTAL_SECONDS", 0.5)
    intake.receiver.answers = ["trickle"]

    error = failure(opened(intake.url), a_message(an_event()))
    assert "no answer within 0." in str(error)


def test_a_base_over_https_is_trusted_by_the_bundle(authority: Authority) -> None:
    with http_receiver(authority.server()) as receiver:
        receiver.answers = [202]
        url = f"pagerduty://{KEY}?base=https%3A%2F%2Flocalhost:{receiver.port}/v2/enqueue%3Fa=b"
        local = replace(LOCAL, allowed=frozenset({"localhost"}))
        opened(url, local, Outgoing(ca_bundle=authority.bundle)).send(a_message(an_event()))

    assert receiver.got[0].path == "/v2/enqueue?a=b"
    assert receiver.got[0].json["routing_key"] == KEY


@pytest.mark.parametrize("base", ["http://hooks.example/x", "https://127.0.0.1/x"])
def test_a_base_inside_or_without_tls_is_for_hosts_of_the_settings(base: str) -> None:
    error = failure(opened(f"pagerduty://{KEY}?base={base}", Addresses()), a_message(an_event()))

    assert error.permanent
    assert "ALERT_NOTIFY_ALLOWED_HOSTS" in str(error)


@pytest.mark.parametrize(
    ("rest", "url", "fields"),
    [
        ("", "https://events.pagerduty.com/v2/enqueue", {}),
        ("?min_severity=warning", "https://events.pagerduty.com/v2/enqueue", {}),
        ("@api-key", "https://events.pagerduty.com/v2/enqueue", {}),
        ("?region=eu", "https://events.eu.pagerduty.com/v2/enqueue", {}),
        ("@api-key/", "https://events.pagerduty.com/v2/enqueue", {}),
        (
            "@api-key/host/books?region=eu&group=desk&class=vol",
            "https://events.eu.pagerduty.com/v2/enqueue",
            {"component": "books", "group": "desk", "class": "vol"},
        ),
        ("?base=https://intake.example/a/b&group=desk", "https://intake.example/a/b", "desk"),
    ],
)
def test_urls_of_apprise_keep_working(rest: str, url: str, fields: Any) -> None:
    channel = opened(f"pagerduty://{KEY}{rest}")

    assert (channel.url, channel.routing_key) == (url, KEY)
    assert channel.fields == ({"group": fields} if isinstance(fields, str) else fields)
    assert channel.takes_answers
    assert KEY not in f"{channel!r} {channel.name}"


def test_details_and_fields_of_the_url_are_in_the_page(intake: Intake) -> None:
    opened(f"{intake.url}&group=desk&+runbook=wiki").send(a_message(an_event()))

    (sent,) = intake.events
    assert sent["payload"]["group"] == "desk"
    assert sent["payload"]["custom_details"] == {
        "runbook": "wiki",
        "message": "short_vol lost 15.0 %",
    }


@pytest.mark.parametrize(
    "rest",
    [
        "?base=canary",
        "?base=ftp://x.example/",
        "?base=https://user:canary@x.example/",
        "?base=https://[canary/",
        "?base=https://x.example:0/",
        "?region=canary",
    ],
)
def test_a_url_that_is_no_pager_is_refused_without_being_shown(rest: str) -> None:
    with pytest.raises(SettingsError, match="ALERT_NOTIFY_URLS: URL 1") as caught:
        opened(f"pagerduty://key{rest}")
    assert "canary" not in str(caught.value)


@dataclass
class PagedDesk:
    """A desk with a chat and a pager over a real store; each step is a process of its own."""

    bench: Bench
    intake: Intake
    now: datetime = START
    day: date = MONDAY
    chat: Post = field(default_factory=lambda: Post("chat"))
    runs: int = 0

    @property
    def pager(self) -> PagerDuty:
        return opened(self.intake.url)

    @property
    def lifecycle(self) -> Lifecycle:
        pager = self.pager
        settings = NotificationSettings(
            channels=("chat", pager.name),
            pagers=frozenset({pager.name}),
            minimum={pager.name: pager.minimum},
            close_after=2,
        )
        return Lifecycle(store=self.bench.incidents, settings=settings)

    def judge(self, *evaluations: Evaluation, **changes: Any) -> None:
        self.runs += 1
        given = {"run_id": f"run-{self.runs}", "judged_at": self.now, "as_of": self.day}
        judgement = judged(*evaluations, **(given | changes))
        self.bench.record(judgement)
        self.lifecycle.apply_judgements(judgement.alert, run_id=judgement.run_id, now=self.now)

    def next_day(self, *evaluations: Evaluation) -> None:
        self.day += DAY
        self.now += DAY
        self.judge(*evaluations)
        self.deliver()

    def deliver(self, crash_at: str = "") -> None:
        def reached(point: str) -> None:
            if point == crash_at and row_is_paged():
                raise KeyboardInterrupt

        def row_is_paged() -> bool:
            return bool(self.intake.receiver.got)

        pager = self.pager
        channels = {pager.name: pager} if crash_at else {"chat": self.chat, pager.name: pager}
        worker = Deliverer(
            outbox=self.bench.outbox,
            channels=channels,
            on_dead_letter=self.lifecycle.dead_letter,
            on_sent=self.lifecycle.channel_recovered,
            clock=lambda: self.now,
            jitter=Random(1),
            owner="worker",
            reached=reached,
        )
        worker.drain(60)

    def incidents(self) -> list[Incident]:
        return list(reversed(self.bench.incidents.incidents(IncidentFilter()).incidents))

    def event(self) -> Event:
        (found,) = self.bench.incidents.events(EventFilter()).events
        return found


@pytest.fixture
def desk(sqlite_engine: Engine, intake: Intake) -> PagedDesk:
    return PagedDesk(sql_bench(sqlite_engine), intake)


def bad(**changes: Any) -> Evaluation:
    return breach(**({"severity": CRITICAL} | changes))


def bad_day(**changes: Any) -> Evaluation:
    return event(**({"severity": CRITICAL} | changes))


def test_breach_worse_acknowledged_and_recovered_are_one_page_resolved_once(
    desk: PagedDesk,
) -> None:
    desk.judge(bad(), bad_day())
    desk.deliver()
    desk.now += HOUR
    desk.judge(bad(severity=Severity.EMERGENCY, value=-0.5), bad_day())
    desk.deliver()
    key = desk.event().id
    assert desk.intake.pages == {key: "triggered"}

    desk.lifecycle.acknowledge_event(key, by="ann", now=desk.now)
    desk.deliver()
    assert desk.intake.pages == {key: "acknowledged"}

    desk.next_day(fine())
    assert desk.intake.pages == {key: "acknowledged"}
    desk.lifecycle.resolve_event(key, by="ann", now=desk.now, outcome=Resolution.TRUE)
    desk.deliver()

    assert desk.intake.pages == {key: "resolved"}
    assert desk.intake.paged == [key]
    assert desk.intake.actions.count("resolve") == 1


def test_an_event_that_recovers_in_part_keeps_its_page_and_pages_nobody(desk: PagedDesk) -> None:
    desk.judge(bad(), bad(rule="rolling_sharpe"))
    desk.deliver()
    desk.next_day(bad(rule="rolling_sharpe"), fine())
    key = desk.event().id
    assert desk.intake.actions == ["trigger"]

    desk.next_day(fine(rule="rolling_sharpe"), fine())
    assert desk.intake.actions == ["trigger", "resolve"]
    assert (desk.intake.paged, desk.intake.pages) == ([key], {key: "resolved"})


def test_an_event_that_expires_closes_its_page_without_a_word_to_people(desk: PagedDesk) -> None:
    desk.judge(bad_day())
    desk.deliver()
    desk.next_day()
    desk.next_day()

    assert desk.event().is_resolved
    assert desk.intake.actions == ["trigger", "resolve"]
    assert len(desk.chat.got) == 1


def test_one_incident_that_a_person_resolves_closes_the_page_with_the_last_one(
    desk: PagedDesk,
) -> None:
    desk.judge(bad(), bad_day())
    desk.deliver()
    for incident in desk.incidents():
        desk.lifecycle.resolve(
            incident.id, by="ann", now=desk.now, outcome=Resolution.FALSE, comment="no"
        )
        desk.deliver()

    assert desk.intake.actions == ["trigger", "resolve"]


def test_a_warning_pages_nobody_until_it_is_critical(desk: PagedDesk) -> None:
    desk.judge(bad(severity=Severity.WARNING), bad_day(severity=Severity.WARNING))
    desk.deliver()
    assert desk.intake.events == []

    desk.now += HOUR
    desk.judge(bad(value=-0.5), bad_day(severity=Severity.WARNING))
    desk.deliver()
    assert desk.intake.actions == ["trigger"]
    # The bad day burns on, of which the pager was never notified.
    desk.next_day(fine())
    assert desk.intake.actions == ["trigger", "resolve"]


def test_a_new_event_after_the_end_is_a_new_page(desk: PagedDesk) -> None:
    desk.judge(bad())
    desk.deliver()
    desk.next_day(fine())
    desk.day += 9 * DAY
    desk.next_day(bad())

    assert len(desk.intake.pages) == len(set(desk.intake.paged)) == 2
    assert sorted(desk.intake.pages.values()) == ["resolved", "triggered"]


@pytest.mark.parametrize("point", ["claimed", "sent"])
def test_a_page_that_was_sent_and_not_marked_is_sent_again_and_wakes_nobody_again(
    desk: PagedDesk, point: str
) -> None:
    desk.judge(bad())
    if point == "sent":
        with pytest.raises(KeyboardInterrupt):
            desk.deliver(crash_at=point)
    desk.now += LEASE + timedelta(seconds=1)
    desk.deliver()

    assert len(desk.intake.events) == (2 if point == "sent" else 1)
    assert desk.intake.paged == [desk.event().id]


def test_a_message_whose_second_event_fails_is_sent_again_as_a_whole(desk: PagedDesk) -> None:
    desk.intake.receiver.answers = [202, 500, 202]
    desk.judge(bad(), bad(strategy="carry"))
    desk.deliver()
    assert len(desk.intake.events) == 2

    desk.now += HOUR
    desk.deliver()
    assert len(desk.intake.events) == 4
    assert sorted(desk.intake.pages.values()) == ["triggered", "triggered"]


def test_what_is_over_when_the_intake_is_back_pages_nobody(desk: PagedDesk) -> None:
    desk.intake.receiver.answers = [503]
    desk.judge(bad())
    desk.deliver()
    desk.intake.receiver.got.clear()
    desk.lifecycle.resolve_event(desk.event().id, by="ann", now=desk.now, outcome=Resolution.KNOWN)
    desk.intake.receiver.answers = [202]
    desk.now += HOUR
    desk.deliver()

    assert (desk.intake.paged, desk.intake.actions) == ([], ["resolve"])


def test_an_acknowledgement_that_ends_is_a_page_again(desk: PagedDesk) -> None:
    desk.judge(bad())
    desk.deliver()
    key = desk.event().id
    desk.lifecycle.acknowledge_event(key, by="ann", now=desk.now, until=desk.now + HOUR)
    desk.deliver()
    desk.now += 2 * HOUR
    desk.lifecycle.sweep(desk.now)
    desk.deliver()

    assert desk.intake.actions == ["trigger", "acknowledge", "trigger"]


def test_a_problem_of_the_system_is_a_page_too(desk: PagedDesk) -> None:
    report = {"run_id": "run", "error": "it broke", "now": desk.now}
    desk.lifecycle.execution_failed("daily_pnl_check", **report)  # type: ignore[arg-type]
    desk.deliver()
    (sent,) = desk.intake.events
    assert EXECUTION_FAILED in sent["payload"]["source"]

    desk.lifecycle.end(EXECUTION_FAILED, "daily_pnl_check", now=desk.now)
    desk.deliver()
    assert desk.intake.actions == ["trigger", "resolve"]


def test_a_wrong_key_is_a_dead_letter_that_names_the_channel_and_not_the_key(
    desk: PagedDesk,
) -> None:
    desk.intake.key = KEY
    desk.intake.receiver.answers = [400]
    desk.judge(bad())
    desk.deliver()
    desk.deliver()

    of_rule = {each.rule: each for each in desk.incidents()}
    letter = of_rule["dead_letter"]
    assert letter.parts["about"] == desk.pager.name
    assert "routing key" in letter.message
    rows = desk.bench.outbox.about(of_rule["max_drawdown"].id)
    assert {row.state for row in rows if row.channel != "chat"} == {DeliveryState.DEAD}
    said = " ".join([letter.message, *desk.chat.subjects, *(row.error or "" for row in rows)])
    assert KEY not in said
    assert "127.0.0.1" not in said
