from perf_alerts_dagster.judging.context import rating_of
from perf_alerts_dagster.projections.calibration import Calibration


def test_a_rule_that_the_calibration_does_not_know_is_not_rated() -> None:
    empty = Calibration(worst={}, notified={}, power={}, half={}, union=0.0)

    assert rating_of(empty, "drawdown", 0.1, periods_per_year=252.0) is None
