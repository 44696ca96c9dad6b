"""The plots of a life: what they show, on one axis, and in a page's size and time."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest

from perf_alerts_dagster.plots.of_life import RARE, life_plots
from perf_alerts_dagster.plots.plot import Kind, Marker, Plot, Role, Series
from perf_alerts_dagster.plots.scales import SMALL
from perf_alerts_dagster.plots.svg import svg
from perf_alerts_dagster.projections.watchers import STATISTICS
from perf_alerts_dagster.statistics.rolling import drawdown_path
from perf_alerts_tests.builders import a_record, noise
from perf_alerts_tests.plots.lives import TEN_YEARS, judged, life

HEAT = "Sessions"


def named(plots: Sequence[Plot], title: str) -> Plot:
    return next(each for each in plots if each.title.startswith(title))


def series(plot: Plot, name: str) -> Series:
    return next(each for each in plot.series if each.name == name)


@pytest.mark.parametrize("name", ["fading", "shadowed", "fresh", "long"])
def test_all_plots_of_a_life_have_one_axis_but_the_calendar(name: str) -> None:
    plots = life(name).plots()
    record = life(name).record
    axes = {each.dates for each in plots if each.title != HEAT}

    (axis,) = axes
    live = record.dates[record.live]
    assert (axis[0], axis[-1]) == (live[0], live[-1])
    assert len(axis) <= 180
    for plot in plots:
        assert plot.text
        for each in plot.series:
            assert len(each.values) == len(plot.dates)


def test_the_fan_is_that_of_every_projection_one_after_another() -> None:
    one = life("long")
    plot = named(one.plots(), "Live path")

    assert len(one.launches) == 11
    bands = [each for each in plot.series if each.name == "95 % band"]
    assert len(bands) >= 10
    starts = [next(i for i, v in enumerate(each.values) if v is not None) for each in bands]
    assert all(before < after for before, after in pairwise(starts))
    for each in bands:
        for upper, lower in zip(each.values, each.lower, strict=True):
            assert (upper is None) == (lower is None)
    assert [each.is_bad for each in plot.markers] == [False] * 10
    assert "projected anew on" in plot.text
    (edge,) = plot.limits
    assert edge.label == "99 % band"
    logs = np.log1p(one.record.returns[one.record.live]).cumsum()
    # The last one was issued on the newest row: it has none after it.
    newest = one.launches[-2]
    rows = one.record.dates[one.record.live]
    start = int(np.searchsorted(rows, np.datetime64(newest.issued_on), side="right"))
    before = logs[start - 1]
    expected = np.expm1(before + newest.fan.lower(0.99)[len(rows) - start - 1])
    assert edge.path[-1] == pytest.approx(expected)
    # No line leads from one projection to the next.
    places = [plot.dates.index(min(d for d in plot.dates if d > m.day)) for m in plot.markers[:-1]]
    assert [edge.path[place] for place in places] == [None] * 9
    assert series(plot, "live").values[-1] == pytest.approx(np.expm1(logs[-1]))


def test_a_path_below_its_band_says_since_when() -> None:
    plot = named(life("sunk").plots(), "Live path")

    assert plot.since is not None
    assert "below the lower 99 % band" in plot.text
    assert named(life("crash").plots(first=date(2026, 1, 1)), "Live path").dates[0].year == 2026


def test_incidents_and_a_new_baseline_are_marked() -> None:
    one = life("fading")
    day = one.record.dates[-5].astype(object)
    marker = Marker(day=day, label="critical: drawdown", is_bad=True)
    lower = replace(one.launches[-1], number=2, haircut=0.4)
    found = life_plots(
        one.record,
        one.context,
        [one.launches[0], lower],
        (),
        [marker, replace(marker, day=date.min)],
    )
    plot = named(found, "Live path")

    assert marker in plot.markers
    assert any("held against a lower mean" in each.label for each in plot.markers)
    assert any("haircut 40.0 %" in each.label for each in plot.markers)
    assert "1 incident marked" in plot.text
    assert "critical: drawdown" in svg(plot, frame=SMALL)


def test_a_drawdown_is_beside_what_its_healthy_years_reach_at_each_age() -> None:
    one = life("fading")
    plot = named(one.plots(), "Drawdown")
    record, calibration = one.record, one.context.calibrations["fading"]
    path = drawdown_path(record.returns[record.live])

    below = [each for each in series(plot, "below its high").values if each is not None]
    assert below[-1] == pytest.approx(path[-1])
    assert min(below) == pytest.approx(path.min())
    assert [each.label for each in plot.limits] == ["5 % of years", "1 % of years"]
    for limit, share in zip(plot.limits, RARE, strict=True):
        first, last = (
            -np.expm1(
                -calibration.badness_at(
                    STATISTICS["drawdown"].name_after(age, calibration.year), share
                )
            )
            for age in (1, len(path))
        )
        assert limit.path[0] == pytest.approx(-first)
        assert limit.path[-1] == limit.value == pytest.approx(-last)
    assert plot.limits[1].value < plot.limits[0].value < 0.0
    assert plot.since is not None


def test_the_sharpe_ratio_begins_with_its_first_window_and_has_calibrated_limits() -> None:
    plot = named(life("fading").plots(), "Sharpe ratio")
    values = series(plot, "63 sessions").values

    assert values[0] is None
    assert values[-1] is not None
    assert [each.label for each in plot.limits] == ["5 % of years", "1 % of years"]
    assert plot.limits[1].value < plot.limits[0].value


def test_the_detector_that_found_most_is_shown_against_its_limit() -> None:
    one = life("fading")
    plot = named(one.plots(), "Decay: ")
    own = [each for each in one.judgements[0].evaluations if each.rule == plot.rule]

    assert own[0].p_year is not None
    assert plot.limits[0].path
    assert len(plot.limits[0].path) == len(plot.dates)
    assert plot.since is not None
    assert not [each for each in life("fresh").plots() if each.title.startswith("Decay")]


def test_bad_days_are_ticks_where_they_were_and_none_is_lost_to_thinning() -> None:
    one = life("hits")
    plot = named(one.plots(), "Days below")
    ticks = series(plot, "such days").values
    marked = [day for day, each in zip(plot.dates, ticks, strict=True) if each is not None]

    hits = [one.record.dates[place].astype(object) for place in (-30, -24, -17, -9, -4, -3, -2, -1)]
    for hit in hits:
        assert any(hit <= day <= hit + timedelta(days=5) for day in marked)
    assert series(plot, "of 30").values[-1] == pytest.approx(8.0, abs=2.0)
    assert "of the last 30 sessions" in plot.text


def test_the_calendar_has_the_size_of_each_session() -> None:
    one = life("crash")
    plot = named(one.plots(), HEAT)
    (sizes,) = plot.series

    assert sizes.kind is Kind.HEAT
    assert len(plot.dates) == int(one.record.live.sum())
    assert sizes.values[-1] is not None
    assert sizes.values[-1] < -6.0
    newest = named(life("long").plots(), HEAT).dates
    assert 500 <= len(newest) <= 521
    young = named(life("fresh").plots(), HEAT)
    assert "of all its days" in young.text


def test_a_shadow_is_shown_where_there_is_one() -> None:
    assert named(life("shadowed").plots(), "Live minus its model").rule == "shadow_gap"
    assert not [each for each in life("fading").plots() if each.title.startswith("Live minus")]


def test_days_that_are_asked_for_narrow_every_plot() -> None:
    one = life("fading")
    days = one.record.dates[one.record.live].astype(object).tolist()
    plots = one.plots(first=days[100], last=days[149])

    for plot in plots:
        assert (plot.dates[0], plot.dates[-1]) == (days[100], days[149])
    assert len(plots) >= 5
    assert one.plots(first=date(2099, 1, 1)) == []
    assert one.plots(last=date(1999, 1, 1)) == []
    (heat, *_) = [each for each in plots if each.title == HEAT]
    assert len(heat.dates) == 50


def test_before_there_is_a_live_row_there_are_no_plots() -> None:
    record = a_record([], backtest=noise(300, seed=1), strategy="waiting")
    context = replace(life("fresh").context, records={"waiting": record})

    assert life_plots(record, context, (), ()) == []


def test_a_life_without_projections_or_moves_has_what_can_be_drawn() -> None:
    flat = judged(a_record(np.zeros(80), strategy="flat"))
    titles = [each.title for each in flat.plots()]

    assert titles == ["Live path", "Drawdown"]
    fan = flat.plots()[0]
    assert "without a projection" in fan.text
    assert fan.limits == ()
    assert "not known yet" in flat.plots()[1].text


def test_a_wiped_out_strategy_is_drawn_to_its_end() -> None:
    rows = noise(120, seed=2)
    rows[100] = -1.4
    plots = judged(a_record(rows, strategy="gone")).plots()

    fan = named(plots, "Live path")
    assert series(fan, "live").values[-1] == pytest.approx(-1.0)
    for plot in plots:
        svg(plot, frame=SMALL)


def test_ten_years_of_plots_take_little_of_a_page() -> None:
    one = life("long")
    assert int(one.record.live.sum()) == TEN_YEARS
    one.plots()
    begun = time.process_time()
    context = replace(one.context, made={}, kept={})
    evaluations = [each for found in one.judgements for each in found.evaluations]
    plots = life_plots(one.record, context, one.launches, evaluations)
    drawn = [svg(each, frame=SMALL) for each in plots]
    # A tenth of this on a machine that does nothing else.
    assert time.process_time() - begun < 1.0
    assert sum(len(each.encode()) for each in drawn) < 40_000


def test_roles_tell_bands_from_lines() -> None:
    plot = named(life("fading").plots(), "Live path")

    assert series(plot, "95 % band").role is Role.RANGE
    assert series(plot, "68 % of paths").role is Role.INNER_RANGE
    assert series(plot, "median").role is Role.EXPECTED
