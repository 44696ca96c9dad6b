from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.context import (
    MAXIMUM_MISSING,
    Case,
    Rating,
    day_of_row,
    evaluation_of,
    insufficient_data,
    yearly,
)
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Kind, Outcome
from perf_alerts_dagster.judging.rules.catalogue import BY_ID
from perf_alerts_dagster.projections.calibration import SEVERITIES, TAILS, Calibration
from perf_alerts_dagster.records.sessions import missing, open_calendar
from perf_alerts_tests.builders import a_record, context_of, near, noise

RECORD = a_record([0.01])


def breach(
    rule: str, severity: Severity, p_year: float | None, *, projected: bool = True
) -> Evaluation:
    rating = None if p_year is None else Rating(p_year=p_year, false_alarm_rate=0.02)
    context = context_of(RECORD, rate=lambda strategy, rule, value: rating)
    return evaluation_of(
        context, "trend", BY_ID[rule], severity=severity, value=-0.1, limit=-0.08, message="is low"
    )


@pytest.mark.parametrize(
    ("severity", "p_year", "evidence"),
    [
        (Severity.WARNING, 0.05, Evidence.STRONG),
        (Severity.WARNING, 0.0501, Evidence.WEAK),
        (Severity.CRITICAL, 0.01, Evidence.STRONG),
        (Severity.CRITICAL, 0.0501, Evidence.WEAK),
        (Severity.EMERGENCY, 0.01, Evidence.STRONG),
        (Severity.EMERGENCY, 0.06, Evidence.WEAK),
        (Severity.WARNING, None, Evidence.UNRATED),
    ],
)
def test_a_gated_breach_carries_what_it_is_worth(
    severity: Severity, p_year: float | None, evidence: Evidence
) -> None:
    judged = breach("mean_shortfall_252", severity, p_year)

    assert judged.evidence is evidence
    assert judged.p_year == p_year
    assert judged.is_notified() is (evidence is Evidence.STRONG)
    assert judged.is_notified(gate=False)


@pytest.mark.parametrize(
    ("p_year", "notified"), [(0.001, Severity.EMERGENCY), (0.00101, Severity.WARNING)]
)
def test_a_critical_limit_with_evidence_for_a_warning_is_told_as_a_warning(
    p_year: float, notified: Severity
) -> None:
    judged = breach("drawdown", Severity.EMERGENCY, p_year)

    assert judged.severity is Severity.EMERGENCY
    assert judged.notified_severity is notified
    assert judged.is_notified(minimum=Severity.CRITICAL) is (notified is Severity.EMERGENCY)


def test_an_ungated_breach_is_told_without_evidence() -> None:
    judged = breach("policy_drawdown", Severity.WARNING, 0.9)

    assert judged.evidence is Evidence.UNGATED
    assert judged.p_year is None
    assert judged.is_notified()


@pytest.mark.parametrize("gate", [True, False])
def test_info_is_never_told(gate: bool) -> None:
    assert not breach("policy_drawdown", Severity.INFO, None).is_notified(gate=gate)


def test_what_tells_critical_only_leaves_a_warning_out() -> None:
    assert not breach("policy_drawdown", Severity.WARNING, None).is_notified(
        minimum=Severity.CRITICAL
    )
    assert breach("policy_drawdown", Severity.EMERGENCY, None).is_notified(
        minimum=Severity.CRITICAL
    )


@pytest.mark.parametrize("outcome", [one for one in Outcome if one is not Outcome.BREACH])
def test_nothing_but_a_breach_is_told(outcome: Outcome) -> None:
    one = Evaluation(
        strategy="trend", rule="drawdown", outcome=outcome, severity=Severity.CRITICAL,
        evidence=Evidence.UNGATED,
    )  # fmt: skip

    assert not one.is_notified(gate=False)


def test_the_severity_and_the_wording_are_not_in_the_dedup_key() -> None:
    keys = {
        breach("drawdown", severity, None).dedup_key
        for severity in (Severity.WARNING, Severity.CRITICAL)
    }

    assert keys == {"trend|drawdown|-"}


def test_hostile_names_cannot_forge_another_strategys_key() -> None:
    one = Evaluation(strategy="a|drawdown", rule="x", outcome=Outcome.OK, kind=Kind.LEVEL)
    other = Evaluation(strategy="a", rule="drawdown|x", outcome=Outcome.OK, kind=Kind.LEVEL)
    third = Evaluation(strategy="a\\", rule="|x", outcome=Outcome.OK, kind=Kind.LEVEL)

    assert len({one.dedup_key, other.dedup_key, third.dedup_key}) == 3


def test_an_ok_has_no_evidence() -> None:
    one = evaluation_of(
        context_of(RECORD),
        "trend",
        BY_ID["drawdown"],
        severity=None,
        value=0.0,
        limit=-0.08,
        message="",
    )

    assert one.outcome is Outcome.OK
    assert one.evidence is None


