import pytest

from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_dagster.judging.ports import Period


@pytest.mark.parametrize(
    ("counts", "rate"),
    [
        ({}, None),
        ({("trend", Outcome.NO_DATA): 3}, None),
        ({("trend", Outcome.OK): 3}, 0.0),
        ({("a", Outcome.OK): 2, ("b", Outcome.BREACH): 1, ("b", Outcome.ERROR): 9}, 1 / 3),
    ],
)
def test_the_breach_rate_is_of_what_could_be_judged(
    counts: dict[tuple[str, Outcome], int], rate: float | None
) -> None:
    assert Period(counts=counts).breach_rate() == rate
