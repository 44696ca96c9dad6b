"""What a judgement opens, counts and raises, and what it leaves alone."""

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Status, Trend
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.judging.evaluation import Evidence, Outcome
from perf_alerts_tests.incidents.incident_desk import (
    DAILY,
    DAY,
    HOUR,
    MONDAY,
    START,
    IncidentDesk,
    breach,
    event,
    fine,
    judged,
)


@pytest.fixture
def desk() -> IncidentDesk:
    return IncidentDesk()


def test_a_breach_opens_an_incident_and_notifies(desk: IncidentDesk) -> None:
    desk.judge(breach(severity=Severity.CRITICAL))

    incident = desk.only()
    assert (incident.status, incident.severity) == (Status.OPEN, Severity.CRITICAL)
    assert (incident.opened_at, incident.last_seen_at) == (START, START)
    assert (incident.first_as_of, incident.as_of, incident.alert) == (MONDAY, MONDAY, DAILY)
    assert (incident.value, incident.limit, incident.p_year) == (-0.3, -0.2, 0.01)
    assert desk.waiting() == ["mail: opened critical trend/max_drawdown"]
    assert desk.happened() == ["opened", "notified"]


@pytest.mark.parametrize("evidence", [Evidence.WEAK, Evidence.UNRATED])
def test_a_breach_without_evidence_opens_nothing(desk: IncidentDesk, evidence: Evidence) -> None:
    desk.judge(breach(evidence=evidence))

    assert desk.all() == []


@pytest.mark.parametrize("evidence", [Evidence.WEAK, Evidence.UNRATED])
def test_without_the_gate_every_breach_opens(desk: IncidentDesk, evidence: Evidence) -> None:
    desk.set(gate=False)

    desk.judge(breach(evidence=evidence))

    assert desk.waiting() == ["mail: opened warning trend/max_drawdown"]


def test_what_is_only_worth_an_info_opens_nothing(desk: IncidentDesk) -> None:
    desk.judge(breach(severity=Severity.INFO))

    assert desk.all() == []


def test_the_notified_severity_is_the_incidents(desk: IncidentDesk) -> None:
    desk.judge(breach(severity=Severity.CRITICAL, parts={"told_as": "warning"}))

    assert desk.only().severity is Severity.WARNING


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.INSUFFICIENT_DATA, Outcome.NO_DATA])
def test_what_is_no_breach_opens_nothing(desk: IncidentDesk, outcome: Outcome) -> None:
    desk.judge(breach(outcome=outcome, severity=None))

    assert desk.all() == []


def test_a_breach_again_is_counted(desk: IncidentDesk) -> None:
    desk.judge(breach())
    desk.judge_next_day(breach(value=-0.31, message="the drawdown is 31 %"))

    incident = desk.only()
    assert incident.breaches == 2
    assert (incident.opened_at, incident.last_seen_at) == (START, START + DAY)
    assert (incident.first_as_of, incident.as_of) == (MONDAY, MONDAY + DAY)
    assert (incident.value, incident.message) == (-0.31, "the drawdown is 31 %")
    assert desk.waiting() == ["mail: opened warning trend/max_drawdown"]


def test_a_higher_severity_is_notified_at_once(desk: IncidentDesk) -> None:
    desk.judge(breach())
    desk.deliver()

    desk.judge(breach(severity=Severity.CRITICAL))

    incident = desk.only()
    assert (incident.severity, incident.trend) == (Severity.CRITICAL, Trend.MORE_SEVERE)
    assert incident.critical_since == START
    assert desk.waiting() == ["mail: raised critical trend/max_drawdown"]
    assert desk.happened() == ["opened", "notified", "breached", "raised", "notified"]


def test_a_lower_severity_keeps_the_incidents(desk: IncidentDesk) -> None:
    desk.judge(breach(severity=Severity.CRITICAL))
    desk.judge(breach())

    incident = desk.only()
    assert incident.severity is Severity.CRITICAL
    assert (incident.newest_severity, incident.trend) == (Severity.WARNING, Trend.LESS_SEVERE)
    desk.judge(breach())
    assert desk.only().trend is Trend.STEADY


def test_the_same_judgement_twice_changes_nothing(desk: IncidentDesk) -> None:
    desk.judge(breach())
    before = desk.only()

    desk.lifecycle.apply_judgements(DAILY, run_id="run-1", now=desk.now + HOUR)

    assert desk.only() == before
    assert desk.waiting() == ["mail: opened warning trend/max_drawdown"]