def test_all_that_a_rating_says_stands_in_the_evaluation() -> None:
    rating = Rating(p_year=0.002, false_alarm_rate=0.003)
    found = evaluation_of(
        context_of(RECORD, rate=lambda strategy, rule, value: rating),
        "trend",
        BY_ID["drawdown"],
        severity=Severity.CRITICAL,
        value=-0.15,
        limit=-0.12,
        message="is low",
        observations=40,
        required=1,
        session=date(2026, 1, 5),
        provisional=True,
        parts={"deepest": -0.2},
        projection="launch:2025-01-02",
    )

    assert found == Evaluation(
        strategy="trend",
        rule="drawdown",
        outcome=Outcome.BREACH,
        kind=Kind.LEVEL,
        severity=Severity.CRITICAL,
        value=-0.15,
        limit=-0.12,
        observations=40,
        required=1,
        evidence=Evidence.STRONG,
        p_year=0.002,
        false_alarm_rate=0.003,
        session=date(2026, 1, 5),
        projection="launch:2025-01-02",
        provisional=True,
        message="is low",
        parts={
            "deepest": -0.2,
            "levels": {"warning": near(0.005), "critical": near(0.001)},
            "told_as": "warning",
        },
    )


def test_what_is_fine_keeps_its_share_of_years_and_has_no_evidence() -> None:
    rating = Rating(p_year=0.004)
    found = evaluation_of(
        context_of(RECORD, rate=lambda strategy, rule, value: rating),
        "trend",
        BY_ID["drawdown"],
        severity=None,
        value=-0.05,
        limit=-0.08,
        message="is fine",
    )

    assert found == Evaluation(
        strategy="trend",
        rule="drawdown",
        outcome=Outcome.OK,
        value=-0.05,
        limit=-0.08,
        required=1,
        p_year=0.004,
        message="is fine",
        parts={"levels": {"warning": near(0.005), "critical": near(0.001)}},
    )


@pytest.mark.parametrize(
    ("why", "message"),
    [("", "3 of 20 rows"), ("no trades", "3 of 20 rows; no trades")],
)
def test_too_little_data_says_how_little_and_of_which_kind(why: str, message: str) -> None:
    found = insufficient_data("trend", BY_ID["wipe_out"], observations=3, required=20, why=why)

    assert found == Evaluation(
        strategy="trend",
        rule="wipe_out",
        outcome=Outcome.INSUFFICIENT_DATA,
        kind=Kind.EVENT,
        observations=3,
        required=20,
        message=message,
    )


@pytest.mark.parametrize(
    ("rows", "given", "message"),
    [
        (40, (40, 252), "40 of 252 rows: judged from about 18 Dec on"),
        (40, (40, 756), "40 of 756 rows: judged from about 22 Nov 2025 on"),
        (1, (1, 11), "1 of 11 rows: judged from about 16 Jan on"),
        (5, (0, 1), "no row yet: judged from about 7 Jan on"),
        (40, (40, 1, "no calibration yet"), "no calibration yet"),
        (40, (5, 252, "", "backtest rows"), "5 of 252 backtest rows"),
        (40, (0, 1, "no number"), "no number"),
        (0, (0, 1), "0 of 1 rows"),
    ],
)
def test_rows_that_only_need_time_have_the_day_from_which_on_they_are_enough(
    rows: int, given: tuple[int, int], message: str
) -> None:
    record = a_record(np.zeros(max(rows, 1))).rows(0, rows)
    context = context_of(a_record(np.zeros(max(rows, 1))))

    found = Case(BY_ID["drawdown"], record, context).lacks(*given)

    assert found.message == message
    assert (found.observations or 0) <= (found.required or 0)


def test_a_row_to_come_has_a_day_by_the_distance_of_the_newest_rows() -> None:
    daily = np.arange("2026-01-05", "2026-04-05", dtype="datetime64[D]")

    assert day_of_row(daily, 10) == date(2026, 4, 14)
    assert day_of_row(daily[::7], 2) == date(2026, 4, 13)
    assert day_of_row(daily[:3], 3) == date(2026, 1, 10)
    assert day_of_row(daily[:1], 5) == date(2026, 1, 12)


def test_a_window_with_gaps_says_which_share_of_it_is_missing() -> None:
    full = a_record(np.zeros(40))
    kept = np.r_[0:25, 28:40]
    gappy = a_record(np.zeros(37), dates=full.dates[kept])
    context = context_of(gappy, sessions=full.dates)

    sharpe = BY_ID["rolling_sharpe"]

    case = Case(sharpe, gappy, context)

    assert case.gaps(30) is None
    assert case.gaps(20) == Evaluation(
        strategy="trend",
        rule="rolling_sharpe",
        outcome=Outcome.INSUFFICIENT_DATA,
        observations=20,
        required=20,
        message="3 of the window's 23 sessions have no row",
    )


