import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evidence, Outcome
from perf_alerts_dagster.judging.rules.forward_test import forward_test_change
from perf_alerts_dagster.projections.projection import Expectation


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
