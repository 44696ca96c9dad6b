from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Kind, Outcome
from perf_alerts_dagster.judging.rules.forward_test import forward_test_change
from perf_alerts_dagster.projections.projection import Expectation
from perf_alerts_tests.builders import near
from perf_alerts_tests.judging.wording import plain


def expectation(monthly: float, standard_error: float = 0.001) -> Expectation:
    return Expectation(issued_on="2026-01-01", monthly=monthly, standard_error=standard_error)


@pytest.mark.parametrize(
    ("before", "now", "severity"),
    [
        (0.02, 0.0151, None),
        (0.02, 0.015, Severity.WARNING),
        (0.02, 0.01, Severity.CRITICAL),
        (0.02, -0.01, Severity.CRITICAL),
        (0.02, 0.025, Severity.INFO),
        (-0.02, -0.025, Severity.WARNING),
    ],
)
def test_a_fall_of_a_quarter_warns_and_of_a_half_is_critical(
    before: float, now: float, severity: Severity | None
) -> None:
    judged = forward_test_change("a", before=expectation(before), now=expectation(now))

    assert judged.severity is severity
    assert judged.outcome is (Outcome.OK if severity is None else Outcome.BREACH)
    assert judged.evidence is (None if severity is None else Evidence.UNRATED)


def test_an_expectation_within_its_standard_error_gives_no_change() -> None:
    judged = forward_test_change(
        "a", before=expectation(0.001, standard_error=0.002), now=expectation(-0.01)
    )

    assert judged.outcome is Outcome.INSUFFICIENT_DATA
    assert judged.value is None


def test_the_first_month_has_nothing_to_compare_with() -> None:
    judged = forward_test_change("a", before=None, now=expectation(0.01))

    assert judged.outcome is Outcome.INSUFFICIENT_DATA
    assert judged.parts["expected_monthly_return"] == 0.01


BEFORE = Expectation(issued_on="2025-12-01", monthly=0.02, standard_error=0.001)
FALL = Evaluation(
    strategy="trend",
    rule="forward_test_change",
    outcome=Outcome.BREACH,
    kind=Kind.EVENT,
    severity=Severity.WARNING,
    value=near(-0.4),
    limit=-0.25,
    evidence=Evidence.STRONG,
    p_year=near(1 - 0.999**12),
    session=date(2026, 1, 1),
    parts={
        "expected_monthly_return": 0.012,
        "expected_monthly_return_before": 0.02,
        "standard_error_before": 0.001,
        "issued_before": "2025-12-01",
    },
)


def said(now: float, share: float, **changes: Any) -> Evaluation:
    """What is said of another expectation, and of the share of paths that fell as far."""
    given: dict[str, Any] = {
        "value": near(now / 0.02 - 1),
        "p_year": near(1 - (1 - share) ** 12),
        "parts": {**FALL.parts, "expected_monthly_return": now},
    }
    return replace(FALL, **(given | changes))


@pytest.mark.parametrize(
    ("now", "share", "wanted"),
    [
        (
            0.018,
            0.4,
            said(0.018, 0.4, outcome=Outcome.OK, severity=None, evidence=None),
        ),
        (0.012, 0.001, FALL),
        (0.012, 0.01, said(0.012, 0.01, evidence=Evidence.WEAK)),
        (
            -0.01,
            0.0005,
            said(-0.01, 0.0005, severity=Severity.CRITICAL, limit=-0.5),
        ),
        (
            -0.01,
            0.003,
            said(
                -0.01,
                0.003,
                severity=Severity.CRITICAL,
                limit=-0.5,
                parts={**FALL.parts, "expected_monthly_return": -0.01, "told_as": "warning"},
            ),
        ),
        (
            0.03,
            0.6,
            said(0.03, 0.6, severity=Severity.INFO, evidence=Evidence.WEAK),
        ),
    ],
    ids=["ok", "warning", "weak", "critical", "critical told as a warning", "info"],
)
def test_all_that_is_said_of_a_change(now: float, share: float, wanted: Evaluation) -> None:
    found = forward_test_change(
        "trend",
        before=BEFORE,
        now=replace(BEFORE, issued_on="2026-01-01", monthly=now),
        month_share=share,
    )

    assert plain(found) == wanted


@pytest.mark.parametrize(
    ("before", "now", "why"),
    [
        (None, BEFORE, "needs a projection of an earlier month"),
        (BEFORE, None, "needs a projection of an earlier month"),
        (None, None, "needs a projection of an earlier month"),
        (
            replace(BEFORE, monthly=-0.001),
            BEFORE,
            "the earlier expectation is smaller than its standard error, so none is measured",
        ),
    ],
)
def test_all_that_is_said_where_there_is_nothing_to_compare(
    before: Expectation | None, now: Expectation | None, why: str
) -> None:
    assert plain(forward_test_change("trend", before=before, now=now)) == Evaluation(
        strategy="trend",
        rule="forward_test_change",
        outcome=Outcome.INSUFFICIENT_DATA,
        kind=Kind.EVENT,
        limit=-0.25,
        parts={
            "expected_monthly_return": now.monthly if now else None,
            "expected_monthly_return_before": before.monthly if before else None,
            "standard_error_before": before.standard_error if before else None,
            "issued_before": before.issued_on if before else None,
        },
    )


def test_the_share_of_a_year_is_held_against_the_levels_that_are_given() -> None:
    now = replace(BEFORE, issued_on="2026-01-01", monthly=-0.01)
    judged = [
        forward_test_change("trend", before=BEFORE, now=now, month_share=0.003, levels=levels)
        for levels in ((0.03, 0.01), (0.05, 0.04))
    ]

    assert [one.evidence for one in judged] == [Evidence.WEAK, Evidence.STRONG]
    assert ["told_as" in one.parts for one in judged] == [False, False]


@pytest.mark.parametrize(
    ("now", "severity"),
    [
        (0.751, None),
        (0.75, Severity.WARNING),
        (0.5, Severity.CRITICAL),
        (1.249, None),
        (1.25, Severity.INFO),
    ],
)
def test_a_change_exactly_at_its_limit_is_a_breach(now: float, severity: Severity | None) -> None:
    """Numbers that are exact in binary."""
    found = forward_test_change("trend", before=expectation(1.0), now=expectation(now))

    assert found.severity is severity
