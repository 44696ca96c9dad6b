import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.core.wording import minus
from perf_alerts_dagster.plots.plot import (
    FLAGGED,
    NO_ROW,
    ROW,
    Kind,
    Limit,
    Marker,
    Plot,
    Role,
    Series,
    values_of,
)
from perf_alerts_dagster.plots.scales import LARGE, SMALL, Frame, scales_of
from perf_alerts_dagster.plots.svg import COLOURS, svg
from perf_alerts_tests.plots.test_plot import a_plot

NAME = "{http://www.w3.org/2000/svg}"
# A cell of a calendar: an outline, or a line.
CELL = r"M([\d.]+) ([\d.]+)h([\d.]+)(?:v([\d.]+)h-[\d.]+z)?"
STEP = re.compile(r"(-?[\d.]+),?(-?(?:\d*\.\d+|\d+))")
HOSTILE = '</svg><script>alert("x")</script>\x00\x1b[31m\u202e&amp;\ud800' + "w" * 300


def elements(plot: Plot, name: str, **how: Any) -> Iterator[ET.Element]:
    return ET.fromstring(svg(plot, **how)).iter(f"{NAME}{name}")


def texts(plot: Plot) -> list[str]:
    return [each.text or "" for each in elements(plot, "text")]


def classed(plot: Plot, name: str) -> list[ET.Element]:
    groups = [each for each in elements(plot, "g") if each.get("class") == name]
    return [child for group in groups for child in group]


def points_of(path: str | ET.Element | None) -> list[tuple[float, float]]:
    """The points of a path of steps; none of another element."""
    text = path if isinstance(path, str) else "" if path is None else path.get("d", "")
    found = re.fullmatch(r"M([\d.]+) ([\d.]+)l([-\d., ]+)z?", text)
    if found is None:
        return []
    points = [(float(found[1]), float(found[2]))]
    for step in found[3].split():
        across, down = STEP.fullmatch(step).groups()  # type: ignore[union-attr]
        points.append((points[-1][0] + float(across), points[-1][1] + float(down)))
    return points


def cell_count(plot: Plot, name: str) -> int:
    return sum(len(re.findall(CELL, each.get("d", ""))) for each in classed(plot, name))


def heat(*sizes: float | None, **changes: Any) -> Plot:
    plot = cells(*sizes, **changes)
    return replace(plot, series=(replace(plot.series[0], kind=Kind.HEAT),))


def bars(*values: float | None, limit: float | None = -2.0, **changes: Any) -> Plot:
    limits = () if limit is None else (Limit(value=limit, label="limit"),)
    series = (Series(name="a day", kind=Kind.BARS, values=values),)
    given: dict[str, Any] = {"unit": "sigma", "since": None, "value": None} | changes
    return a_plot(len(values), series=series, limits=limits, **given)


def cells(*codes: float | None, first: date = date(2024, 1, 1), **changes: Any) -> Plot:
    days = tuple(first + timedelta(days=each) for each in range(len(codes)))
    series = (Series(name="no P&L", kind=Kind.CELLS, values=codes),)
    given: dict[str, Any] = {"dates": days, "limits": (), "since": None, "unit": ""} | changes
    return a_plot(len(codes), series=series, **given)


