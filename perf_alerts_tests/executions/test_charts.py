import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from perf_alerts_dagster.core.alerts import BY_NAME
from perf_alerts_dagster.executions.execute import MAXIMUM_CHARTS
from perf_alerts_dagster.projections.chart import Chart, svg
from perf_alerts_tests.executions.trading_desk import Desk, after_close, day, record

ROWS = 410


def charts() -> tuple[Chart, ...]:
    return Desk().run(record(ROWS), after_close(ROWS - 1)).charts


def test_the_daily_check_brings_a_chart_of_band_and_live_path() -> None:
    (chart,) = charts()

    assert chart.strategy == "trend"
    assert chart.issued_on == day(299)
    assert len(chart.path) == ROWS - 300
    assert len(chart.lower) == len(chart.upper) == 252
    assert (chart.lower < chart.inner_lower).all()
    assert (chart.upper > chart.inner_upper).all()


def test_the_path_is_the_compounded_live_return() -> None:
    (chart,) = charts()
    live = record(ROWS).strategies["trend"].returns[300:]

    assert chart.path[-1] == pytest.approx(float(np.prod(1 + live) - 1))


def test_alerts_without_projection_rules_draw_nothing() -> None:
    done = Desk().run(
        record(ROWS), after_close(ROWS - 1), alert=BY_NAME["evening_performance_check"]
    )

    assert done.charts == ()
    assert MAXIMUM_CHARTS == 6


def test_the_drawing_is_sound_xml_with_both_lines() -> None:
    (chart,) = charts()
    root = ET.fromstring(svg(chart))
    name = "{http://www.w3.org/2000/svg}"

    assert len(root.findall(f"{name}polygon")) == 2
    assert len(root.findall(f"{name}polyline")) == 2


def test_a_hostile_name_stays_text() -> None:
    (chart,) = charts()
    text = svg(replace(chart, strategy='</svg><script>alert("x")</script>'))

    assert "<script>" not in text
    ET.fromstring(text)


def test_a_path_below_its_band_is_red() -> None:
    (chart,) = charts()
    out = replace(chart, path=chart.lower[:20] - 0.1)

    assert "#b91c1c" in svg(out)
    assert "#b91c1c" not in svg(replace(chart, path=chart.median[:20]))


def test_before_the_first_live_row_the_band_is_drawn_alone() -> None:
    (chart,) = charts()

    assert svg(replace(chart, path=chart.path[:0])).count("<polyline") == 1
