"""The clock of a critical incident that nobody answers."""

from datetime import timedelta

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Resolution
from perf_alerts_dagster.incidents.notification import DeliveryState
from perf_alerts_dagster.incidents.notification_settings import (
    EscalationSettings,
    NotificationSettings,
)
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

ESCALATED = "boss: escalation escalated critical trend/max_drawdown"


@pytest.fixture
def desk() -> IncidentDesk:
    return IncidentDesk(
        settings=NotificationSettings(channels=("mail",), escalation_channels=("boss",))
    )


def opened(desk: IncidentDesk, severity: Severity = Severity.CRITICAL) -> None:
    desk.judge(breach(severity=severity))
    desk.deliver()


def sweep_at(desk: IncidentDesk, minutes: float) -> list[str]:
    desk.now = START + timedelta(minutes=minutes)
    desk.sweep()
    return desk.deliver()


@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.EMERGENCY])
def test_it_escalates_on_its_minute(desk: IncidentDesk, severity: Severity) -> None:
    opened(desk, severity)

    desk.wait(15 * MINUTE - INSTANT)
    desk.sweep()
    assert desk.waiting() == []
    desk.wait(INSTANT)
    desk.sweep()
    assert desk.waiting() == [f"boss: escalation escalated {severity.value} trend/max_drawdown"]
    assert desk.only().escalation_step == 1


def test_a_warning_never_escalates(desk: IncidentDesk) -> None:
    opened(desk, Severity.WARNING)

    assert sweep_at(desk, 60) == []


def test_there_are_three_steps_a_delay_apart(desk: IncidentDesk) -> None:
    opened(desk)

    assert sweep_at(desk, 15) == [ESCALATED]
    assert sweep_at(desk, 29.9) == []
    assert sweep_at(desk, 30) == [ESCALATED]
    assert sweep_at(desk, 45) == [ESCALATED]
    assert sweep_at(desk, 60) == []
    assert sweep_at(desk, 600) == []
    steps = [one.detail["step"] for one in desk.entries() if one.what == "escalated"]
    assert steps == [1, 2, 3]


def test_what_an_outage_held_up_comes_step_by_step(desk: IncidentDesk) -> None:
    opened(desk)

    assert sweep_at(desk, 120) == [ESCALATED]
    assert sweep_at(desk, 120) == []
    assert sweep_at(desk, 135) == [ESCALATED]


def test_two_sweepers_make_one_step(desk: IncidentDesk) -> None:
    opened(desk)
    desk.wait(15 * MINUTE)
    desk.sweep()
    desk.sweep()

    assert desk.waiting() == [ESCALATED]


def test_without_channels_of_its_own_the_normal_ones_get_one_reminder(desk: IncidentDesk) -> None:
    desk.set(escalation_channels=())
    opened(desk)

    assert sweep_at(desk, 15) == ["mail: escalation escalated critical trend/max_drawdown"]
    assert [sweep_at(desk, minutes) for minutes in (30, 45, 600)] == [[], [], []]


@pytest.mark.parametrize("down", [HOUR, 3 * DAY, -HOUR, -DAY], ids=str)
def test_after_a_downtime_or_a_jump_the_delay_begins_again_and_no_step_is_lost_or_doubled(
    desk: IncidentDesk, down: timedelta
) -> None:
    desk.set(repeat=timedelta(0))
    opened(desk)
    desk.now = START + 5 * MINUTE + down
    up_since = desk.now

    def sweep_after(minutes: float) -> list[str]:
        desk.now = up_since + minutes * MINUTE
        desk.lifecycle.sweep(desk.now, up_since=up_since)
        return desk.deliver()

    found = [sweep_after(minutes) for minutes in (0, 14.9, 15, 15, 29.9, 30, 45, 60, 600)]
    assert found == [[], [], [ESCALATED], [], [], [ESCALATED], [ESCALATED], [], []]


def test_a_short_restart_changes_no_delay(desk: IncidentDesk) -> None:
    opened(desk)
    desk.now = START + 15 * MINUTE
    desk.lifecycle.sweep(desk.now, up_since=START - DAY)

    assert desk.deliver() == [ESCALATED]


def test_an_acknowledgement_stops_it(desk: IncidentDesk) -> None:
    opened(desk)
    desk.wait(15 * MINUTE - INSTANT)
    desk.acknowledge()

    assert sweep_at(desk, 60) == []