MANY = {
    "fan": a_plot(),
    "one row": a_plot(1),
    "no rows": a_plot(0, since=None, limits=()),
    "no series": a_plot(2, series=(), limits=()),
    "no values": a_plot(2, series=(Series(name="live", values=(None, None)),), limits=()),
    "one series": a_plot(40, series=a_plot(40).series[2:]),
    "one day": bars(-9.0),
    "bars": bars(-1.0, None, 2.0, -9.0),
    "flat": a_plot(3, series=(Series(name="live", values=(0.0, 0.0, 0.0)),), limits=()),
    "huge": a_plot(3, series=(Series(name="live", values=(1e300, -1e300, 0.0)),), limits=()),
    "tiny": a_plot(3, series=(Series(name="live", values=(1e-300, -1e-300, 0.0)),), limits=()),
    "sums": a_plot(
        3,
        series=(Series(name="sum", values=(0.0, 1e3, 1e30)),),
        limits=(Limit(value=1e5, label="limit", path=(1e4, None, 1e5)),),
        logarithmic=True,
        unit="sum",
    ),
    "ticks": a_plot(
        4, series=(Series(name="hits", kind=Kind.TICKS, values=(None, 1.0, 1.0, 1.0)),)
    ),
    "cells": cells(ROW, ROW, FLAGGED, None, NO_ROW, ROW),
    "no cells": cells(),
    "heat": heat(-2.5, -1.0, None, 0.0, 1.0, 3.0, *[0.1] * 800),
    "markers": a_plot(
        markers=(
            Marker(day=date(2023, 3, 1), label="re-issued"),
            Marker(day=date(2023, 5, 1), label=HOSTILE, is_bad=True),
            Marker(day=date(1999, 5, 1), label="before"),
        )
    ),
    "since another day": a_plot(5, since=date(1999, 1, 1)),
    "since never": a_plot(5, since=date(2999, 1, 1)),
    "hostile": a_plot(
        30,
        title=HOSTILE,
        text=HOSTILE,
        note=HOSTILE,
        unit=HOSTILE,
        limits=(Limit(value=-0.1, label=HOSTILE),),
        series=(Series(name=HOSTILE, values=(0.0,) * 30),),
    ),
}


@pytest.mark.parametrize("frame", [LARGE, SMALL])
@pytest.mark.parametrize("standalone", [True, False])
@pytest.mark.parametrize("name", MANY)
def test_every_drawing_is_sound_xml_within_its_frame(
    name: str, standalone: bool, frame: Frame
) -> None:
    text = svg(MANY[name], standalone=standalone, frame=frame)
    root = ET.fromstring(text)

    assert "nan" not in text.replace("standalone", "").lower() or name == "hostile"
    assert "inf" not in text.lower()
    assert not re.search(r"<script|style=|href=|\bon[a-z]+=", text)
    for each in root.iter():
        for key in ("x", "x1", "x2", "cx"):
            assert -1.0 <= float(each.get(key, 0)) <= frame.width + 1.0
        for key in ("y", "y1", "y2", "cy"):
            assert -1.0 <= float(each.get(key, 0)) <= frame.height + 1.0
        for across, down in points_of(each):
            assert 0.0 <= across <= frame.width
            assert 0.0 <= down <= frame.height
        for x, y, wide, high in re.findall(CELL, each.get("d", "")):
            assert 0.0 <= float(x) <= float(x) + float(wide) <= frame.width
            assert 0.0 <= float(y) <= float(y) + float(high or 0.0) <= frame.height


def test_a_plot_says_what_it_shows_to_who_does_not_see_it() -> None:
    root = ET.fromstring(svg(a_plot()))

    assert root.get("role") == "img"
    assert [root[0].tag, root[1].tag] == [f"{NAME}title", f"{NAME}desc"]
    assert (root[0].text, root[1].text) == (minus(a_plot().title), minus(a_plot().text))


def test_the_broken_limit_the_value_and_the_dates_are_written() -> None:
    found = texts(a_plot())

    assert {"\u221212.0 %", "99 % band", "\u221223.0 %", "live", "expected"} <= set(found)
    assert {"Mar 2023", "Jul", "Sep"} <= set(found)
    assert any(each.startswith("since ") for each in found)
    (line,) = classed(a_plot(), "plot-limit")[:1]
    assert len(points_of(line)) > 2


def test_a_limit_of_one_value_is_a_line_across() -> None:
    line = next(each for each in classed(bars(-1.0, -3.0), "plot-limit") if each.get("x1"))

    assert line.get("y1") == line.get("y2")
    assert LARGE.top < float(line.get("y1", 0)) < LARGE.foot
    assert float(line.get("x1", 0)) == LARGE.left


