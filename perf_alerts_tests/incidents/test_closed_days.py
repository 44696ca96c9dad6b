"""A level does not escalate on a day on which its number cannot change."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings, can_change
from perf_alerts_dagster.judging.evaluation import Kind
from perf_alerts_tests.incidents.example_incidents import an_incident
from perf_alerts_tests.incidents.incident_desk import (
    DAY,
    HOUR,
    MINUTE,
    IncidentDesk,
    breach,
    event,
)

THURSDAY, FRIDAY, SATURDAY, SUNDAY, MONDAY = (date(2026, 1, 8 + day) for day in range(5))


def asked(today: date, *calendars: str, **changes: Any) -> bool:
    given = {"strategy": "trend", "kind": Kind.LEVEL, "as_of": FRIDAY, "provisional": False}
    return can_change(an_incident(**(given | changes)), today, calendars)


@pytest.mark.parametrize(
    ("today", "as_of", "expected"),
    [
        (THURSDAY, THURSDAY, True),
        # Friday noon, before Friday's row; then at night, after it.
        (FRIDAY, THURSDAY, True),
        (FRIDAY, FRIDAY, False),
        (SATURDAY, FRIDAY, False),
        (SUNDAY, FRIDAY, False),
        (MONDAY, FRIDAY, True),
    ],
)
def test_on_weekdays_it_stands_from_fridays_row_to_monday(
    today: date, as_of: date, expected: bool
) -> None:
    assert asked(today, "weekdays", as_of=as_of) is expected


def test_a_provisional_row_still_changes_it() -> None:
    assert asked(FRIDAY, "weekdays", provisional=True)


def test_a_holiday_is_a_closed_day() -> None:
    assert not asked(date(2026, 1, 19), "XNYS")  # Martin Luther King's
    assert asked(date(2026, 1, 19), "XLON")


@pytest.mark.parametrize("calendars", [("24/7",), ("weekdays", "24/7"), ()])
def test_any_day_changes_a_coin_a_group_with_one_and_what_is_not_known(
    calendars: tuple[str, ...],
) -> None:
    assert asked(SATURDAY, *calendars)


@pytest.mark.parametrize("calendar", ["weekly", "monthly"])
def test_a_rare_row_is_no_reason_to_wait_for_weeks(calendar: str) -> None:
    assert asked(THURSDAY, calendar)
    assert not asked(SATURDAY, calendar)


def test_events_and_the_system_are_not_asked() -> None:
    assert asked(SATURDAY, "weekdays", kind=Kind.EVENT)
    assert asked(SATURDAY, "weekdays", strategy="")


def friday_night(kind: str) -> IncidentDesk:
    settings = NotificationSettings(
        channels=("mail",),
        escalation_channels=("boss",),
        repeat=timedelta(0),
        can_change=lambda incident, now: can_change(incident, now.date(), ["weekdays"]),
    )
    desk = IncidentDesk(settings=settings, day=FRIDAY)
    desk.now = datetime(2026, 1, 9, 22, tzinfo=desk.now.tzinfo)
    make = breach if kind == "level" else event
    desk.judge(make(severity=Severity.CRITICAL, **({} if kind == "level" else {"session": FRIDAY})))
    desk.deliver()
    return desk


def swept(desk: IncidentDesk, span: timedelta) -> list[str]:
    desk.wait(span)
    desk.sweep()
    return desk.deliver()


def test_a_level_of_friday_night_escalates_on_monday_and_loses_no_step() -> None:
    desk = friday_night("level")

    assert swept(desk, 15 * MINUTE) == []
    assert swept(desk, DAY) == []
    assert swept(desk, DAY) == []
    assert swept(desk, 2 * HOUR) == ["boss: escalation escalated critical trend/max_drawdown"]
    assert swept(desk, 15 * MINUTE) == ["boss: escalation escalated critical trend/max_drawdown"]


def test_an_event_of_friday_night_escalates_as_ever() -> None:
    desk = friday_night("event")

    assert swept(desk, 15 * MINUTE) == [
        "boss: escalation escalated critical trend/daily_exceedance"
    ]