def test_an_acknowledgement_withdraws_a_step_that_waits(desk: IncidentDesk) -> None:
    opened(desk)
    desk.wait(15 * MINUTE)
    desk.sweep()
    desk.acknowledge()

    assert desk.deliver() == []
    assert [one.state for one in desk.memory.rows.values()] == [
        DeliveryState.SENT,
        DeliveryState.WITHDRAWN,
    ]


def test_a_resolution_withdraws_a_step_that_waits(desk: IncidentDesk) -> None:
    opened(desk)
    desk.wait(15 * MINUTE)
    desk.sweep()
    desk.lifecycle.resolve(desk.only().id, by="ann", now=desk.now, outcome=Resolution.FALSE)

    assert desk.deliver() == []


def test_a_recovery_stops_it_too(desk: IncidentDesk) -> None:
    opened(desk)
    desk.wait(15 * MINUTE)
    desk.sweep()
    desk.judge(fine())

    assert desk.deliver() == ["mail: recovered critical trend/max_drawdown"]
    assert sweep_at(desk, 60) == []


def test_a_step_that_another_open_incident_needs_is_not_withdrawn(desk: IncidentDesk) -> None:
    desk.judge(
        breach(severity=Severity.CRITICAL), breach(strategy="carry", severity=Severity.CRITICAL)
    )
    desk.deliver()
    desk.wait(15 * MINUTE)
    desk.sweep()
    desk.lifecycle.acknowledge(desk.all()[0].id, by="ann", now=desk.now)

    assert len(desk.deliver()) == 1


def test_the_clock_starts_when_it_becomes_critical(desk: IncidentDesk) -> None:
    opened(desk, Severity.WARNING)
    desk.wait(10 * MINUTE)
    desk.judge(breach(severity=Severity.CRITICAL))
    desk.deliver()

    assert sweep_at(desk, 24.9) == []
    assert sweep_at(desk, 25) == [ESCALATED]


def test_from_critical_to_emergency_the_clock_goes_on(desk: IncidentDesk) -> None:
    opened(desk)
    desk.wait(10 * MINUTE)
    desk.judge(breach(severity=Severity.EMERGENCY))
    desk.deliver()

    assert sweep_at(desk, 15) == ["boss: escalation escalated emergency trend/max_drawdown"]


def test_no_delay_is_no_escalation(desk: IncidentDesk) -> None:
    desk.set(escalation=EscalationSettings(delay=timedelta(0)))
    opened(desk)

    assert sweep_at(desk, 600) == []


def test_a_silence_stops_it_and_its_end_starts_the_clock_anew(desk: IncidentDesk) -> None:
    opened(desk)
    desk.wait(10 * MINUTE)
    desk.silence(20 * MINUTE)

    assert sweep_at(desk, 15) == []
    assert sweep_at(desk, 29.9) == []
    assert desk.suppressions() == ["silenced"]
    assert sweep_at(desk, 30) == ["mail: unmuted critical trend/max_drawdown"]
    assert sweep_at(desk, 44.9) == []
    assert sweep_at(desk, 45) == [ESCALATED]


def test_a_reopened_one_escalates_from_the_first_step(desk: IncidentDesk) -> None:
    opened(desk)
    assert sweep_at(desk, 15) == [ESCALATED]
    desk.acknowledge(until=desk.now + 10 * MINUTE)

    assert sweep_at(desk, 25) == ["mail: reopened critical trend/max_drawdown"]
    assert desk.only().escalation_step == 0
    assert sweep_at(desk, 39.9) == []
    assert sweep_at(desk, 40) == [ESCALATED]
    assert desk.only().escalation_step == 1


def test_it_escalates_though_a_repeat_is_due_as_well(desk: IncidentDesk) -> None:
    opened(desk)

    assert sweep_at(desk, 24 * 60) == ["mail: repeated critical trend/max_drawdown", ESCALATED]


def test_nothing_is_escalated_where_people_only_observe(desk: IncidentDesk) -> None:
    opened(desk)
    desk.set(observe_only=True)

    assert sweep_at(desk, 15) == []


def test_it_escalates_by_the_delay_in_force_when_it_became_critical(desk: IncidentDesk) -> None:
    opened(desk)
    desk.set(escalation=EscalationSettings(delay=DAY))

    assert sweep_at(desk, 15) == [ESCALATED]
