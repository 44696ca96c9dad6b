"""The rows of the outbox: their keys, their order, and every name that a receiver reads."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import (
    Acknowledgement,
    Reason,
    Resolution,
    ResolutionRecord,
    Status,
    Trend,
)
from perf_alerts_dagster.incidents.notification import (
    IncidentNotice,
    MessageKind,
    Notification,
    NotificationItem,
    new_digest,
    new_notification,
    notice_payload,
    notification_key,
    worst_first,
)
from perf_alerts_dagster.judging.evaluation import Kind
from perf_alerts_tests.incidents.example_incidents import HOUR, NOON, TUESDAY, an_incident

LATER = NOON + HOUR


def line(reason: Reason = Reason.OPENED, number: int = 1, **changes: Any) -> IncidentNotice:
    return IncidentNotice(incident=an_incident(**changes), reason=reason, number=number)


FULL: dict[str, object] = {
    "id": "a",
    "reason": "raised",
    "number": 4,
    "dedup_key": "trend|drawdown|launch:2025-01-02",
    "strategy": "trend",
    "rule": "drawdown",
    "alert": "daily",
    "kind": "level",
    "projection": "launch:2025-01-02",
    "status": "resolved",
    "severity": "critical",
    "trend": "more_severe",
    "evidence": "strong",
    "value": -0.3,
    "limit": -0.2,
    "p_year": 0.01,
    "first_as_of": "2026-01-05",
    "as_of": "2026-01-06",
    "opened_at": "2026-01-05T12:00:00+00:00",
    "last_seen_at": "2026-01-05T13:00:00+00:00",
    "breaches": 3,
    "provisional": True,
    "escalation_step": 2,
    "critical_since": None,
    "acknowledged_by": "ann",
    "resolution": "known",
    "resolved_by": "ann",
    "resolved_at": "2026-01-05T13:00:00+00:00",
    "over": True,
    "parent": "b",
    "event": None,
    "run_id": "first",
    "message": "it fell",
    "parts": {"deepest": -0.3},
}


def test_a_message_holds_every_fact_of_an_incident_under_its_name() -> None:
    full = line(
        Reason.RAISED,
        4,
        status=Status.RESOLVED,
        trend=Trend.MORE_SEVERE,
        as_of=TUESDAY,
        last_seen_at=LATER,
        breaches=3,
        escalation_step=2,
        acknowledged=Acknowledgement(by="ann", at=NOON),
        resolved=ResolutionRecord(by="ann", at=LATER, outcome=Resolution.KNOWN),
        parent="b",
    )

    assert notice_payload(full) == FULL


def test_what_is_not_known_of_it_is_null() -> None:
    bare = line(
        kind=Kind.EVENT,
        evidence=None,
        projection=None,
        value=float("nan"),
        limit=None,
        p_year=float("inf"),
        first_as_of=None,
        as_of=None,
        provisional=False,
        parts={},
    )

    assert notice_payload(bare) == FULL | {
        "reason": "opened",
        "number": 1,
        "kind": "event",
        "projection": None,
        "status": "open",
        "trend": "steady",
        "evidence": None,
        "value": None,
        "limit": None,
        "p_year": None,
        "first_as_of": None,
        "as_of": None,
        "last_seen_at": "2026-01-05T12:00:00+00:00",
        "breaches": 1,
        "provisional": False,
        "escalation_step": 0,
        "acknowledged_by": None,
        "resolution": None,
        "resolved_by": None,
        "resolved_at": None,
        "over": False,
        "parent": None,
        "parts": {},
    }


WORST = [
    line(id="emergency", severity=Severity.EMERGENCY),
    line(id="group", strategy="zebra", dedup_key="z"),
    line(id="first member", parent="group", strategy="alpha", dedup_key="1"),
    line(id="same strategy", parent="group", strategy="alpha", dedup_key="2"),
    line(id="second member", parent="group", strategy="beta", dedup_key="0"),
    line(id="warning", severity=Severity.WARNING),
    line(Reason.RECOVERED, id="over", severity=Severity.EMERGENCY),
    line(Reason.RECOVERED, id="over too", severity=Severity.WARNING),
]


def test_the_worst_comes_first_a_group_before_its_members_and_what_is_over_last() -> None:
    for given in (WORST, WORST[::-1], [*WORST[3:], *WORST[:3]]):
        assert worst_first(given) == WORST


def test_a_row_tells_its_lines_worst_first_and_remembers_each() -> None:
    lines = [line(number=2, id="b", severity=Severity.WARNING), line(Reason.RAISED, 3)]
    found = new_notification(MessageKind.ESCALATION, "run:1", "daily", lines, "mail", NOON)

    # What a message is made of.
    assert {name: found.payload[name] for name in ("alert", "at", "incidents")} == {
        "alert": "daily",
        "at": "2026-01-05T12:00:00+00:00",
        "incidents": [notice_payload(lines[1]), notice_payload(lines[0])],
    }
    assert found == Notification(
        key=notification_key(MessageKind.ESCALATION, "run:1", lines, "mail"),
        kind=MessageKind.ESCALATION,
        channel="mail",
        payload=found.payload,
        items=(
            NotificationItem(
                incident_id="a",
                dedup_key="trend|drawdown|launch:2025-01-02",
                severity=Severity.CRITICAL,
                reason=Reason.RAISED,
                number=3,
            ),
            NotificationItem(
                incident_id="b",
                dedup_key="trend|drawdown|launch:2025-01-02",
                severity=Severity.WARNING,
                reason=Reason.OPENED,
                number=2,
            ),
        ),
        created_at=NOON,
        next_at=NOON,
    )


def test_the_digest_of_a_day_is_one_row_for_each_channel() -> None:
    found = new_digest({"as_of": "2026-01-05", "weak": []}, "2026-01-05", "mail", NOON)

    assert found == Notification(
        key=notification_key(MessageKind.DIGEST, "2026-01-05", (), "mail"),
        kind=MessageKind.DIGEST,
        channel="mail",
        payload={
            "as_of": "2026-01-05",
            "weak": [],
            "kind": "digest",
            "at": "2026-01-05T12:00:00+00:00",
        },
        items=(),
        created_at=NOON,
        next_at=NOON,
    )
    later = new_digest({}, "2026-01-05", "mail", LATER)
    assert later.key == found.key
    assert new_digest({}, "2026-01-05", "chat", NOON).key != found.key
    assert new_digest({}, "2026-01-06", "mail", NOON).key != found.key


def test_a_key_is_the_same_for_the_same_messages_in_any_order() -> None:
    lines = [line(number=2), line(id="b", number=1)]
    wanted = hashlib.sha256(b"normal\0run:1\0mail\0a:2\0b:1").hexdigest()

    # Rows that are stored keep their keys: a release that changed them would tell them twice.
    for given in (lines, lines[::-1]):
        assert notification_key(MessageKind.NORMAL, "run:1", given, "mail") == wanted


@pytest.mark.parametrize(
    ("kind", "window", "lines", "channel"),
    [
        (MessageKind.ESCALATION, "run:1", [line()], "mail"),
        (MessageKind.NORMAL, "run:2", [line()], "mail"),
        (MessageKind.NORMAL, "run:1", [line(number=2)], "mail"),
        (MessageKind.NORMAL, "run:1", [line(), line(id="b")], "mail"),
        (MessageKind.NORMAL, "run:1", [line()], "chat"),
    ],
)
def test_another_cause_message_or_channel_is_another_key(
    kind: MessageKind, window: str, lines: list[IncidentNotice], channel: str
) -> None:
    known = notification_key(MessageKind.NORMAL, "run:1", [line()], "mail")

    assert notification_key(kind, window, lines, channel) != known
    notified_otherwise = [replace(line(), reason=Reason.RAISED)]
    assert notification_key(MessageKind.NORMAL, "run:1", notified_otherwise, "mail") == known
