"""What ends incidents by itself: recovery with a margin, restated data, age; and what does not."""

import math
from dataclasses import replace
from typing import Any

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Resolution, Status
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.transitions import has_no_cause_left, is_recovered, is_worse
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.notifications.messages import message_of
from perf_alerts_dagster.notifications.text import Wording
from perf_alerts_tests.incidents.incident_desk import (
    DAY,
    MONDAY,
    IncidentDesk,
    breach,
    event,
    fine,
    judged,
)

RECOVERED = "mail: recovered warning trend/max_drawdown"


@pytest.fixture
def desk() -> IncidentDesk:
    """A drawdown of 30 % where 20 % is the limit, which was notified."""
    made = IncidentDesk()
    made.judge(breach())
    made.deliver()
    return made


def ended(desk: IncidentDesk) -> Resolution | None:
    resolved = desk.all()[0].resolved
    return resolved.outcome if resolved else None


@pytest.mark.parametrize(
    ("value", "ends"),
    [(-0.18, True), (-0.1800001, False), (-0.19, False), (0.0, True)],
)
def test_a_level_is_back_a_tenth_of_the_limit_inside(
    desk: IncidentDesk, value: float, ends: bool
) -> None:
    desk.judge_next_day(fine(value=value))

    assert ended(desk) is (Resolution.RECOVERED if ends else None)
    assert desk.waiting() == ([RECOVERED] if ends else [])


def test_the_margin_holds_for_limits_that_values_must_exceed() -> None:
    desk = IncidentDesk()
    desk.judge(breach(rule="sharpe_ratio", value=0.4, limit=0.8))
    desk.judge_next_day(fine(rule="sharpe_ratio", value=0.87, limit=0.8))
    assert desk.only().status is Status.OPEN
    desk.judge_next_day(fine(rule="sharpe_ratio", value=0.88, limit=0.8))
    assert ended(desk) is Resolution.RECOVERED


@pytest.mark.parametrize(("p_year", "ends"), [(0.1, False), (0.1000001, True)])
def test_a_level_is_back_above_twice_the_budget(
    desk: IncidentDesk, p_year: float, ends: bool
) -> None:
    weak = breach(evidence=Evidence.WEAK, value=-0.22, p_year=p_year)
    desk.judge_next_day(weak)

    assert ended(desk) is (Resolution.RECOVERED if ends else None)


@pytest.mark.parametrize(
    ("opened_at", "level", "p_year", "ends"),
    [
        # A desk that has grown: what was strong at .05 is not over at .03.
        (0.05, 0.01, 0.03, False),
        (0.05, 0.01, 0.1, False),
        (0.05, 0.01, 0.1001, True),
        # A desk that has shrunk: the larger level of now counts.
        (0.01, 0.04, 0.07, False),
        (0.01, 0.04, 0.0801, True),
        # The version before kept none, and its `p_year` was another one.
        (None, 0.01, 0.1001, False),
        (None, 0.01, 1.0, False),
        # Where neither has one, the rule's bound of .05 counts.
        (None, None, 0.1, False),
        (None, None, 0.1001, True),
    ],
)
def test_a_budget_that_became_smaller_ends_no_incident_by_itself(
    opened_at: float | None, level: float | None, p_year: float, ends: bool
) -> None:
    def levels(warning: float | None) -> dict[str, Any]:
        return {} if warning is None else {"levels": {"warning": warning, "critical": 0.001}}

    desk = IncidentDesk()
    desk.judge(breach(p_year=0.004, parts=levels(opened_at)))
    weak = breach(evidence=Evidence.WEAK, value=-0.22, p_year=p_year, parts=levels(level))
    desk.judge_next_day(weak)

    assert ended(desk) is (Resolution.RECOVERED if ends else None)


def test_a_weak_breach_is_neither_counted_nor_a_recovery(desk: IncidentDesk) -> None:
    desk.judge_next_day(breach(evidence=Evidence.WEAK, p_year=0.07))

    assert desk.only().status is Status.OPEN
    assert desk.only().breaches == 1


