"""What messages say: what happened, by how much, how sure, since when, and where to look."""

from dataclasses import replace
from typing import Any

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.notification import Notification
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.notifications.messages import (
    LISTED,
    SHOWN,
    Message,
    UnreadableNotification,
    message_of,
)
from perf_alerts_dagster.notifications.messages import test_message as make_test
from perf_alerts_dagster.notifications.text import Wording
from perf_alerts_tests.incidents.incident_desk import (
    DAILY,
    DAY,
    MINUTE,
    START,
    IncidentDesk,
    breach,
    event,
    fine,
)

URL = "https://alerts.example"


@pytest.fixture
def desk() -> IncidentDesk:
    return IncidentDesk(settings=NotificationSettings(channels=("mail",)))


def newest(desk: IncidentDesk, url: str | None = URL) -> Message:
    return message_of(list(desk.memory.rows.values())[-1], wording=Wording(public_url=url))


def test_a_breach_says_everything_that_a_person_needs(desk: IncidentDesk) -> None:
    found = breach(
        severity=Severity.CRITICAL,
        value=-0.25,
        limit=-0.2,
        p_year=0.0125,
        false_alarm_rate=0.05,
        power=0.61,
        projection="launch:2025-01-02",
        message="the drawdown of trend is 25 %, beyond 20 %",
    )
    desk.judge(found)
    desk.deliver()
    desk.judge_next_day(found)
    desk.judge(breach(severity=Severity.EMERGENCY, projection="launch:2025-01-02"))
    message = newest(desk)

    assert message.subject == "[EMERGENCY] trend: max drawdown (now worse): the drawdown is 30 %"
    desk.sweep()
    first = message_of(next(iter(desk.memory.rows.values())), wording=Wording(public_url=URL))
    assert first.text.splitlines() == [
        "[CRITICAL] trend: max drawdown",
        "the drawdown of trend is 25 %, beyond 20 %",
        "Measured -0.25, limit -0.2 (25% of the limit away from it).",
        "How sure: 1.25 % of healthy years show this; false alarms of this rule: 5 % a year; "
        "power: it sees 61 % of real faults within 126 sessions.",
        "Since session 2026-01-05; judged by the projection launch:2025-01-02.",
        "Look at: the incident's band and live path, positions and costs of these sessions, and "
        "whether other strategies fell at the same time.",
        f"{URL}/incidents/{desk.only().id}",
    ]
    assert "seen 3 times" in message.text


def test_a_breach_says_why_in_one_line_that_prints(desk: IncidentDesk) -> None:
    line = "<b>ES</b>\x1b[2J\u202e -4.1 % that day; " + "x" * 10_000
    desk.judge(breach(parts={"explained": {"line": line}}), breach(strategy="other", parts={}))

    blocks = newest(desk).text.split("\n\n")

    (why,) = [each for each in blocks[1].splitlines() if each.startswith("Why: ")]
    assert why.startswith("Why: <b>ES</b> [2J -4.1 % that day; xxx")
    assert why.isprintable()
    assert len(why) == len("Why: .") + 120
    assert "Why: " not in blocks[0]


@pytest.mark.parametrize("parts", [{"explained": None}, {"explained": {}}, {"explained": "x"}])
def test_an_explanation_that_is_none_is_not_said(desk: IncidentDesk, parts: dict[str, Any]) -> None:
    desk.judge(breach(parts=parts))

    assert "Why" not in newest(desk).text


def test_several_are_counted_in_the_subject_worst_first(desk: IncidentDesk) -> None:
    desk.judge(
        breach(strategy="a"),
        breach(strategy="b", severity=Severity.CRITICAL),
        breach(strategy="c"),
    )
    message = newest(desk)

    assert message.subject == "[CRITICAL] 1 critical, 2 warning; first b: max drawdown"
    places = [message.text.index(f"] {name}: max drawdown") for name in "bac"]
    assert places == sorted(places)
    assert message.text.count(f"{URL}/incidents/") == 3
    found = message.payload["incidents"]
    assert isinstance(found, list)
    assert len(found) == 3


def test_a_long_list_is_cut_and_counted(desk: IncidentDesk) -> None:
    desk.judge(*(breach(strategy=f"s{n:03}") for n in range(SHOWN + 5)))
    message = newest(desk)

    assert message.text.endswith(f"and 5 more: {URL}/incidents")
    incidents = message.payload["incidents"]
    assert isinstance(incidents, list)
    assert len(incidents) == message.payload["total"] == SHOWN + 5


@pytest.mark.parametrize("more", [0, 1])
def test_a_list_that_is_as_long_as_what_is_shown_is_whole(desk: IncidentDesk, more: int) -> None:
    desk.judge(*(breach(strategy=f"s{n:03}") for n in range(SHOWN + more)))
    text = newest(desk).text

    assert text.count("[WARNING] ") == SHOWN
    assert ("more:" in text) is bool(more)
    assert text.endswith(f"and 1 more: {URL}/incidents") is bool(more)


def test_a_program_gets_the_worst_of_very_many_and_their_number(desk: IncidentDesk) -> None:
    many = [breach(strategy=f"s{n:03}", severity=Severity.WARNING) for n in range(LISTED)]
    desk.judge(*many, breach(strategy="worst", severity=Severity.EMERGENCY))
    payload = newest(desk).payload

    incidents = payload["incidents"]
    assert isinstance(incidents, list)
    assert (len(incidents), payload["total"]) == (LISTED, LISTED + 1)
    assert isinstance(incidents[0], dict)
    assert incidents[0]["strategy"] == "worst"


