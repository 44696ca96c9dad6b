from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf_alerts_dagster.core.alerts import ALERTS, BY_NAME, Alert
from perf_alerts_dagster.executions.plan import Plan, plan_execution

DAILY = BY_NAME["daily_pnl_check"]
WEEKLY = BY_NAME["weekly_stability_check"]
DAYS = [date(2026, 1, 5) + timedelta(days=one) for one in range(10)]


def plan(alert: Alert = DAILY, **given_values: Any) -> Plan:
    values: dict[str, Any] = {
        "as_of": DAYS[-1],
        "sessions": DAYS,
        "last_final": DAYS[-1],
        "watermark": DAYS[-2],
        "catch_up": 30,
    }
    return plan_execution(alert, **(values | given_values))


def test_the_first_execution_ever_judges_the_last_final_session_only() -> None:
    assert plan(watermark=None) == Plan(finals=(DAYS[-1],))


def test_after_an_outage_every_missed_session_is_judged_oldest_first() -> None:
    assert plan(watermark=DAYS[3]).finals == tuple(DAYS[4:])


def test_the_open_session_is_judged_last_as_provisional() -> None:
    made = plan(last_final=DAYS[-2], watermark=DAYS[-3])

    assert made.finals == (DAYS[-2],)
    assert made.provisional == DAYS[-1]


def test_nothing_due_judges_the_last_final_session_again() -> None:
    assert plan(watermark=DAYS[-1]) == Plan(finals=(DAYS[-1],))


def test_nothing_due_but_an_open_session_judges_that_alone() -> None:
    assert plan(last_final=DAYS[-2], watermark=DAYS[-2]) == Plan(finals=(), provisional=DAYS[-1])


def test_a_date_older_than_the_newest_judged_one_is_recorded_only() -> None:
    assert plan(as_of=DAYS[2], last_final=DAYS[2]) == Plan(finals=(DAYS[2],), recorded_only=True)


def test_more_sessions_than_the_bound_keeps_the_newest_and_counts_the_rest() -> None:
    made = plan(watermark=DAYS[0], catch_up=3)

    assert made.finals == tuple(DAYS[-3:])
    assert made.given_up == 6


def test_restated_sessions_are_judged_again_before_the_due_ones() -> None:
    made = plan(restated=(DAYS[1],))

    assert made.finals == (DAYS[1], DAYS[-1])
    assert made.restated == frozenset({DAYS[1]})


def test_a_restated_session_that_was_never_judged_is_just_due() -> None:
    assert plan(restated=(DAYS[-1],)).restated == frozenset()


@pytest.mark.parametrize("watermark", [None, DAYS[0], DAYS[-1]])
def test_the_weekly_alert_judges_the_last_final_session_whatever_was_missed(
    watermark: date | None,
) -> None:
    assert plan(WEEKLY, watermark=watermark) == Plan(finals=(DAYS[-1],))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda one: one.name)
def test_without_a_final_session_no_final_session_is_judged(alert: Alert) -> None:
    assert plan(alert, last_final=None, watermark=None).finals == ()


@given(
    judged=st.integers(min_value=0, max_value=9),
    final=st.integers(min_value=0, max_value=9),
    catch_up=st.integers(min_value=1, max_value=12),
)
def test_no_due_session_is_lost_or_judged_twice(judged: int, final: int, catch_up: int) -> None:
    made = plan(watermark=DAYS[judged], last_final=DAYS[final], catch_up=catch_up)
    due = set(DAYS[judged + 1 : final + 1])

    assert list(made.finals) == sorted(set(made.finals))
    assert len(made.finals) <= catch_up
    assert len(due & set(made.finals)) + made.given_up == len(due)