def test_a_path_that_is_above_its_band_is_not_below_it_any_more(desk: IncidentDesk) -> None:
    above = breach(severity=Severity.INFO, value=0.3, limit=0.2, p_year=0.0001)
    desk.judge(above)
    assert ended(desk) is None

    desk.judge(replace(above, parts={"above": True}))
    assert ended(desk) is Resolution.RECOVERED


def test_a_recovery_is_notified_once(desk: IncidentDesk) -> None:
    desk.judge_next_day(fine())
    desk.judge_next_day(fine())
    desk.sweep()

    assert desk.deliver() == [RECOVERED]
    assert desk.happened().count("resolved") == 1


@pytest.mark.parametrize("outcome", [Outcome.NO_DATA, Outcome.INSUFFICIENT_DATA, Outcome.ERROR])
def test_what_could_not_be_measured_resolves_nothing(desk: IncidentDesk, outcome: Outcome) -> None:
    desk.judge_next_day(fine(outcome=outcome, value=None, limit=None))

    assert desk.all()[0].status is Status.OPEN


def test_a_provisional_row_resolves_nothing(desk: IncidentDesk) -> None:
    desk.judge_next_day(fine(), provisional=True)
    assert desk.only().status is Status.OPEN

    desk.judge(fine(provisional=True))
    assert desk.only().status is Status.OPEN

    desk.judge(fine())
    assert desk.only().status is Status.RESOLVED


def test_a_final_row_resolves_what_a_provisional_one_opened() -> None:
    desk = IncidentDesk()
    desk.judge(breach(), provisional=True)
    desk.judge(fine())

    assert ended(desk) is Resolution.RECOVERED


def test_silence_about_a_rule_resolves_nothing(desk: IncidentDesk) -> None:
    desk.judge_next_day(fine(rule="sharpe_ratio"), fine(strategy="carry"))

    assert desk.only().status is Status.OPEN


def test_a_new_projection_resolves_nothing() -> None:
    desk = IncidentDesk()
    desk.judge(breach(projection="launch:2025-01-02"))
    desk.judge_next_day(fine(projection="launch:2026-01-05"))

    assert desk.only().status is Status.OPEN


def test_another_limit_never_rewrites_what_was_judged(desk: IncidentDesk) -> None:
    before = desk.entries()[0].detail
    desk.judge_next_day(fine(value=-0.3, limit=-0.5), settings_version="v2")

    # Inside the new limit by far: over from now on, and still what it was by the old one.
    assert ended(desk) is Resolution.RECOVERED
    assert desk.entries()[0].detail == before
    assert before["limit"] == -0.2


def test_an_older_date_ends_nothing_that_a_later_one_notified(desk: IncidentDesk) -> None:
    desk.judge_next_day(breach())
    desk.judge(fine(), as_of=MONDAY)

    assert desk.only().status is Status.OPEN


def test_an_older_date_that_is_restated_opens_no_level() -> None:
    desk = IncidentDesk()
    desk.memory.add_judgement(judged(breach(), restated=True))
    desk.day += DAY
    desk.judge(fine())

    assert desk.all() == []


def test_an_older_date_that_is_restated_opens_its_event() -> None:
    desk = IncidentDesk()
    desk.memory.add_judgement(judged(event(), restated=True))
    desk.day += DAY
    desk.judge(fine())

    assert desk.only().session == MONDAY


def test_what_restated_rows_open_or_confirm_says_so() -> None:
    desk = IncidentDesk()
    desk.judge(breach())
    desk.judge(breach(value=-0.31), restated=True)

    assert [one.detail.get("restated") for one in desk.entries() if one.what != "notified"] == [
        False,
        True,
    ]
    desk = IncidentDesk()
    desk.judge(breach(), restated=True)
    (row,) = desk.memory.rows.values()
    assert "From rows that were restated." in message_of(row, wording=Wording()).text


def test_restated_data_resolve_the_level_whose_cause_is_gone(desk: IncidentDesk) -> None:
    # Inside the limit, though not by the margin: it never happened.
    desk.judge(fine(value=-0.19), restated=True)

    assert ended(desk) is Resolution.RESTATED
    assert desk.waiting() == [RECOVERED]
    assert desk.entries()[-2].detail == {"outcome": "restated"}


