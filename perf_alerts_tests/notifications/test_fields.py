"""What people see of an incident, on its page and on the command line."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from perf_alerts_dagster.incidents.model import Incident, Resolution
from perf_alerts_dagster.incidents.transitions import IncidentEvent, acknowledge, escalate, resolve
from perf_alerts_dagster.notifications.fields import shown_fields
from perf_alerts_dagster.notifications.timeline import Clock
from perf_alerts_tests.incidents.incident_desk import DAY, START, IncidentDesk, breach

CLOCK = Clock(START, ZoneInfo("Europe/Berlin"))


@pytest.fixture
def incident() -> Incident:
    desk = IncidentDesk()
    desk.judge(breach())
    return desk.only()


def test_fields_that_do_not_apply_are_left_out(incident: Incident) -> None:
    assert shown_fields(incident, CLOCK) == {
        "Status": "open",
        "Since": "Mon 5 Jan",
        "Seen": "1 time, last today 19:00 CET for Mon 5 Jan",
        "Value, limit": "-0.30, -0.20",
        "Alert": "daily_pnl_check",
        "Last notified": "-",
    }


def test_an_incident_about_the_system_has_no_session_and_no_value() -> None:
    desk = IncidentDesk()
    desk.lifecycle.report_since("daemon_dead", since=START, now=desk.now)

    fields = shown_fields(desk.only(), CLOCK)
    assert (fields["Since"], fields["Alert"]) == ("today 19:00 CET", "-")
    assert fields["Seen"] == "1 time, last today 19:00 CET"
    assert "Value, limit" not in fields


def test_a_silence_provisional_rows_and_a_group_are_named(incident: Incident) -> None:
    fields = shown_fields(
        replace(
            escalate(incident, now=START),
            muted=True,
            provisional=True,
            parent="abc",
            projection="launch:2026-01-05",
            last_notified_at=START,
        ),
        CLOCK,
    )

    assert fields["Status"] == "open, muted by a silence"
    assert fields["Since"] == "Mon 5 Jan, from provisional rows"
    assert (fields["Part of"], fields["Escalated"]) == ("incident abc", "1 time")
    assert fields["Projection"] == "launch:2026-01-05"
    assert fields["Last notified"] == "today 19:00 CET"


@pytest.mark.parametrize(
    ("outcome", "event", "text"),
    [
        (Resolution.FALSE, IncidentEvent.RESOLVE, "a false alarm: a late dividend"),
        (Resolution.RECOVERED, IncidentEvent.RECOVERED, "back inside its limit: a late dividend"),
    ],
)
def test_who_acknowledged_and_resolved_it_is_named(
    incident: Incident, outcome: Resolution, event: IncidentEvent, text: str
) -> None:
    after = acknowledge(incident, by="link:mailto:7049bab5", at=START, comment="on it")
    after = resolve(after, event, outcome, at=START + DAY, by="bob", comment="a late dividend")

    fields = shown_fields(after, CLOCK)
    assert fields["Acknowledged"] == ("by the link sent to mail today 19:00 CET: on it")
    assert fields["Resolved"] == f"by bob Tue 6 Jan 19:00 CET: {text}"


def test_a_value_has_its_unit_and_one_of_a_rule_that_is_gone_none(incident: Incident) -> None:
    day = replace(incident, rule="daily_exceedance", value=-70.37, limit=None)
    gone = replace(incident, rule="of_a_version_before", value=None, limit=-70.37)

    assert shown_fields(day, CLOCK)["Value, limit"] == "-70.4 sigma, -"
    assert shown_fields(gone, CLOCK)["Value, limit"] == "-, -70.37"
