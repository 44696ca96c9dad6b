"""What people see of an incident, on its page and on the command line."""

from dataclasses import replace

import pytest

from perf_alerts_dagster.incidents.model import Incident, Resolution
from perf_alerts_dagster.incidents.transitions import IncidentEvent, acknowledge, escalate, resolve
from perf_alerts_dagster.notifications.fields import shown_fields
from perf_alerts_tests.incidents.incident_desk import DAY, START, IncidentDesk, breach


@pytest.fixture
def incident() -> Incident:
    desk = IncidentDesk()
    desk.judge(breach())
    return desk.only()


def test_fields_that_do_not_apply_are_left_out(incident: Incident) -> None:
    assert shown_fields(incident) == {
        "Status": "open",
        "Since": "2026-01-05",
        "Seen": "1 times, last 2026-01-05T18:00:00Z for 2026-01-05",
        "Value, limit": "-0.3, -0.2",
        "Alert": "daily_pnl_check",
        "Last notified": "-",
    }


def test_an_incident_about_the_system_has_no_session_and_no_value() -> None:
    desk = IncidentDesk()
    desk.lifecycle.report_since("daemon_dead", since=START, now=desk.now)

    fields = shown_fields(desk.only())
    assert (fields["Since"], fields["Alert"]) == ("2026-01-05T18:00:00Z", "-")
    assert fields["Seen"] == "1 times, last 2026-01-05T18:00:00Z"
    assert fields["Value, limit"] == "-, -"


def test_a_silence_provisional_rows_and_a_group_are_named(incident: Incident) -> None:
    fields = shown_fields(
        replace(
            escalate(incident, now=START),
            muted=True,
            provisional=True,
            parent="abc",
            projection="launch:2026-01-05",
            last_notified_at=START,
        )
    )

    assert fields["Status"] == "open, muted by a silence"
    assert fields["Since"] == "2026-01-05, from provisional rows"
    assert (fields["Part of"], fields["Escalated"]) == ("incident abc", "1 times")
    assert fields["Projection"] == "launch:2026-01-05"
    assert fields["Last notified"] == "2026-01-05T18:00:00Z"


@pytest.mark.parametrize(
    ("outcome", "event", "text"),
    [
        (Resolution.FALSE, IncidentEvent.RESOLVE, "a false alarm a late dividend"),
        (Resolution.RECOVERED, IncidentEvent.RECOVERED, "recovered a late dividend"),
    ],
)
def test_who_acknowledged_and_resolved_it_is_named(
    incident: Incident, outcome: Resolution, event: IncidentEvent, text: str
) -> None:
    after = acknowledge(incident, by="ann", at=START)
    after = resolve(after, event, outcome, at=START + DAY, by="bob", comment="a late dividend")

    fields = shown_fields(after)
    assert fields["Acknowledged"] == "by ann at 2026-01-05T18:00:00Z"
    assert fields["Resolved"] == f"by bob at 2026-01-06T18:00:00Z: {text}"