def test_restated_data_that_leave_the_cause_resolve_nothing(desk: IncidentDesk) -> None:
    desk.judge(breach(value=-0.25), restated=True)

    assert desk.only().status is Status.OPEN


def test_an_event_is_not_over_because_the_next_day_is_fine() -> None:
    desk = IncidentDesk()
    desk.judge(event())
    desk.judge_next_day(event(session=MONDAY + DAY, outcome=Outcome.OK, severity=None))

    assert desk.only().status is Status.OPEN


def test_an_event_whose_rows_are_restated_is_over() -> None:
    desk = IncidentDesk()
    desk.judge(event())
    desk.deliver()
    desk.judge(event(outcome=Outcome.OK, severity=None, evidence=None), restated=True)

    assert ended(desk) is Resolution.RESTATED
    assert desk.waiting() == ["mail: recovered warning trend/daily_exceedance"]


def test_an_event_of_a_provisional_row_is_over_where_the_final_row_is_fine() -> None:
    desk = IncidentDesk()
    desk.judge(event(), provisional=True)
    desk.judge(event(outcome=Outcome.OK, severity=None, evidence=None))

    assert ended(desk) is Resolution.RESTATED


def test_an_event_closes_after_five_sessions_and_nobody_is_notified() -> None:
    desk = IncidentDesk(settings=NotificationSettings(channels=("mail",), close_after=5))
    desk.judge(event())
    desk.deliver()
    for session in range(1, 6):
        assert desk.only().status is Status.OPEN, session
        desk.judge_next_day(fine())

    assert ended(desk) is Resolution.EXPIRED
    assert desk.waiting() == []


def test_provisional_sessions_make_no_event_older() -> None:
    desk = IncidentDesk(settings=NotificationSettings(channels=("mail",), close_after=1))
    desk.judge(event())
    desk.judge_next_day(fine(), provisional=True)
    assert desk.only().status is Status.OPEN
    desk.judge(fine())
    assert ended(desk) is Resolution.EXPIRED


def test_a_level_does_not_grow_old(desk: IncidentDesk) -> None:
    for _ in range(10):
        desk.judge_next_day(breach(severity=Severity.WARNING))

    assert desk.only().status is Status.OPEN


@pytest.mark.parametrize(
    ("p_year", "ends"), [(None, True), (0.05, False), (0.1, False), (0.11, True)]
)
def test_without_a_limit_only_the_rating_keeps_an_incident_open(
    p_year: float | None, ends: bool
) -> None:
    assert is_recovered(fine(limit=None, p_year=p_year), budget=0.05) is ends


@pytest.mark.parametrize(
    ("restated", "ends"),
    [
        (fine(), True),
        (fine(provisional=True), False),
        (breach(parts={"above": True}), True),
        (breach(p_year=0.11), True),
        (breach(p_year=0.1), False),
        (breach(p_year=None), False),
        (breach(outcome=Outcome.NO_DATA, p_year=0.5), False),
    ],
)
def test_restated_data_end_an_incident_where_nothing_of_the_cause_is_left(
    restated: Evaluation, ends: bool
) -> None:
    assert has_no_cause_left(restated, budget=0.05) is ends


@pytest.mark.parametrize(
    ("then", "now", "worse"),
    [
        ((-0.3, -0.2), (-0.375, -0.2), True),
        ((-0.3, -0.2), (-0.374, -0.2), False),
        ((None, -0.2), (-0.9, -0.2), False),
        ((-0.3, None), (-0.9, -0.2), False),
        ((-0.3, -0.2), (None, -0.2), False),
        ((-0.3, -0.2), (-0.9, None), False),
        ((0.0, 0.0), (-0.9, 0.0), False),
        ((math.inf, -0.2), (-0.9, -0.2), False),
    ],
)
def test_a_breach_is_worse_by_a_quarter_of_the_larger_of_value_and_limit(
    desk: IncidentDesk,
    then: tuple[float | None, float | None],
    now: tuple[float | None, float | None],
    worse: bool,
) -> None:
    incident = desk.acknowledge()
    assert incident.acknowledged
    held = replace(incident.acknowledged, value=then[0], limit=then[1])

    assert is_worse(replace(incident, acknowledged=held), *now) is worse
    assert not is_worse(replace(incident, acknowledged=None), *now)
