"""What each rule's plot shows, on a desk where every kind of rule has something to show."""

import json
import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.judging.rules import forward_test, thresholds
from perf_alerts_dagster.judging.rules.catalogue import BY_ID, RULES
from perf_alerts_dagster.judging.rules.data_quality import vanished
from perf_alerts_dagster.judging.rules.decay import LONG, OWN, SHORT, SUM
from perf_alerts_dagster.judging.rules.hedged import RULE as HEDGED
from perf_alerts_dagster.judging.rules.life_cusum import RULE as LIFE_CUSUM
from perf_alerts_dagster.judging.rules.life_cusum import judge_cusum
from perf_alerts_dagster.plots.judged import axis_of
from perf_alerts_dagster.plots.of_rules import PLOTS, plot_of
from perf_alerts_dagster.plots.plot import (
    FLAGGED,
    NO_ROW,
    Kind,
    Plot,
    Role,
    Series,
    plot_from_json,
)
from perf_alerts_dagster.plots.svg import svg
from perf_alerts_dagster.projections.calibration import TAILS
from perf_alerts_dagster.projections.projection import Expectation, ProjectionsInForce
from perf_alerts_dagster.records.desk import Seen
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.records.sources.sample import SampleSource
from perf_alerts_tests.builders import a_record, context_of, noise
from perf_alerts_tests.plots.gallery import Picture, pictures, pictures_of


def test_the_plot_of_every_rule_resolves_and_no_plot_is_of_none() -> None:
    assert {rule.plot for rule in RULES} == PLOTS.keys()
    assert len(PLOTS) < len(RULES) / 2


def shown(strategy: str, rule: str, **more: Any) -> Picture:
    found = [
        each
        for each in pictures()
        if (each.evaluation.strategy, each.evaluation.rule) == (strategy, rule)
        and all(getattr(each.evaluation, name) == value for name, value in more.items())
    ]
    assert found, (strategy, rule)
    return found[0]


def drawn(strategy: str, rule: str, **more: Any) -> tuple[Evaluation, Plot]:
    picture = shown(strategy, rule, **more)
    assert picture.plot is not None
    return picture.evaluation, picture.plot


def measured(plot: Plot) -> Series:
    """The series that is labelled with the rule's value."""
    chosen = [each for each in plot.series if each.role is Role.MEASURED]
    return [each for each in chosen if each.kind in (Kind.LINE, Kind.BARS)][-1]


def last(plot: Plot) -> float:
    return [each for each in measured(plot).values if each is not None][-1]


def is_sound(picture: Picture) -> bool:
    """Whether it can be stored, drawn, and says of itself what it is."""
    plot = picture.plot
    if plot is None:
        return False
    text = json.dumps(plot.to_json(), allow_nan=False, separators=(",", ":"))
    for drawing in (svg(plot), svg(plot_from_json(json.loads(text)), standalone=True)):
        root = ET.fromstring(drawing)
        assert "nan" not in drawing
        assert (root[0].text, root[1].text) != ("", "")
    assert all(len(each.values) == len(plot.dates) for each in plot.series)
    assert all(len(each.path) in (0, len(plot.dates)) for each in plot.limits)
    assert list(plot.dates) == sorted(plot.dates)
    assert plot.since is None or plot.since <= plot.dates[-1]
    return len(text) < 6_500 and len(plot.dates) <= 252 + 70


def alone(record: StrategyRecord) -> JudgeContext:
    return context_of(record, records={record.strategy: record})


pytestmark = pytest.mark.slow


def test_every_evaluation_with_a_value_has_a_sound_plot() -> None:
    without = {
        (each.evaluation.strategy, each.evaluation.rule)
        for each in pictures()
        if not is_sound(each)
    }

    # The group of all is none where the currency of its members is not known.
    assert without <= {("ALL", "joint_exceedances")}


def test_the_gallery_shows_every_rule_but_those_that_need_another_time_to_judge() -> None:
    of_time = {"record_error", "life_cusum", "forward_test_change"}

    assert {each.evaluation.rule for each in pictures()} >= BY_ID.keys() - of_time


def test_a_breach_shows_the_limit_that_was_broken_or_says_it() -> None:
    breaches = [
        each.plot
        for each in pictures()
        if each.evaluation.outcome is Outcome.BREACH and each.plot is not None
    ]

    assert len({plot.rule for plot in breaches}) >= 20
    assert [plot.rule for plot in breaches if not plot.limits and not plot.note] == []


def test_the_limit_is_the_evaluation_s_where_the_plot_is_in_its_unit() -> None:
    in_another_unit = {"sharpe_degradation", "pnl_deviation", "exceedance_rate", "win_rate"}
    in_another_unit |= {"profit_factor"}
    for each in pictures():
        plot, found = each.plot, each.evaluation
        if plot is None or not plot.limits or found.rule in in_another_unit:
            continue
        assert plot.limits[0].value == pytest.approx(found.limit), (found.strategy, found.rule)


