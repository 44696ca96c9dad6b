"""Timelines and answers in words: no raw numbers, no digests of channels, no ids of runs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import (
    Acknowledgement,
    Incident,
    Reason,
    Resolution,
    ResolutionRecord,
)
from perf_alerts_dagster.incidents.ports import TimelineEntry
from perf_alerts_dagster.incidents.suppression import SuppressionReason
from perf_alerts_dagster.notifications.timeline import (
    Clock,
    answers_of,
    channel_words,
    entry_words,
    person,
)
from perf_alerts_tests.incidents.incident_desk import IncidentDesk, breach, event

NOW = datetime(2026, 1, 5, 20, 0, tzinfo=UTC)
CLOCK = Clock(NOW, ZoneInfo("Europe/Berlin"))


def entry(what: str, **detail: Any) -> TimelineEntry:
    return TimelineEntry(incident_id="i", at=NOW, what=what, detail=detail)


BREACHED = {
    "severity": "critical",
    "as_of": "2026-01-05",
    "alert": "daily_pnl_check",
    "run_id": "8b462620-81ec-4a82-a40d-48980982b254",
    "value": -35.586688809006716,
    "limit": -11.05,
    "provisional": False,
    "restated": False,
}


@pytest.mark.parametrize(
    ("what", "detail", "said"),
    [
        ("opened", BREACHED, "opened as critical for Mon 5 Jan"),
        ("breached", BREACHED, "seen again as critical for Mon 5 Jan"),
        (
            "breached",
            BREACHED | {"as_of": "2025-12-31", "provisional": True, "restated": True},
            "seen again as critical for 31 Dec 2025, from provisional rows, "
            "from rows that were restated",
        ),
        ("opened", {"severity": "critical", "as_of": None}, "opened as critical"),
        ("raised", {"severity": "emergency"}, "now emergency"),
        ("reopened", {"why": "worse by a quarter"}, "open again: worse by a quarter"),
        ("kept", {"why": "its members changed"}, "stays open: its members changed"),
        ("grouped", {"parent": "0" * 24}, "part of the incident of its group"),
        ("unmuted", {}, "its silence has ended"),
        ("escalated", {"step": 2}, "escalated, step 2"),
        (
            "notified",
            {"reason": "opened", "number": 1, "channels": ["mailto:7049bab5", "mailto:0049bab5"]},
            "mail notified: it is open",
        ),
        (
            "notified",
            {"reason": "new_reason", "channels": ["json:7049bab5", "webhook:a.example:7049bab5"]},
            "json, webhook a.example notified: new_reason",
        ),
        (
            "suppressed",
            {"why": "silenced", "reason": "escalated", "channels": ["mail"]},
            "mail not notified (nobody has answered): a silence mutes it",
        ),
        (
            "suppressed",
            {"why": "an_older_one", "reason": "opened", "channels": []},
            "nobody notified (it is open): an older one",
        ),
        ("acknowledged", {"comment": "", "until": None}, "acknowledged"),
        ("acknowledged", {"why": "carry caused it"}, "acknowledged: carry caused it"),
        (
            "acknowledged",
            {"comment": "on it", "until": "2026-01-05T22:00:00+00:00"},
            "acknowledged until today 23:00 CET: on it",
        ),
        (
            "resolved",
            {"outcome": "false", "comment": "a price"},
            "resolved: a false alarm: a price",
        ),
        ("resolved", {"outcome": "recovered"}, "resolved: back inside its limit"),
        ("resolved", {"outcome": "of_later"}, "resolved: of_later"),
        (
            "baseline",
            {"since": "2026-01-05", "haircut": 0.4, "reason": "gap"},
            "held against a new baseline from Mon 5 Jan on, the backtest's mean lowered by 40.0 %: "
            "gap",
        ),
        ("baseline", {}, "held against a new baseline"),
        ("renamed", {"why": "continued as ALL:USD"}, "renamed: continued as ALL:USD"),
        ("of_a_later_version", {}, "of a later version"),
    ],
)
def test_an_entry_says_what_happened(what: str, detail: dict[str, Any], said: str) -> None:
    assert entry_words(entry(what, **detail), CLOCK) == said


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("why", list(SuppressionReason))
def test_every_reason_has_words(reason: Reason, why: SuppressionReason) -> None:
    told = entry("suppressed", why=why.value, reason=reason.value, channels=["mail"])
    said = entry_words(told, CLOCK)

    assert "_" not in said.replace("ALERT_OBSERVE_ONLY", "")
    assert said.startswith("mail not notified (")


@pytest.mark.parametrize("outcome", list(Resolution))
def test_every_outcome_has_words(outcome: Resolution) -> None:
    said = entry_words(entry("resolved", outcome=outcome.value), CLOCK)

    assert said.removeprefix("resolved: ").split() != [outcome.value]


def test_all_that_a_life_enters_is_said_in_words() -> None:
    desk = IncidentDesk()
    desk.judge(breach(severity=Severity.CRITICAL), event())
    desk.deliver()
    silence = desk.silence(timedelta(minutes=30))
    desk.wait(timedelta(minutes=20))
    desk.sweep()
    desk.wait(timedelta(minutes=20))
    assert silence.ends_at < desk.now
    desk.sweep()
    desk.acknowledge(comment="seen")
    desk.judge_next_day(breach(severity=Severity.EMERGENCY, value=-0.6))
    said = [entry_words(one, CLOCK) for one in desk.memory.entries]

    assert len(said) > 5
    for sentence in said:
        assert "_" not in sentence
        assert "{" not in sentence
        assert "-0." not in sentence


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mailto:7049bab5", "mail"),
        ("mailtos:7049bab5", "mail"),
        ("webhook:hook.example.com:7049bab5", "webhook hook.example.com"),
        ("slack:7049bab5", "slack"),
        ("mail", "mail"),
    ],
)
def test_a_channel_is_named_without_its_digest(name: str, words: str) -> None:
    assert channel_words(name) == words
    assert person(f"link:{name}") == f"the link sent to {words}"


def incident() -> Incident:
    desk = IncidentDesk()
    desk.judge(breach())
    return desk.only()


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        (
            {"acknowledged": Acknowledgement(by="operator:oncall", at=NOW - HOUR)},
            ["acknowledged by operator:oncall today 20:00 CET"],
        ),
        (
            {
                "acknowledged": Acknowledgement(
                    by="link:mailto:7049bab5", at=NOW, until=NOW + 2 * HOUR
                )
            },
            ["held by the link sent to mail until today 23:00 CET, since today 21:00 CET"],
        ),
        (
            {"acknowledged": Acknowledgement(by="ann", at=NOW, until=NOW + HOUR, comment="on it")},
            ["held by ann until today 22:00 CET, since today 21:00 CET: on it"],
        ),
        (
            {"resolved": ResolutionRecord(by="ann", at=NOW, outcome=Resolution.DATA_ERROR)},
            ["resolved by ann today 21:00 CET: wrong data"],
        ),
        (
            {
                "resolved": ResolutionRecord(
                    by="ann", at=NOW, outcome=Resolution.TRUE, comment="a crash"
                )
            },
            ["resolved by ann today 21:00 CET: a true alarm: a crash"],
        ),
        (
            {"resolved": ResolutionRecord(by="system", at=NOW, outcome=Resolution.RESTATED)},
            ["resolved today 21:00 CET: its data were restated"],
        ),
    ],
)
def test_an_answer_says_who_and_until_when(changes: dict[str, Any], said: list[str]) -> None:
    one = replace(incident(), **changes)

    assert answers_of([one, one], CLOCK) == said


def test_times_are_of_the_desk() -> None:
    assert CLOCK.local(NOW) == "today 21:00 CET"
    assert CLOCK.ago(NOW - 2 * HOUR) == "2 h ago"
    assert CLOCK.day(NOW.date()) == "Mon 5 Jan"
