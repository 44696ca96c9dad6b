"""What people do to incidents: acknowledge, resolve, and what is refused."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Resolution, Status
from perf_alerts_dagster.incidents.notification_settings import (
    EscalationSettings,
    NotificationSettings,
)
from perf_alerts_dagster.incidents.ports import UnknownIncident
from perf_alerts_dagster.incidents.transitions import TransitionRefused
from perf_alerts_tests.incidents.incident_desk import (
    DAY,
    HOUR,
    INSTANT,
    START,
    IncidentDesk,
    breach,
    fine,
)

REOPENED = "mail: reopened critical trend/max_drawdown"


@pytest.fixture
def desk() -> IncidentDesk:
    """A critical incident that was notified."""
    made = IncidentDesk(settings=NotificationSettings(channels=("mail",)))
    made.judge(breach(severity=Severity.CRITICAL))
    made.deliver()
    return made


def resolve(desk: IncidentDesk, outcome: Resolution = Resolution.TRUE) -> None:
    desk.lifecycle.resolve(
        desk.only().id, by="bob", now=desk.now, outcome=outcome, comment="halted"
    )


def test_an_acknowledgement_carries_who_when_why_and_how_long(desk: IncidentDesk) -> None:
    desk.wait(HOUR)
    after = desk.acknowledge(comment="I look at it", until=START + DAY)

    assert after.status is Status.ACKNOWLEDGED
    acknowledgement = after.acknowledged
    assert acknowledgement is not None
    assert (acknowledgement.by, acknowledgement.at, acknowledgement.comment) == (
        "ann",
        START + HOUR,
        "I look at it",
    )
    assert (acknowledgement.until, acknowledgement.value, acknowledgement.limit) == (
        START + DAY,
        -0.3,
        -0.2,
    )
    entry = desk.entries()[-1]
    assert (entry.what, entry.actor) == ("acknowledged", "ann")
    assert entry.detail == {"comment": "I look at it", "until": (START + DAY).isoformat()}


def test_an_answer_to_one_incident_reads_no_snapshot_of_all(desk: IncidentDesk) -> None:
    before = desk.memory.snapshots
    desk.acknowledge()
    resolve(desk)

    assert desk.only().status is Status.RESOLVED
    assert desk.memory.snapshots == before


def test_a_breach_again_is_counted_and_not_notified(desk: IncidentDesk) -> None:
    desk.acknowledge()
    desk.judge_next_day(breach(severity=Severity.CRITICAL))

    assert desk.only().status is Status.ACKNOWLEDGED
    assert desk.only().breaches == 2
    assert desk.waiting() == []


def test_a_higher_severity_reopens(desk: IncidentDesk) -> None:
    desk.acknowledge()
    desk.judge(breach(severity=Severity.EMERGENCY))

    assert desk.only().status is Status.OPEN
    assert desk.only().acknowledged is None
    assert desk.waiting() == ["mail: raised emergency trend/max_drawdown"]


@pytest.mark.parametrize(
    ("value", "status"), [(-0.374999, Status.ACKNOWLEDGED), (-0.375, Status.OPEN)]
)
def test_a_quarter_worse_reopens(desk: IncidentDesk, value: float, status: Status) -> None:
    desk.acknowledge()
    desk.judge(breach(severity=Severity.CRITICAL, value=value))

    assert desk.only().status is status
    assert desk.waiting() == ([REOPENED] if status is Status.OPEN else [])


def test_a_quarter_worse_than_when_it_was_acknowledged_not_than_yesterday(
    desk: IncidentDesk,
) -> None:
    desk.acknowledge()
    for value in (-0.33, -0.36):
        desk.judge(breach(severity=Severity.CRITICAL, value=value))
        assert desk.only().status is Status.ACKNOWLEDGED
    desk.judge(breach(severity=Severity.CRITICAL, value=-0.38))

    assert desk.only().status is Status.OPEN


def test_its_end_reopens_it_on_its_minute(desk: IncidentDesk) -> None:
    desk.acknowledge(until=START + HOUR)

    desk.wait(HOUR - INSTANT)
    desk.sweep()
    assert desk.only().status is Status.ACKNOWLEDGED
    desk.wait(INSTANT)
    desk.sweep()
    assert desk.only().status is Status.OPEN
    assert desk.waiting() == [REOPENED]


def test_a_critical_one_times_out_once(desk: IncidentDesk) -> None:
    desk.acknowledge()
    desk.wait(DAY - INSTANT)
    desk.sweep()
    assert desk.only().status is Status.ACKNOWLEDGED
    desk.wait(INSTANT)
    desk.sweep()
    assert desk.only().status is Status.OPEN
    assert desk.waiting() == [REOPENED]

    desk.deliver()
    desk.acknowledge()
    desk.wait(30 * DAY)
    desk.sweep()
    assert desk.only().status is Status.ACKNOWLEDGED


@pytest.mark.parametrize("hours", [None, 48])
def test_the_timeout_is_the_settings(desk: IncidentDesk, hours: int | None) -> None:
    span = None if hours is None else timedelta(hours=hours)
    desk.set(escalation=EscalationSettings(acknowledgement_timeout=span))
    desk.acknowledge()
    desk.wait(timedelta(hours=47))
    desk.sweep()
    assert desk.only().status is Status.ACKNOWLEDGED
    desk.wait(HOUR)
    desk.sweep()
    assert desk.only().status is (Status.ACKNOWLEDGED if hours is None else Status.OPEN)


def test_a_warning_never_times_out() -> None:
    desk = IncidentDesk()
    desk.judge(breach())
    desk.acknowledge()
    desk.wait(30 * DAY)
    desk.sweep()

    assert desk.only().status is Status.ACKNOWLEDGED


def test_a_recovery_ends_an_acknowledged_one_and_is_notified(desk: IncidentDesk) -> None:
    desk.acknowledge()
    desk.judge(fine())

    assert desk.only().status is Status.RESOLVED
    assert desk.waiting() == ["mail: recovered critical trend/max_drawdown"]


@pytest.mark.parametrize("outcome", [one for one in Resolution if one.is_manual])
def test_a_resolution_says_what_it_was_and_notifies_nobody(
    desk: IncidentDesk, outcome: Resolution
) -> None:
    desk.wait(HOUR)
    resolve(desk, outcome)

    ended = desk.only().resolved
    assert ended is not None
    assert (ended.by, ended.at, ended.outcome) == ("bob", START + HOUR, outcome)
    assert ended.comment == "halted"
    assert desk.waiting() == []
    assert desk.entries()[-1].detail == {"outcome": outcome.value, "comment": "halted"}


@pytest.mark.parametrize("outcome", [one for one in Resolution if not one.is_manual])
def test_a_person_cannot_say_what_only_the_system_may(
    desk: IncidentDesk, outcome: Resolution
) -> None:
    with pytest.raises(UsageError, match="true, false, known or data_error"):
        resolve(desk, outcome)
    assert desk.only().status is Status.OPEN


def test_an_acknowledged_one_may_be_resolved(desk: IncidentDesk) -> None:
    desk.acknowledge()
    resolve(desk)

    assert desk.only().status is Status.RESOLVED


REFUSED: list[tuple[str, Callable[[IncidentDesk], object], Callable[[IncidentDesk], object]]] = [
    ("acknowledged twice", IncidentDesk.acknowledge, IncidentDesk.acknowledge),
    ("acknowledged after its end", resolve, IncidentDesk.acknowledge),
    ("resolved twice", resolve, resolve),
]


@pytest.mark.parametrize(("case", "first", "second"), REFUSED)
def test_what_is_refused_changes_nothing(
    desk: IncidentDesk,
    case: str,
    first: Callable[[IncidentDesk], object],
    second: Callable[[IncidentDesk], object],
) -> None:
    first(desk)
    before = (desk.only(), desk.happened(), desk.waiting(), list(desk.memory.audit))

    with pytest.raises(
        TransitionRefused,
        match=r"(ann|bob) (acknowledged|resolved) it on 2026-01-05 at .* UTC; nothing",
    ):
        second(desk)
    assert (desk.only(), desk.happened(), desk.waiting(), list(desk.memory.audit)) == before, case


def test_an_end_that_is_past_is_refused(desk: IncidentDesk) -> None:
    with pytest.raises(UsageError, match="until: a time after now"):
        desk.acknowledge(until=desk.now)
    assert desk.only().status is Status.OPEN


def test_an_incident_that_is_not_there_is_unknown(desk: IncidentDesk) -> None:
    with pytest.raises(UnknownIncident, match="no incident nope"):
        desk.lifecycle.acknowledge("nope", by="ann", now=desk.now)
    with pytest.raises(UnknownIncident, match="no incident nope"):
        desk.lifecycle.resolve("nope", by="ann", now=desk.now, outcome=Resolution.TRUE)


def test_a_persons_change_is_recorded_with_it(desk: IncidentDesk) -> None:
    change = Change(
        at=desk.now,
        actor="operator:ann",
        key_id="k",
        address="127.0.0.1",
        action="acknowledge",
        target=desk.only().id,
        request_id="r",
    )
    desk.acknowledge(change=change)

    assert desk.memory.audit == [change]


def test_a_note_stands_in_the_timelines_of_what_is_open_of_a_strategy(desk: IncidentDesk) -> None:
    resolve(desk)
    desk.judge_next_day(
        breach(severity=Severity.CRITICAL),
        breach(strategy="carry", severity=Severity.CRITICAL),
    )

    desk.lifecycle.note("trend", "rebaselined", by="ann", now=desk.now, haircut=0.5)

    for incident in desk.all():
        newest = desk.entries(incident)[-1]
        is_noted = (newest.what, newest.actor, newest.detail) == (
            "rebaselined",
            "ann",
            {"haircut": 0.5},
        )
        assert is_noted is (incident.strategy == "trend" and not incident.is_resolved)
    assert len(desk.all()) == 3