def test_members_are_listed_under_their_group(desk: IncidentDesk) -> None:
    group = event(
        strategy="ALL",
        rule="joint_exceedances",
        severity=Severity.CRITICAL,
        parts={"members": ["trend", "carry"]},
    )
    desk.judge(event(), event(strategy="carry"), breach(strategy="other"), group)
    lines = [line for line in newest(desk).text.splitlines() if line.lstrip().startswith("[")]

    assert lines == [
        "[CRITICAL] ALL: joint exceedances",
        "    [WARNING] carry: daily exceedance",
        "    [WARNING] trend: daily exceedance",
        "[WARNING] other: max drawdown",
    ]


def test_a_recovery_says_that_it_is_over(desk: IncidentDesk) -> None:
    desk.judge(breach())
    desk.deliver()
    desk.judge_next_day(fine())
    message = newest(desk)

    assert message.subject == "[RECOVERED] trend: max drawdown -0.3; over after 40 s"
    assert "It is back inside its limit." in message.text
    assert "Look at" not in message.text


def test_an_escalation_says_that_nobody_answered(desk: IncidentDesk) -> None:
    desk.judge(breach(severity=Severity.CRITICAL))
    desk.deliver()
    desk.wait(15 * MINUTE)
    desk.sweep()

    assert newest(desk).subject == (
        "[CRITICAL] not answered for 15 min: trend: max drawdown -0.3"
    )


def test_a_fault_of_the_system_names_what_failed_and_what_to_look_at(desk: IncidentDesk) -> None:
    desk.lifecycle.execution_failed(DAILY, run_id="r", error="the source is away", now=START)
    message = newest(desk, None)

    assert message.subject == f"[CRITICAL] {DAILY}: an alert's execution failed"
    assert "the source is away" in message.text
    assert "Look at: the run's log in the web UI" in message.text
    assert "http" not in message.text


def test_an_infinite_number_is_no_number_in_the_payload(desk: IncidentDesk) -> None:
    desk.judge(breach(value=float("inf"), limit=float("nan")))
    found = newest(desk).payload["incidents"]

    assert isinstance(found, list)
    assert isinstance(found[0], dict)
    assert (found[0]["value"], found[0]["limit"]) == (None, None)


@pytest.mark.parametrize(
    "name",
    ["\u202egpj.exe", "a\nSubject: b", "a\x00b\x1b[31m", "\u2028\u2029", "x" * 1000],
)
def test_a_hostile_name_stays_one_short_printable_line(desk: IncidentDesk, name: str) -> None:
    desk.judge(breach(strategy=name, message=name * 10 + "\ud800"))
    message = newest(desk)

    assert message.subject.isprintable()
    assert len(message.subject) <= 150
    assert all(line.isprintable() for line in message.text.split("\n"))
    message.text.encode()


@pytest.mark.parametrize(
    "payload",
    [{}, {"incidents": []}, {"incidents": [{}], "alert": "a", "at": "b"}, {"incidents": "x"}],
)
def test_a_row_that_is_none_of_ours_is_unreadable(payload: dict[str, object]) -> None:
    row = Notification(
        key="k",
        kind="normal",  # type: ignore[arg-type]
        channel="mail",
        payload=payload,  # type: ignore[arg-type]
        items=(),
        created_at=START,
        next_at=START + DAY,
    )
    with pytest.raises(UnreadableNotification):
        message_of(row, wording=Wording(public_url=URL))


def test_a_row_about_no_incident_is_unreadable(desk: IncidentDesk) -> None:
    desk.judge(breach())
    (row,) = desk.memory.rows.values()

    with pytest.raises(UnreadableNotification, match="no incident"):
        message_of(
            replace(row, payload={**row.payload, "incidents": []}), wording=Wording(public_url=URL)
        )


@pytest.mark.parametrize("url", [None, URL])
def test_a_test_message_says_that_nothing_has_happened(url: str | None) -> None:
    message = make_test(START, public_url=url)

    assert message.subject.startswith("[TEST]")
    assert "Nothing has happened" in message.text
    assert message.text.endswith(f"\n{URL}") is (url is not None)


def test_what_is_over_is_counted_beside_what_goes_on(desk: IncidentDesk) -> None:
    desk.judge(breach(strategy="a"))
    desk.deliver()
    desk.judge_next_day(breach(strategy="b"), fine(strategy="a"))

    assert newest(desk).subject == "[WARNING] 1 warning, 1 recovered; first b: max drawdown"


@pytest.mark.parametrize(
    ("value", "limit", "said"),
    [
        (-0.25, None, "Measured -0.25."),
        (-0.25, 0.0, "Measured -0.25, limit 0."),
    ],
)
def test_a_value_is_set_against_its_limit_where_it_has_one(
    desk: IncidentDesk, value: float, limit: float | None, said: str
) -> None:
    desk.judge(breach(value=value, limit=limit))

    assert said in newest(desk).text.splitlines()


def test_a_message_from_provisional_rows_says_so(desk: IncidentDesk) -> None:
    desk.judge(breach(provisional=True), provisional=True)

    assert "; from provisional rows." in newest(desk).text
