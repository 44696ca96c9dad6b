"""What is told of an evaluation, and of the system."""

from datetime import date

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import (
    Firing,
    evaluation_firing,
    system_firing,
    system_key,
)
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Kind, Outcome
from perf_alerts_tests.incidents.incident_desk import judged

MONDAY = date(2026, 1, 5)


@pytest.mark.parametrize(
    ("about", "key"),
    [
        ("mail", "|dead_letter|mail"),
        ("", "|dead_letter|-"),
        ("a|b", "|dead_letter|a\\|b"),
        ("a\\b", "|dead_letter|a\\\\b"),
        ("a\\|b", "|dead_letter|a\\\\\\|b"),
    ],
)
def test_a_name_with_a_bar_or_a_backslash_keeps_a_key_of_its_own(about: str, key: str) -> None:
    assert system_key("dead_letter", about) == key


def test_a_fault_of_the_system_is_critical_and_needs_no_evidence() -> None:
    found = system_firing(
        "execution_failed", "daily", message="m", alert="daily", run_id="r", as_of=MONDAY
    )

    assert found == Firing(
        dedup_key="|execution_failed|daily",
        strategy="",
        rule="execution_failed",
        alert="daily",
        severity=Severity.CRITICAL,
        run_id="r",
        message="m",
        kind=Kind.LEVEL,
        evidence=Evidence.UNGATED,
        as_of=MONDAY,
        parts={"about": "daily"},
    )
    bare = system_firing("watch_silent", "", message="m", as_of=None)
    assert (bare.alert, bare.run_id, bare.as_of, bare.parts) == ("", "", None, {"about": ""})


EVENT = Evaluation(
    strategy="trend",
    rule="daily_exceedance",
    outcome=Outcome.BREACH,
    kind=Kind.EVENT,
    severity=Severity.CRITICAL,
    value=-7.5,
    limit=-4.0,
    observations=756,
    required=252,
    evidence=Evidence.STRONG,
    p_year=0.02,
    false_alarm_rate=0.05,
    power=0.6,
    days_to_half=40.0,
    session=MONDAY,
    projection="launch:2025-01-02",
    message="it fell",
    parts={"return": -0.04},
)


def test_everything_that_an_evaluation_says_is_told_at_the_severity_asked_for() -> None:
    found = evaluation_firing(EVENT, Severity.WARNING, judged(alert="daily", run_id="r"))

    assert found == Firing(
        dedup_key="trend|daily_exceedance|launch:2025-01-02|2026-01-05",
        strategy="trend",
        rule="daily_exceedance",
        alert="daily",
        severity=Severity.WARNING,
        run_id="r",
        message="it fell",
        kind=Kind.EVENT,
        evidence=Evidence.STRONG,
        projection="launch:2025-01-02",
        session=MONDAY,
        as_of=MONDAY,
        value=-7.5,
        limit=-4.0,
        p_year=0.02,
        provisional=False,
        restated=False,
        parts={
            "return": -0.04,
            "false_alarm_rate": 0.05,
            "power": 0.6,
            "days_to_half": 40.0,
        },
    )


def test_what_is_not_known_of_a_rule_is_not_told() -> None:
    plain = Evaluation(strategy="trend", rule="flat_run", outcome=Outcome.BREACH)
    found = evaluation_firing(plain, Severity.WARNING, judged(restated=True))

    assert (found.parts, found.restated) == ({"restated": True}, True)


@pytest.mark.parametrize(
    ("whole", "one", "wanted"),
    [(False, False, False), (True, False, True), (False, True, True), (True, True, True)],
)
def test_an_open_row_makes_it_provisional_whoever_says_so(
    whole: bool, one: bool, wanted: bool
) -> None:
    plain = Evaluation(strategy="trend", rule="drawdown", outcome=Outcome.BREACH, provisional=one)
    found = evaluation_firing(plain, Severity.WARNING, judged(provisional=whole))

    assert found.provisional is wanted
