import pytest

from perf_alerts_dagster.core.severity import TOLERANCE, Ladder, Severity

WARNING, CRITICAL, EMERGENCY = Severity.WARNING, Severity.CRITICAL, Severity.EMERGENCY


@pytest.mark.parametrize(
    ("ladder", "values"),
    [
        (
            Ladder(breach="below", warning=60.0, critical=50.0),
            {60.0: None, 59.9: WARNING, 50.0: WARNING, 49.9: CRITICAL},
        ),
        (
            Ladder(breach="at or below", warning=0.05, critical=0.01),
            {0.051: None, 0.05: WARNING, 0.01: CRITICAL},
        ),
        (
            Ladder(breach="above", warning=0.3, critical=0.5),
            {0.3: None, 0.31: WARNING, 0.5: WARNING, 0.51: CRITICAL},
        ),
        (
            Ladder(breach="at or above", warning=3, critical=5, emergency=9),
            {2.0: None, 3.0: WARNING, 5.0: CRITICAL, 9.0: EMERGENCY},
        ),
    ],
    ids=lambda given: given.breach if isinstance(given, Ladder) else "",
)
def test_a_value_has_the_worst_severity_whose_limit_it_breaches(
    ladder: Ladder, values: dict[float, Severity | None]
) -> None:
    assert {value: ladder.severity(value) for value in values} == values


def test_the_limit_of_no_breach_is_the_one_that_would_be_breached_first() -> None:
    ladder = Ladder(breach="below", info=-1.0, warning=-2.0, critical=-3.0)

    assert ladder.limit(None) == ladder.limit(Severity.INFO) == -1.0
    assert ladder.limit(CRITICAL) == -3.0


@pytest.mark.parametrize(
    ("breach", "value", "severity"),
    [
        ("at or below", 0.8 + 1e-13, WARNING),
        ("at or below", 0.8 + 1e-11, None),
        ("at or above", 0.8 - 1e-13, WARNING),
        ("at or above", 0.8 - 1e-11, None),
    ],
)
def test_a_value_that_rounding_keeps_from_its_limit_reaches_it(
    breach: str, value: float, severity: Severity | None
) -> None:
    exact = Ladder(breach=breach, warning=0.8)  # type: ignore[arg-type]
    tolerant = Ladder(breach=breach, warning=0.8, tolerance=TOLERANCE)  # type: ignore[arg-type]

    assert exact.severity(value) is None
    assert tolerant.severity(value) is severity