def test_a_record_without_rows_has_no_open_row() -> None:
    record = a_record(noise(5))

    assert not context_of(record).is_open(record.rows(0, 0))


@pytest.mark.parametrize("name", ["weekdays", "24/7", "weekly", "monthly"])
@pytest.mark.parametrize("seed", range(3))
def test_the_gaps_of_a_window_are_those_between_its_own_rows(name: str, seed: int) -> None:
    calendar = open_calendar(name)
    days = calendar.sessions(date(2000, 1, 1), date(2025, 12, 31))[-300:]
    rng = np.random.default_rng(seed)
    # Rows of a weekly or monthly book may come on another day than the one they are expected on.
    moved = days - rng.integers(0, 3, len(days)) * (name in ("weekly", "monthly"))
    dates = moved[rng.random(len(days)) > 0.09]
    record = replace(a_record([0.01]), dates=dates, returns=np.zeros(len(dates)))
    context = context_of(record)
    context = replace(
        context, calendars={"trend": replace(context.calendars["trend"], days=calendar)}
    )

    for window in (1, 20, 30, 63, 76, 126, 127, 250):
        rows = dates[-window:]
        gaps = len(missing(rows, calendar))
        share = gaps / (gaps + len(rows))
        found = Case(BY_ID["drawdown"], record, context).gaps(window)
        assert (found is not None) == (share > MAXIMUM_MISSING), window
        assert found is None or found.message.startswith(f"{gaps} of the window's ")


def test_what_several_rules_need_is_made_once() -> None:
    context, made = context_of(RECORD), []

    def make() -> int:
        made.append(1)
        return 7

    later = replace(context, made={})
    assert [each.once("key", make) for each in (context, context, later)] == [7, 7, 7]
    assert len(made) == 2
    assert [each.once("key", make, of_session=False) for each in (context, later)] == [7, 7]
    assert len(made) == 3


def a_calibration(**worst: float) -> Calibration:
    """Each statistic evenly spread up to a number, and weights that are given as they are."""
    return Calibration(
        worst={name: most * (1.0 - TAILS) for name, most in worst.items()},
        factors={severity: np.ones(len(TAILS)) for severity in SEVERITIES},
    )


def test_a_level_is_the_rules_share_of_the_budget_scaled_where_there_is_a_calibration() -> None:
    budgets = Budgets(warning=0.04, critical=0.008, of_strategy={"trend": {"drawdown": {
        "warning": 0.03}}})  # fmt: skip
    rated = context_of(
        RECORD, budgets=budgets, calibrations={"trend": a_calibration(rolling_sharpe=1.0)}
    )
    bare = context_of(RECORD, budgets=budgets, calibrations={"trend": Calibration(worst={})})
    none = context_of(RECORD, budgets=budgets)

    assert rated.levels_of("trend", "drawdown") == pytest.approx((0.03, 0.0008))
    assert rated.levels_of("trend", "mean_shortfall_252") == (0.04, 0.008)
    for context in (bare, none):
        assert context.levels_of("trend", "drawdown") == pytest.approx((0.03, 0.0008))
        assert context.levels_of("trend", "mean_shortfall_126") == pytest.approx((0.02, 0.004))
    # What has no weight is never notified with the gate.
    for context in (rated, bare, none):
        assert context.levels_of("trend", "joint_exceedances") == (0.0, 0.0)


def test_a_rating_has_the_level_and_what_few_years_reach_the_documented_limit() -> None:
    context = context_of(RECORD, calibrations={"trend": a_calibration(drawdown_1=1.0)})

    found = context.rating("trend", BY_ID["drawdown"], -0.2)
    assert found is not None
    assert found.p_year == pytest.approx(1.0 + np.log1p(-0.2))
    # It is notified at its own line as well, here of half, unless a mandate is in its place.
    assert found.false_alarm_rate == pytest.approx(1.0 + np.log1p(-0.5))
    policy = {"default": {"drawdown": 0.3}}
    mandated = context_of(RECORD, calibrations=context.calibrations, policy=policy)
    found = mandated.rating("trend", BY_ID["drawdown"], -0.2)
    assert found is not None
    assert found.false_alarm_rate == pytest.approx(0.005)
    assert context.rating("trend", BY_ID["wipe_out"], -0.2) is None
    assert context_of(RECORD).rating("trend", BY_ID["drawdown"], -0.2) is None


@pytest.mark.parametrize("rows", [63, 126, 252, 504])
def test_a_share_of_windows_is_converted_to_that_of_years(rows: int) -> None:
    assert yearly(0.01, rows, 252.0) == pytest.approx(1.0 - 0.99 ** (252 / rows))
    assert yearly(0.01, rows, 52.0) == pytest.approx(1.0 - 0.99 ** (52 / rows))
