"""The clock of what nobody answers, and the end of an acknowledgement, to the instant."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.apply import sweep_event
from perf_alerts_dagster.incidents.decisions import DecisionBuilder
from perf_alerts_dagster.incidents.model import Acknowledgement, EscalationChain, Incident, Status
from perf_alerts_dagster.incidents.notification_settings import (
    EscalationSettings,
    NotificationSettings,
)
from perf_alerts_dagster.incidents.ports import Snapshot
from perf_alerts_tests.incidents.example_incidents import HOUR, INSTANT, MINUTE, NOON, an_incident

QUARTER = 15 * MINUTE
DAY = 24 * HOUR


def waiting(**changes: Any) -> Incident:
    """A critical one since noon, with a chain of three steps."""
    given: dict[str, Any] = {
        "critical_since": NOON,
        "chain": EscalationChain(delay=QUARTER, steps=3),
    }
    return an_incident(**(given | changes))


def is_step_due(incident: Incident, now: datetime) -> bool:
    """Whether a sweep at that time escalates it."""
    snapshot = Snapshot(incidents=(incident,))
    builder = DecisionBuilder(snapshot, NotificationSettings(), now=now, window="sweep")
    sweep_event(builder, [incident])
    return "escalated" in [one.what for one in builder.decisions().entries]


@pytest.mark.parametrize(
    ("changes", "due"),
    [
        ({}, NOON + QUARTER),
        ({"escalation_step": 1, "escalated_at": NOON + HOUR}, NOON + HOUR + QUARTER),
        ({"escalation_step": 2, "escalated_at": NOON}, NOON + QUARTER),
        # Of an earlier time at which it was critical.
        ({"escalation_step": 2, "escalated_at": NOON - INSTANT}, NOON + QUARTER),
        ({"escalation_step": 2, "escalated_at": NOON - HOUR}, NOON + QUARTER),
        ({"escalation_step": 3, "escalated_at": NOON + HOUR}, None),
        ({"chain": None}, None),
        ({"critical_since": None}, None),
        ({"status": Status.ACKNOWLEDGED}, None),
        ({"status": Status.RESOLVED}, None),
        ({"status": Status.ACKNOWLEDGED, "critical_since": None}, None),
    ],
)
def test_steps_are_a_delay_apart_while_it_is_open(
    changes: dict[str, Any], due: datetime | None
) -> None:
    incident = waiting(**changes)

    assert incident.next_escalation_at == due
    assert not is_step_due(incident, NOON + QUARTER - INSTANT)
    assert is_step_due(incident, due or NOON + DAY) is (due is not None)


@pytest.mark.parametrize(
    ("delay", "chain"),
    [
        (QUARTER, EscalationChain(delay=QUARTER, steps=3)),
        (INSTANT, EscalationChain(delay=INSTANT, steps=3)),
        (0 * MINUTE, None),
        (-MINUTE, None),
    ],
)
def test_without_a_delay_nothing_escalates(delay: timedelta, chain: EscalationChain | None) -> None:
    assert EscalationSettings(delay=delay).chain == chain


def test_people_are_waited_for_as_the_documents_say() -> None:
    assert EscalationSettings() == EscalationSettings(
        delay=QUARTER, acknowledgement_timeout=DAY, steps=3
    )


def held(until: datetime | None = None, **changes: Any) -> Incident:
    """A critical one that Ann looks after since noon."""
    given: dict[str, Any] = {
        "status": Status.ACKNOWLEDGED,
        "acknowledged": Acknowledgement(by="ann", at=NOON, until=until),
    }
    return an_incident(**(given | changes))


@pytest.mark.parametrize(
    ("incident", "after", "over"),
    [
        (held(NOON + HOUR), HOUR, True),
        (held(NOON + HOUR), HOUR - INSTANT, False),
        (held(), DAY, True),
        (held(), DAY - INSTANT, False),
        (held(NOON + 2 * DAY), DAY, True),
        (held(timed_out=True), DAY, False),
        (held(NOON + HOUR, timed_out=True), HOUR, True),
        (held(severity=Severity.WARNING), 9 * DAY, False),
        (held(NOON + HOUR, severity=Severity.WARNING), HOUR, True),
        (held(NOON + HOUR, status=Status.OPEN), HOUR, False),
        (held(NOON + HOUR, status=Status.RESOLVED), HOUR, False),
        (held(acknowledged=None), 9 * DAY, False),
    ],
)
def test_an_acknowledgement_ends_at_its_own_time_or_once_after_a_day(
    incident: Incident, after: timedelta, over: bool
) -> None:
    assert EscalationSettings().is_acknowledgement_over(incident, NOON + after) is over


@pytest.mark.parametrize(
    ("incident", "longest", "out"),
    [
        (held(), HOUR, True),
        (held(), HOUR + INSTANT, False),
        (held(), None, False),
        (held(timed_out=True), HOUR, False),
        (held(severity=Severity.EMERGENCY), HOUR, True),
        (held(severity=Severity.WARNING), HOUR, False),
        (held(acknowledged=None), HOUR, False),
    ],
)
def test_only_a_critical_one_times_out_and_only_for_the_first_time(
    incident: Incident, longest: timedelta | None, out: bool
) -> None:
    settings = EscalationSettings(acknowledgement_timeout=longest)

    assert settings.has_timed_out(incident, NOON + HOUR) is out