def test_what_broke_is_in_another_colour_from_its_first_date_on() -> None:
    bad = [each for each in classed(a_plot(), "plot-bad") if points_of(each)]
    (line,) = bad

    first, _ = points_of(line)[0]
    assert first == pytest.approx(LARGE.left + (LARGE.end - LARGE.left) * 126.5 / 252, abs=0.1)
    assert not [each for each in classed(a_plot(since=None), "plot-bad") if points_of(each)]


def test_bars_beyond_the_limit_are_in_another_colour() -> None:
    plot = bars(-1.0, -3.0, 1.0, -2.0)

    assert len([each for each in classed(plot, "plot-bad") if each.tag == f"{NAME}rect"]) == 2
    upper = bars(1.0, 3.0, -3.0, limit=2.0)
    assert len([each for each in classed(upper, "plot-bad") if each.tag == f"{NAME}rect"]) == 1


def test_an_event_without_a_limit_is_in_another_colour_on_its_day() -> None:
    plot = bars(1.0, 3.0, 2.0, limit=None)
    plot = replace(plot, since=plot.dates[-1])

    assert len([each for each in classed(plot, "plot-bad") if each.tag == f"{NAME}rect"]) == 1


def test_bars_beside_what_was_measured_have_no_limit_and_no_label() -> None:
    beside = Series(name="moves", kind=Kind.BARS, role=Role.INNER_RANGE, values=(1.0, 5.0))
    plot = replace(bars(1.0, 1.0, limit=2.0), series=(beside,))

    assert [each for each in classed(plot, "plot-bad") if each.tag == f"{NAME}rect"] == []
    assert "moves" not in texts(plot)


def test_a_single_value_is_a_dot() -> None:
    assert len(list(elements(a_plot(1, since=None), "circle"))) >= 1


def test_labels_do_not_lie_over_each_other() -> None:
    limits = tuple(Limit(value=-0.1 - each / 1e4, label=f"limit {each}") for each in range(4))
    found = [
        float(each.get("y", 0))
        for each in elements(a_plot(limits=limits), "text")
        if each.get("text-anchor") is None and float(each.get("x", 0)) > 400
    ]

    apart = [later - one for one, later in zip(sorted(found), sorted(found)[1:], strict=False)]
    assert min(apart) >= 12.0


def test_a_calendar_has_a_cell_for_each_session_and_says_what_they_are() -> None:
    plot = cells(*[ROW] * 20, FLAGGED, FLAGGED, NO_ROW, None, ROW)
    # One more of each is in the key.
    assert cell_count(plot, "plot-measured") == 21 + 1
    assert cell_count(plot, "plot-bad") == 2 + 1 + 1 + 1
    assert {"Mon", "Sun", "Jan", "a row", "no row", "no P&L"} <= set(texts(plot))
    weekdays = replace(plot, dates=tuple(date(2024, 1, 1) + timedelta(7 * k) for k in range(25)))
    assert "Sat" not in texts(weekdays)
    assert {"Jan", "Feb", "Mar"} <= set(texts(weekdays))


def test_a_page_colours_a_plot_and_a_mail_does_not_need_to() -> None:
    page, mail = svg(a_plot()), svg(a_plot(), standalone=True)

    assert not re.search(r"#[0-9a-f]{6}", page)
    assert "class=" not in mail
    assert set(re.findall(r'class="(plot-[a-z]+)"', page)) <= set(COLOURS)
    assert COLOURS["plot-bad"] in mail
    assert '<rect width="640" height="260" fill="#ffffff"/>' in mail
    assert "currentColor" in page
    assert "currentColor" in mail


def test_a_hostile_name_stays_text() -> None:
    for name in ("hostile",):
        root = ET.fromstring(svg(MANY[name]))
        assert [each.tag for each in root.iter(f"{NAME}script")] == []