def test_the_value_at_the_end_of_the_line_is_the_evaluation_s() -> None:
    of = {"interval_breach", "daily_exceedance", "drawdown", "rolling_sharpe", "decay_cusum"}
    of |= {"mean_shortfall_126", "mean_shortfall_252", "hedged_decay_cusum", "policy_daily_loss"}
    of |= {"policy_weekly_loss", "policy_monthly_loss", "policy_drawdown", "policy_column"}
    of |= {"volatility_shift", "consecutive_exceedances", "wipe_out"}
    seen = set()
    for each in pictures():
        plot, found = each.plot, each.evaluation
        if plot is None or found.rule not in of or found.outcome is Outcome.NO_DATA:
            continue
        seen.add(found.rule)
        value = found.value if plot.value is None else plot.value
        assert last(plot) == pytest.approx(found.value, rel=1e-9), (found.strategy, found.rule)
        assert value == pytest.approx(found.value)

    assert seen == of


def test_a_band_shows_what_was_lived_and_a_quarter_more_at_the_level_that_was_broken() -> None:
    found, plot = drawn("sunk", "interval_breach", outcome=Outcome.BREACH)
    lived = found.observations or 0

    assert len(plot.dates) == lived + max(math.ceil(lived / 4), 5)
    assert measured(plot).values[lived:] == (None,) * (len(plot.dates) - lived)
    assert plot.limits[0].label == "99 % band"
    assert plot.series[0].lower == plot.limits[0].path
    below = [
        day
        for day, value, edge in zip(
            plot.dates, measured(plot).values, plot.limits[0].path, strict=True
        )
        if value is not None and edge is not None and value > edge
    ]
    assert plot.since is not None
    assert max(below) < plot.since


def test_a_path_above_its_band_shows_the_upper_edge() -> None:
    picture = shown("hits", "interval_breach")
    found = replace(picture.evaluation, parts={**picture.evaluation.parts, "above": True})
    plot = plot_of(found, picture.context)

    assert plot is not None
    assert plot.limits[0].path == plot.series[0].values


def test_a_bad_day_stands_beside_the_days_that_it_is_compared_with() -> None:
    found, plot = drawn("crash", "daily_exceedance")

    assert plot.since == found.session == plot.dates[-1]
    assert len(plot.dates) == 63
    assert plot.limits[0].label == "1.5 x the worst before"


def test_exceedances_are_ticks_below_their_count() -> None:
    found, plot = drawn("hits", "exceedance_rate", outcome=Outcome.BREACH)
    ticks = plot.series[0]

    assert ticks.kind is Kind.TICKS
    assert sum(each is not None for each in ticks.values) == found.parts["hits"] == last(plot)
    assert plot.limits[0].value == pytest.approx((found.limit or 0.0) * len(plot.dates))
    assert plot.since == plot.dates[next(k for k, each in enumerate(ticks.values) if each)]


def test_a_drawdown_begins_after_its_high() -> None:
    found, plot = drawn("fading", "drawdown")
    values = dict(zip(plot.dates, measured(plot).values, strict=True))

    assert str(plot.since) == found.parts["episode"]
    assert all(
        (each or 0.0) < 0.0 for day, each in values.items() if plot.since and day >= plot.since
    )
    assert min(each or 0.0 for each in values.values()) == pytest.approx(found.parts["deepest"])


def test_decay_is_drawn_against_the_limit_for_its_age() -> None:
    found, plot = drawn("fading", "decay_cusum")
    limits = {each for each in plot.limits[0].path}

    assert plot.logarithmic
    # In its second year the sum has a limit of its own.
    assert len(limits) == 2
    assert str(plot.since) == found.parts["change_date"]
    assert [each.name for each in plot.series] == ["since launch"]


@pytest.mark.parametrize("rule", [SHORT, LONG, HEDGED])
def test_decay_against_the_own_record_is_drawn_from_its_253rd_row_on(rule: Any) -> None:
    strategy = "hedged" if rule is HEDGED else "sunk"
    found, plot = drawn(strategy, rule.id)

    assert found.parts["compared_with"] == OWN
    assert plot.series[0].name == "against its own record"
    assert len(plot.dates) == 300 - 252
    assert plot.limits[0].path == (plot.limits[0].value,) * len(plot.dates)


def test_the_gap_since_launch_is_drawn_by_what_found_it() -> None:
    found, plot = drawn("sunk", "gap_since_launch")

    assert found.parts["found_by"] == SUM.id
    assert (plot.unit, plot.logarithmic) == (axis_of(SUM.unit), True)
    assert plot.limits[0].value == pytest.approx(found.limit)