def test_what_opened_and_rose_in_one_execution_is_notified_as_opened(desk: IncidentDesk) -> None:
    # After an outage an execution judges several sessions.
    desk.memory.add_judgement(judged(breach()))
    desk.day += DAY
    desk.judge(breach(severity=Severity.CRITICAL))

    assert desk.waiting() == ["mail: opened critical trend/max_drawdown"]


def test_different_rules_strategies_and_projections_are_different_incidents(
    desk: IncidentDesk,
) -> None:
    desk.judge(
        breach(),
        breach(strategy="carry"),
        breach(rule="sharpe_ratio"),
        breach(projection="launch:2026-01-05"),
    )

    assert len(desk.all()) == 4
    assert len({one.id for one in desk.all()}) == 4


def test_the_same_event_on_another_day_is_another_incident(desk: IncidentDesk) -> None:
    desk.judge(event())
    desk.judge_next_day(event(session=MONDAY + DAY))

    assert [one.session for one in desk.all()] == [MONDAY, MONDAY + DAY]


def test_one_execution_is_one_message_worst_first(desk: IncidentDesk) -> None:
    desk.judge(
        breach(strategy="b"),
        breach(strategy="a"),
        breach(strategy="z", severity=Severity.EMERGENCY),
        breach(strategy="c", severity=Severity.CRITICAL),
    )

    assert desk.waiting() == [
        "mail: opened emergency z/max_drawdown, opened critical c/max_drawdown, "
        "opened warning a/max_drawdown, opened warning b/max_drawdown"
    ]


def test_every_channel_gets_its_own_row() -> None:
    desk = IncidentDesk(settings=NotificationSettings(channels=("mail", "chat")))

    desk.judge(breach())

    assert desk.waiting() == [
        "mail: opened warning trend/max_drawdown",
        "chat: opened warning trend/max_drawdown",
    ]
    assert desk.only().notifications == 1


def test_a_channel_for_the_critical_gets_no_warning() -> None:
    settings = NotificationSettings(
        channels=("mail", "pager"), minimum={"pager": Severity.CRITICAL}
    )
    desk = IncidentDesk(settings=settings)

    desk.judge(breach(), breach(strategy="carry", severity=Severity.CRITICAL))

    assert desk.waiting() == [
        "mail: opened critical carry/max_drawdown, opened warning trend/max_drawdown",
        "pager: opened critical carry/max_drawdown",
    ]


def test_a_channel_for_the_critical_is_notified_once_it_becomes_so() -> None:
    settings = NotificationSettings(channels=("pager",), minimum={"pager": Severity.CRITICAL})
    desk = IncidentDesk(settings=settings)

    desk.judge(breach())
    assert desk.waiting() == []
    assert desk.suppressions() == ["no_channel"]
    desk.judge(breach(severity=Severity.CRITICAL))

    assert desk.waiting() == ["pager: raised critical trend/max_drawdown"]


def test_observe_only_opens_and_closes_and_notifies_nobody(desk: IncidentDesk) -> None:
    desk.set(observe_only=True)

    desk.judge(breach(severity=Severity.CRITICAL))
    desk.wait(DAY)
    desk.sweep()
    desk.judge_next_day(fine())

    assert desk.only().status is Status.RESOLVED
    assert desk.memory.rows == {}
    assert set(desk.suppressions()) == {"observe_only"}


def test_what_was_observed_only_is_not_notified_later(desk: IncidentDesk) -> None:
    desk.set(observe_only=True)
    desk.judge(breach())

    desk.set(observe_only=False)
    desk.wait(DAY)
    desk.sweep()

    assert desk.waiting() == []


def test_provisional_rows_open_and_raise(desk: IncidentDesk) -> None:
    desk.judge(breach(), provisional=True)
    assert desk.only().provisional

    desk.judge(breach(severity=Severity.CRITICAL), provisional=True)
    assert desk.only().severity is Severity.CRITICAL

    desk.judge(breach())
    assert not desk.only().provisional


def test_a_judgement_of_a_date_before_the_newest_does_nothing(desk: IncidentDesk) -> None:
    desk.judge(breach(), recorded_only=True)
    assert desk.all() == []

    desk.judge(breach())
    desk.judge(fine(), recorded_only=True)
    assert desk.only().status is Status.OPEN
    assert desk.only().breaches == 1


def test_a_new_breach_after_the_end_is_a_new_incident(desk: IncidentDesk) -> None:
    desk.judge(breach())
    desk.judge_next_day(fine())
    desk.judge_next_day(breach())

    old, new = desk.all()
    assert (old.status, new.status) == (Status.RESOLVED, Status.OPEN)
    assert old.id != new.id
    assert new.breaches == 1