@pytest.mark.parametrize(
    ("rows", "most"), [(3, 3), (20, 7), (60, 7), (252, 8), (700, 8), (2_500, 8), (9_000, 8)]
)
def test_a_few_dates_are_written_whatever_the_time(rows: int, most: int) -> None:
    plot = a_plot(rows)
    foot = [each for each in elements(plot, "text") if each.get("text-anchor") == "middle"]

    assert 1 <= len(foot) <= most
    assert "20" in (foot[0].text or "")
    places = [float(each.get("x", 0)) for each in foot]
    assert places == sorted(places)


def test_a_line_has_only_the_points_that_a_reader_could_miss() -> None:
    """A straight stretch is its two ends; no value is further than a hair from the line."""
    rows = 2_000
    zigzag = np.where(np.arange(rows) % 100 == 50, 0.3, 0.0)
    plot = a_plot(rows, series=(Series(name="live", values=values_of(zigzag)),), since=None)
    plot = replace(plot, limits=())
    (points,) = filter(None, map(points_of, classed(plot, "plot-measured")))
    assert len(points) < 100

    scales = scales_of(plot)
    for place in range(50, rows, 100):
        peak = (scales.x(place), scales.y(0.3))
        assert min(math.dist(peak, point) for point in points) < 0.5
    wave = np.sin(np.arange(500) / 40.0)
    plot = replace(a_plot(500, series=(Series(name="live", values=values_of(wave)),)), limits=())
    (points,) = filter(None, map(points_of, classed(replace(plot, since=None), "plot-measured")))
    xs, ys = zip(*points, strict=True)
    assert len(xs) < 150
    scales = scales_of(plot)
    drawn = np.interp([scales.x(place) for place in range(500)], xs, ys)
    assert np.abs(drawn - [scales.y(value) for value in wave]).max() < 0.6


def test_sizes_of_sessions_are_told_apart_without_colour() -> None:
    plot = heat(-2.5, -1.0, 0.0, 1.0, 3.0)
    groups = [
        (each.get("class"), each.get("opacity"), [child.get("d", "") for child in each])
        for each in elements(plot, "g")
        if each.get("opacity")
    ]

    assert [name for name, _, _ in groups] == [
        "plot-bad",
        "plot-bad",
        "plot-measured",
        "plot-good",
        "plot-good",
    ]
    assert len({(name, opacity) for name, opacity, _ in groups}) == 5
    for place in (0, 1):
        widths = [float(re.findall(CELL, shapes[place])[0][2]) for _, _, shapes in groups]
        assert widths[0] == widths[1] > widths[3] == widths[4] > widths[2]
    assert {"below \u22122", "loss", "flat", "gain", "above 2"} <= set(texts(plot))


def test_an_incident_and_a_new_projection_are_marked_each_in_its_shape() -> None:
    days = a_plot().dates
    marks = (
        Marker(day=days[10], label="re-issued"),
        Marker(day=days[20], label="decay", is_bad=True),
        Marker(day=date(1999, 1, 1), label="long before"),
    )
    plot = a_plot(since=None, markers=marks)
    found = {
        each.get("d", "")[0:1] + ("z" if each.get("d", "").endswith("z") else "V"): each[0].text
        for each in elements(plot, "path")
        if len(each)
    }

    assert found == {"MV": "re-issued", "Mz": "decay"}


def test_a_small_plot_leaves_its_title_to_the_page() -> None:
    root = ET.fromstring(svg(a_plot(), frame=SMALL))

    assert minus(a_plot().title) not in [each.text for each in root.iter(f"{NAME}text")]
    assert root[0].text == minus(a_plot().title)
    assert root.get("viewBox") == f"0 0 {SMALL.width} {SMALL.height}"


def test_a_label_that_is_too_wide_goes_on_in_a_second_line() -> None:
    plot = a_plot(limits=(Limit(value=-0.1, label="documented limit"),))
    found = [each.text for each in elements(plot, "text", frame=SMALL)]

    assert found[found.index("documented") + 1] == "limit"
    assert "documented limit" in texts(plot)