def test_a_gap_that_is_within_its_limit_again_shows_the_value_and_the_day_that_broke_it() -> None:
    """It is a breach for the whole life: the picture says why, in the unit of what found it."""
    picture = next(
        each
        for each in pictures()
        if each.evaluation.strategy == "sunk" and each.evaluation.rule == "gap_since_launch"
    )
    found_on = date.fromisoformat(str(picture.evaluation.parts["found_on"]))
    _, sound = drawn("sunk", "gap_since_launch")
    assert sound.since == found_on
    place = sound.dates.index(found_on)
    assert sound.series[0].values[place] == pytest.approx(picture.evaluation.value)
    assert sound.value == pytest.approx(picture.evaluation.value)
    assert (sound.value or 0.0) >= sound.limits[0].value
    assert sound.note.endswith(" now")


def test_what_is_flat_is_marked_in_the_calendar_from_its_first_session_on() -> None:
    found, plot = drawn("flat", "flat_run")
    codes = plot.series[0].values

    assert sum(each == FLAGGED for each in codes) == found.value == 41
    assert plot.since == plot.dates[codes.index(FLAGGED)]
    assert "41 sessions in a row" in plot.note


def test_repeats_of_a_row_are_marked_after_it() -> None:
    found, plot = drawn("stuck", "repeated_pnl")

    assert sum(each == FLAGGED for each in plot.series[0].values) == found.value == 5


@pytest.mark.parametrize("rule", ["no_data", "drawdown", "decay_cusum"])
def test_a_late_strategy_shows_which_rows_are_missing_whatever_the_rule(rule: str) -> None:
    found, plot = drawn("late", rule)
    codes = plot.series[0].values

    assert codes[-5:] == (NO_ROW,) * 5
    assert codes[-6] != NO_ROW
    assert plot.since == plot.dates[-5]
    assert found.value == 5.0


def test_a_group_s_missing_row_is_no_reason_to_draw_nothing() -> None:
    assert shown("ALL:unknown", "drawdown").plot is not None


def test_trades_are_added_up_beside_what_the_backtest_expects_of_as_many() -> None:
    won, plot = drawn("traded", "win_rate")

    assert last(plot) == round((won.value or 0.0) * 100)
    assert plot.limits[0].value == pytest.approx((won.limit or 0.0) * 100)
    run, plot = drawn("traded", "losing_run")
    assert max(each or 0.0 for each in measured(plot).values) == run.value
    earned, plot = drawn("traded", "profit_factor")
    assert earned.value is not None
    assert last(plot) < 0.0 < plot.limits[0].value


def test_a_shadow_is_drawn_as_the_difference_since_its_fault() -> None:
    found, plot = drawn("shadowed", "shadow_gap")

    assert str(plot.since) == found.parts["fault_since"]
    assert "healthy years" in plot.note


def test_a_column_is_drawn_with_both_bounds_the_broken_one_first() -> None:
    found, plot = drawn("levered", "policy_column")

    assert [each.value for each in plot.limits] == [3.0, 0.5]
    assert plot.since is not None
    assert plot.unit == found.parts["column"] == "leverage"
    lower = replace(found, limit=0.5, value=0.4)
    low = plot_of(lower, shown("levered", "policy_column").context)
    assert low is not None
    assert [each.value for each in low.limits] == [0.5, 3.0]


def test_a_headline_is_the_title_and_the_message_the_description() -> None:
    picture = shown("crash", "drawdown")
    found, plot = drawn("crash", "drawdown")

    assert plot.title == "crash -25.7 % below its high of 9 Jun 2026"
    assert plot.text == found.message
    # As incidents of the version before are.
    parts = {name: part for name, part in found.parts.items() if name != "headline"}
    without = plot_of(replace(found, parts=parts), picture.context)
    assert without is not None
    assert without.title == "crash: drawdown"


def test_the_joint_exceedances_are_drawn_as_the_days_of_all() -> None:
    picture = next(each for each in pictures() if each.evaluation.rule == "joint_exceedances")
    group = next(one for name, one in picture.context.records.items() if name.startswith("ALL"))
    records = {**picture.context.records, "ALL": group}
    found = replace(picture.evaluation, value=3.0)
    plot = plot_of(found, replace(picture.context, records=records))

    assert plot is not None
    assert plot.note == "3 strategies below their 1 % quantile"
    assert plot.dates[-1] == found.session


