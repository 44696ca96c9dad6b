import numpy as np
import pytest

from perf_alerts_dagster.core.alerts import BY_NAME
from perf_alerts_dagster.executions.plots import MAXIMUM_CHARTS
from perf_alerts_dagster.plots.plot import Kind, Plot
from perf_alerts_tests.executions.trading_desk import Desk, after_close, day, record

ROWS = 410


def charts() -> tuple[Plot, ...]:
    return Desk().run(record(ROWS), after_close(ROWS - 1)).charts


def test_the_daily_check_brings_a_chart_of_band_and_live_path() -> None:
    (chart,) = charts()
    band, inner, expected, live = chart.series
    outer = list(zip(band.lower, inner.lower, inner.values, band.values, strict=True))

    assert chart.title == f"trend: live path since {day(299)}"
    assert [each.kind for each in chart.series] == [Kind.AREA, Kind.AREA, Kind.LINE, Kind.LINE]
    assert len(chart.dates) == len(expected.values) == 252
    assert all(list(each) == sorted(each) for each in outer)  # type: ignore[type-var]
    assert sum(each is not None for each in live.values) == ROWS - 300
    assert chart.dates[: ROWS - 300] == tuple(day(place) for place in range(300, ROWS))
    # The sessions that follow, which nobody has lived.
    assert list(chart.dates) == sorted(set(chart.dates))


def test_the_path_is_the_compounded_live_return() -> None:
    (chart,) = charts()
    live = record(ROWS).strategies["trend"].returns[300:]
    path = [each for each in chart.series[-1].values if each is not None]

    assert path[-1] == pytest.approx(float(np.prod(1 + live) - 1))


def test_alerts_without_projection_rules_draw_nothing() -> None:
    done = Desk().run(
        record(ROWS), after_close(ROWS - 1), alert=BY_NAME["evening_performance_check"]
    )

    assert done.charts == ()
    assert MAXIMUM_CHARTS == 6


def test_a_path_below_its_band_is_marked_from_that_day_on() -> None:
    (chart,) = Desk().run(record(ROWS, **{f"row{ROWS - 2}": -0.6}), after_close(ROWS - 1)).charts

    assert chart.since == day(ROWS - 2)
    assert charts()[0].since is None


def test_before_the_first_live_row_the_band_is_drawn_alone() -> None:
    (chart,) = Desk().run(record(301), after_close(300)).charts

    assert sum(each is not None for each in chart.series[-1].values) == 1
    assert "so far" in chart.text
