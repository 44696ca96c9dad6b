import json
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.plots.plot import (
    PERCENT,
    Kind,
    Limit,
    Marker,
    Plot,
    Role,
    Series,
    plot_from_json,
    values_of,
    words,
)
from perf_alerts_tests.builders import weekdays


def a_plot(rows: int = 252, **changes: Any) -> Plot:
    """A fan with its median, a path that leaves it, and the edge that was broken."""
    days = weekdays(rows)
    middle = np.linspace(0.0, 0.08, rows)
    width = 0.2 * np.sqrt(np.arange(1, rows + 1) / max(rows, 1))
    path = middle - np.linspace(0.0, 0.31, rows)
    given: dict[str, Any] = {
        "strategy": "trend",
        "rule": "interval_breach",
        "title": "trend -23.0 % in 252 sessions",
        "text": "returned -23.00% in 252 sessions since 2022-12-30, outside the 99 % band.",
        "unit": PERCENT,
        "dates": tuple(days.astype(object).tolist()),
        "series": (
            Series(
                name="band",
                kind=Kind.AREA,
                role=Role.RANGE,
                values=values_of(middle + width),
                lower=values_of(middle - width),
            ),
            Series(name="expected", role=Role.EXPECTED, values=values_of(middle)),
            Series(name="live", values=values_of(path)),
        ),
        "limits": (Limit(value=-0.12, label="99 % band", path=values_of(middle - width)),),
        "since": days[rows // 2].astype(object) if rows else None,
        "value": -0.23,
    }
    return Plot(**(given | changes))


def stored(plot: Plot) -> Plot:
    return plot_from_json(json.loads(json.dumps(plot.to_json(), allow_nan=False)))


def test_a_plot_reads_back_as_it_was_to_the_precision_of_a_picture() -> None:
    plot = a_plot()
    back = stored(plot)

    assert replace(back, series=(), limits=()) == replace(plot, series=(), limits=())
    for one, other in zip(back.series, plot.series, strict=True):
        assert (one.name, one.kind, one.role) == (other.name, other.kind, other.role)
        assert one.values == pytest.approx(other.values, abs=0.0005)
        assert one.lower == pytest.approx(other.lower, abs=0.0005)
    assert back.limits[0].value == -0.12
    assert back.limits[0].path == pytest.approx(plot.limits[0].path, abs=0.0005)


def test_a_year_of_a_fan_takes_about_six_kilobytes() -> None:
    assert len(json.dumps(a_plot().to_json(), separators=(",", ":"))) < 6_500


def test_values_that_are_missing_stay_missing() -> None:
    plot = a_plot(3, series=(Series(name="live", values=(None, 0.5, None)),), limits=())

    assert stored(plot).series[0].values == (None, 0.5, None)
    assert values_of([np.nan, np.inf, -np.inf, 1.0, 1.7e308]) == (None, None, None, 1.0, None)


@pytest.mark.parametrize("values", [(0.0, 0.0), (7.0, 7.0), (1e-9, 3e-9), (-1e30, 1e30)])
def test_any_range_of_values_is_kept(values: tuple[float, ...]) -> None:
    plot = a_plot(2, series=(Series(name="live", values=values),), limits=())

    span = max(max(values) - min(values), 1e-12)
    assert stored(plot).series[0].values == pytest.approx(values, abs=span / 1000)


def test_sums_over_many_orders_of_magnitude_keep_each_of_them() -> None:
    values = (4.0, 250.0, 1.1e5, 1e30)
    plot = a_plot(4, series=(Series(name="sum", values=values),), limits=(), logarithmic=True)

    assert stored(plot).series[0].values == pytest.approx(values, rel=0.12)
    assert stored(replace(plot, series=(Series(name="sum", values=(0.0,) * 4),))).series[
        0
    ].values == pytest.approx((1e-3,) * 4)


def test_a_plot_without_dates_reads_back() -> None:
    plot = a_plot(0, series=(), limits=(), since=None, value=None)

    assert stored(plot) == plot


@pytest.mark.parametrize(
    "content",
    [None, {}, [], "text", {"first": "never"}, a_plot(2).to_json() | {"days": ["one"]}],  # type: ignore[operator]
)
def test_a_damaged_plot_is_refused_with_what_is_wrong(content: Any) -> None:
    with pytest.raises(ValueError, match=r"a stored plot is damaged|Invalid isoformat"):
        plot_from_json(content)


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        (PERCENT, -0.15, "\u221215.0 %"),
        (PERCENT, 0.0025, "0.25 %"),
        (PERCENT, 1e9, "1.0e+11 %"),
        ("sigma", -15.03, "\u221215"),
        ("sigma", 2.1, "2.1"),
        ("sessions", 5.0, "5"),
        ("P&L", 1664.9, "1,660"),
        ("sum", 111_234.0, "111k"),
        ("sum", 3.21e6, "3.21m"),
        ("sum", 2.38e9, "2.38bn"),
        ("sum", 1e30, "1e+30"),
    ],
)
def test_values_are_written_in_the_unit_that_people_use(unit: str, value: float, text: str) -> None:
    assert a_plot(unit=unit).formatted(value) == text


def test_text_from_data_fits_in_a_line() -> None:
    assert words("a\nb\x1b[31m \u202ec") == "a b\\x1b[31m \\u202ec"
    assert words("x" * 50, 10) == "x" * 9 + "…"
    assert len(json.dumps(a_plot(2, title="t" * 5_000, text="t" * 5_000).to_json())) < 1_500


def test_dates_keep_their_gaps() -> None:
    days = (date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 11))
    plot = a_plot(3, dates=days, since=days[1])

    assert stored(plot).dates == days
    assert stored(plot).since == days[1]


def test_markers_are_stored_and_plots_of_before_have_none() -> None:
    marker = Marker(day=date(2023, 3, 1), label="incident", is_bad=True)
    plot = a_plot(markers=(marker,))
    assert stored(plot).markers == (marker,)

    content = json.loads(json.dumps(plot.to_json()))
    del content["markers"]
    assert plot_from_json(content).markers == ()


def test_sizes_of_sessions_keep_their_tenths() -> None:
    sizes = (-2.31, 0.4, None, 1.75)
    heat = Series(name="standard deviations", kind=Kind.HEAT, values=sizes)
    back = stored(a_plot(4, series=(heat,), limits=(), value=None)).series[0]

    assert back.kind is Kind.HEAT
    assert back.values[2] is None
    assert [each for each in back.values if each is not None] == pytest.approx(
        [-2.31, 0.4, 1.75], abs=0.01
    )