def test_the_forward_test_is_two_bars_and_the_change_that_is_allowed() -> None:
    record = a_record(noise(300))
    days = [str(record.dates[each]) for each in (-25, -1)]
    before, now = (
        Expectation(issued_on=day, monthly=monthly, standard_error=0.0001)
        for day, monthly in zip(days, (0.02, 0.008), strict=True)
    )
    found = forward_test.forward_test_change("trend", before=before, now=now)
    plot = plot_of(found, alone(record))

    assert plot is not None
    assert measured(plot).values == (0.02, 0.008)
    assert plot.limits[0].value == pytest.approx(0.02 * 0.5)
    assert [str(day) for day in plot.dates] == days
    lacking = forward_test.forward_test_change("trend", before=None, now=now)
    assert plot_of(lacking, alone(record)) is None
    assert plot_of(replace(found, parts={}), alone(record)) is None


def test_the_sum_of_the_version_before_is_drawn_while_its_incident_is_open() -> None:
    picture = shown("sunk", "interval_breach")
    calibration = picture.context.calibrations["sunk"]
    worst = {f"life_cusum_{year}": np.linspace(9.0, 1.0, len(TAILS)) for year in (1, 2, 3)}
    context = replace(
        picture.context,
        life_cusum={"sunk": replace(calibration, worst={**calibration.worst, **worst})},
    )
    (found,) = judge_cusum(picture.context.records["sunk"], context)
    plot = plot_of(found, context)

    assert found.rule == LIFE_CUSUM.id
    assert plot is not None
    assert last(plot) == pytest.approx(found.value)
    assert plot_of(found, replace(context, in_force={})) is None


def test_documented_volatility_is_a_line_with_both_bounds() -> None:
    picture = shown("wild", "volatility_shift")
    context = replace(picture.context, in_force={}, calibrations={})
    found = replace(picture.evaluation, parts={})
    plot = plot_of(found, context)

    assert plot is not None
    assert [each.value for each in plot.limits] == [2.0, 0.5]
    young = replace(context, records={"wild": picture.context.records["wild"].rows(0, 800)})
    assert plot_of(found, young) is None


@pytest.mark.parametrize("rule", [each.id for each in RULES])
def test_a_rule_whose_rows_and_projection_are_not_there_has_no_plot_or_a_sound_one(
    rule: str,
) -> None:
    record = a_record([0.001])
    context = alone(record)
    found = Evaluation(
        strategy="trend",
        rule=rule,
        outcome=Outcome.BREACH,
        value=1.0,
        message="one row",
        session=record.dates[-1].astype(object),
    )

    picture = Picture(evaluation=found, context=context, plot=plot_of(found, context))
    assert picture.plot is None or is_sound(picture)
    assert plot_of(replace(found, strategy="another"), context) is None
    assert plot_of(replace(found, value=None), context) is None


def test_an_unknown_rule_and_a_strategy_that_vanished_have_no_plot() -> None:
    record = a_record(noise(30))
    found = Evaluation(strategy="trend", rule="of_tomorrow", outcome=Outcome.BREACH, value=1.0)
    seen = Seen(rows=9, first=date(2023, 1, 2), last=date(2024, 1, 2), capital=1.0)

    assert plot_of(found, alone(record)) is None
    assert plot_of(vanished("gone", seen, seen.last), alone(record)) is None


def test_a_wiped_out_strategy_shows_the_day() -> None:
    record = a_record([*noise(30), -1.0])
    found = thresholds.judge_wipe_out(record, alone(record))
    plot = plot_of(found, alone(record))

    assert plot is not None
    assert last(plot) == plot.limits[0].value == -1.0
    assert plot.since == plot.dates[-1]


def test_huge_returns_and_hostile_names_are_drawn() -> None:
    name = '</svg><script>alert("x")</script>\x00'
    record = a_record([*noise(80), 1.7e308, 1e12, -0.999999], strategy=name)
    context = alone(record)
    for rule in ("drawdown", "rolling_sharpe", "policy_daily_loss", "flat_run"):
        found = Evaluation(
            strategy=name, rule=rule, outcome=Outcome.BREACH, value=-1.0, limit=-0.2, message=name
        )
        picture = Picture(evaluation=found, context=context, plot=plot_of(found, context))
        assert is_sound(picture), rule


def test_the_bundled_sample_is_drawn_whole(tmp_path: Any) -> None:
    source = SampleSource(tmp_path).load(date(2026, 1, 7))
    some = dict(list(source.strategies.items())[::12])
    some |= {name: one for name, one in source.strategies.items() if one.owner == "made up"}
    found = pictures_of(replace(source, strategies=some))

    assert len({each.evaluation.strategy for each in found}) >= 5
    missing = {each.evaluation.rule for each in found if not is_sound(each)}
    assert missing <= {"joint_exceedances"}


def test_without_a_projection_there_is_no_band() -> None:
    picture = shown("sunk", "interval_breach")
    context = replace(picture.context, in_force={"sunk": ProjectionsInForce()})

    assert plot_of(picture.evaluation, context) is None
    assert SUM.id in BY_ID
