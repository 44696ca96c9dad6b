"""The live path against its band: one-sided, at its own levels, with a share of a whole year."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.rules.interval import judge_intervals
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.calibration import SEVERITIES, TAILS, Calibration
from perf_alerts_dagster.projections.projection import InForce, ProjectionsInForce
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.ewma_volatility import filter_returns
from perf_alerts_tests.builders import a_record, context_of, near, noise
from perf_alerts_tests.judging.wording import plain

BACKTEST = noise(756, mean=0.0006)
# The budget of a band: a twentieth of the largest weight.
LEVELS = {"warning": near(0.0025), "critical": near(0.0005)}
PATHS = 10_000


def force(kind: str, issued_on: date, *, horizon: int) -> InForce:
    residuals = filter_returns(BACKTEST)
    assert residuals is not None
    (fan,) = fans([residuals], draw(1, PATHS, horizon), horizon)
    return InForce(
        kind=kind,
        issued_on=issued_on,
        fan=fan,
        mean=float(BACKTEST.mean()),
        log_mean=residuals.mean,
        log_sigma=residuals.sigma,
    )


ISSUED: date = a_record([], backtest=BACKTEST).dates[-1].astype(object)
LAUNCH = force("launch", ISSUED, horizon=252)
JUDGING = force("judging", ISSUED, horizon=63)


def record(path: Floats) -> StrategyRecord:
    """Live rows whose cumulative log return is `path`."""
    return a_record(np.expm1(np.diff(path, prepend=0.0)), backtest=BACKTEST)


def judge(live: StrategyRecord, *, judging: bool = False) -> list[Evaluation]:
    projections = ProjectionsInForce(launch=LAUNCH, judging=JUDGING if judging else None)
    return list(judge_intervals(live, context_of(live, in_force={"trend": projections})))


def interval(path: Floats) -> Evaluation:
    return judge(record(path))[0]


@pytest.mark.parametrize("day", [1, 21, 100, 252])
@pytest.mark.parametrize(
    ("level", "severity"),
    [(0.94, None), (0.96, Severity.WARNING), (0.985, Severity.WARNING), (0.995, Severity.CRITICAL)],
)
def test_below_the_lower_band_is_a_warning_at_95_and_critical_at_99_per_cent(
    day: int, level: float, severity: Severity | None
) -> None:
    path = LAUNCH.fan.lower(level)[:day]
    found = interval(path)

    assert found.severity is severity
    assert found.outcome is (Outcome.OK if severity is None else Outcome.BREACH)
    assert found.value == pytest.approx(np.expm1(path[-1]))
    assert found.observations == day
    if severity is not None:
        assert found.limit is not None
        assert found.value is not None
        assert found.value < found.limit


def test_its_share_of_years_is_its_evidence_within_the_budget_of_a_band() -> None:
    weak, strong, critical = (
        interval(LAUNCH.fan.lower(level)[:252]) for level in (0.96, 0.998, 0.9998)
    )

    assert weak.p_year == pytest.approx(0.04, abs=0.003)
    assert strong.p_year == pytest.approx(0.002, abs=0.0003)
    assert critical.p_year is not None
    assert critical.p_year <= 0.0005
    found = [(each.severity, each.evidence) for each in (weak, strong, critical)]
    assert found == [
        (Severity.WARNING, Evidence.WEAK),
        (Severity.CRITICAL, Evidence.STRONG),
        (Severity.CRITICAL, Evidence.STRONG),
    ]
    assert strong.notified_severity is Severity.WARNING
    assert critical.notified_severity is Severity.CRITICAL
    assert [each.false_alarm_rate for each in (weak, strong, critical)] == [near(0.0025)] * 3


def test_the_first_days_are_rarer_than_the_level_of_the_whole_horizon() -> None:
    early = interval(LAUNCH.fan.lower(0.96)[:21])

    assert early.p_year is not None
    assert early.p_year < 0.04


def test_above_the_band_is_info_and_never_told() -> None:
    found = interval(LAUNCH.fan.upper(0.99)[:100])

    assert found.severity is Severity.INFO
    assert not found.is_notified(gate=False)


def test_a_path_that_came_back_inside_is_fine_again() -> None:
    path = LAUNCH.fan.lower(0.96)[:60].copy()
    path[50:] = LAUNCH.fan.median[50:60]

    assert interval(path).outcome is Outcome.OK


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        (0.985, None),
        (0.99, Severity.WARNING),
        (0.997, Severity.WARNING),
        (0.9985, Severity.CRITICAL),
    ],
)
def test_the_judging_projection_has_a_quarters_levels_and_a_years_share(
    level: float, severity: Severity | None
) -> None:
    path = JUDGING.fan.lower(level)[:63]
    (found,) = [one for one in judge(record(path), judging=True) if one.projection == JUDGING.name]

    assert found.severity is severity
    # Four quarters, and a launch band beside them.
    assert found.p_year == pytest.approx(1 - level**8, rel=0.1)
    assert found.false_alarm_rate == near(0.0025)


def test_both_projections_are_named_with_kind_and_day_of_issue() -> None:
    found = judge(record(LAUNCH.fan.median[:30]), judging=True)

    assert [(one.rule, one.projection) for one in found] == [
        ("interval_breach", f"launch:{ISSUED}"),
        ("pnl_deviation", f"launch:{ISSUED}"),
        ("interval_breach", f"judging:{ISSUED}"),
    ]


def test_rows_beyond_the_horizon_are_not_looked_at() -> None:
    path = np.concatenate([LAUNCH.fan.median, np.full(20, -5.0)])

    assert interval(path).outcome is Outcome.OK


def test_without_a_live_row_since_the_issue_nothing_is_said() -> None:
    found = judge(a_record([], backtest=BACKTEST))

    assert {one.outcome for one in found} == {Outcome.INSUFFICIENT_DATA}


@pytest.mark.parametrize(
    ("live", "backtest", "observations", "required", "why"),
    [
        (30, 100, 100, 252, "100 of 252 backtest rows"),
        (300, 0, 300, 756, "300 of 756 rows: judged from about 22 Nov 2025 on"),
    ],
)
def test_without_a_projection_it_says_what_is_missing(
    live: int, backtest: int, observations: int, required: int, why: str
) -> None:
    found = a_record(noise(live), backtest=noise(backtest))
    evaluations = judge_intervals(found, context_of(found))

    assert [one.outcome for one in evaluations] == [Outcome.INSUFFICIENT_DATA] * 2
    assert (evaluations[0].observations, evaluations[0].required) == (observations, required)
    assert evaluations[0].message == why


def test_all_cash_has_no_projection_because_it_does_not_vary() -> None:
    found = a_record(np.zeros(50), backtest=np.zeros(300))

    assert "do not vary" in judge_intervals(found, context_of(found))[0].message


@pytest.mark.parametrize("rows", [20, 21])
def test_the_deviation_needs_21_rows(rows: int) -> None:
    found = judge(record(LAUNCH.fan.median[:rows]))[1]

    assert (found.outcome is Outcome.INSUFFICIENT_DATA) is (rows < 21)


@pytest.mark.parametrize(
    ("share", "severity"), [(-0.1, None), (-0.3, Severity.INFO), (-0.9, Severity.INFO)]
)
def test_the_deviation_is_measured_in_the_larger_of_what_was_projected_and_half_its_sd(
    share: float, severity: Severity | None
) -> None:
    rows = 100
    sd = float(LAUNCH.fan.pointwise[6, rows - 1] - LAUNCH.fan.pointwise[4, rows - 1]) / 2
    projected = rows * LAUNCH.mean
    scale = max(abs(projected), sd / 2)
    live = a_record(np.full(rows, (projected + share * scale) / rows), backtest=BACKTEST)
    found = judge(live)[1]

    assert found.value == pytest.approx(share)
    assert found.severity is severity
    assert not found.is_notified(gate=False)


def banded(
    force: InForce,
    path: Floats,
    severity: Severity | None,
    limit: float,
    shown: str,
    bands: int = 1,
) -> Evaluation:
    """All that is said of a path against one projection's band."""
    fan, day = force.fan, len(path)
    warning, critical = {"launch": (0.95, 0.99), "judging": (0.9873, 0.9975)}[force.kind]
    share = fan.share_below(fan.distance_below(path), day)
    value = float(np.expm1(path[-1]))
    p_year = 1 - (1 - share) ** (bands * 252 / fan.horizon)
    limit = float(np.expm1(limit))
    notified_as = severity is Severity.CRITICAL and 0.0005 < p_year <= 0.0025
    weight = Evidence.STRONG if p_year <= 0.0025 else Evidence.WEAK

    def at(curve: Floats) -> Any:
        return near(float(np.expm1(curve[day - 1])))

    return Evaluation(
        strategy="trend",
        rule="interval_breach",
        outcome=Outcome.OK if severity is None else Outcome.BREACH,
        severity=severity,
        value=near(value),
        limit=near(limit),
        observations=day,
        required=1,
        evidence=None if severity is None else weight,
        p_year=near(p_year),
        false_alarm_rate=near(0.0025),
        projection=f"{force.kind}:{ISSUED}",
        parts={
            "sequential_p": near(share),
            "level_warning": warning,
            "level_critical": critical,
            "expected": at(fan.median),
            "lower_warning": at(fan.lower(warning)),
            "lower_critical": at(fan.lower(critical)),
            "upper_warning": at(fan.upper(warning)),
            "horizon": fan.horizon,
            "haircut": 0.0,
            "above": severity is Severity.INFO,
            "levels": LEVELS,
            **({"told_as": "warning"} if notified_as else {}),
        },
    )


@pytest.mark.parametrize(
    ("level", "severity", "passed", "shown"),
    [
        (0.5, None, 0.95, "within the band"),
        (0.97, Severity.WARNING, 0.95, "outside the 0.95 band"),
        (0.995, Severity.CRITICAL, 0.99, "outside the 0.99 band"),
    ],
    ids=["ok", "warning", "critical"],
)
def test_all_that_is_said_of_a_path_against_its_launch_band(
    level: float, severity: Severity | None, passed: float, shown: str
) -> None:
    live = record(LAUNCH.fan.lower(level)[:40])
    path = np.log1p(live.returns[live.live]).cumsum()

    limit = float(LAUNCH.fan.lower(passed)[39])
    assert plain(judge(live)[0]) == banded(LAUNCH, path, severity, limit, shown)


def test_all_that_is_said_of_a_path_above_its_band() -> None:
    live = record(LAUNCH.fan.upper(0.99)[:40])
    path = np.log1p(live.returns[live.live]).cumsum()

    limit = float(LAUNCH.fan.upper(0.95)[39])
    wanted = banded(LAUNCH, path, Severity.INFO, limit, "outside the 0.95 band")
    assert plain(judge(live)[0]) == wanted


@pytest.mark.parametrize(
    ("level", "severity", "passed", "shown"),
    [
        (0.97, None, 0.9873, "within the band"),
        (0.993, Severity.WARNING, 0.9873, "outside the 0.9873 band"),
        (0.999, Severity.CRITICAL, 0.9975, "outside the 0.9975 band"),
    ],
    ids=["ok", "warning", "critical"],
)
def test_all_that_is_said_of_a_path_against_the_band_that_judges(
    level: float, severity: Severity | None, passed: float, shown: str
) -> None:
    live = record(JUDGING.fan.lower(level)[:40])
    path = np.log1p(live.returns[live.live]).cumsum()

    limit = float(JUDGING.fan.lower(passed)[39])
    wanted = banded(JUDGING, path, severity, limit, shown, bands=2)
    assert plain(judge(live, judging=True)[2]) == wanted


def rated(
    path: Floats, calibration: Calibration, *, judging: bool = False, periods: float = 252.0
) -> list[Evaluation]:
    """The evaluations of both bands, with a calibration and so many rows a year."""
    live = record(path)
    context = context_of(
        live,
        in_force={"trend": ProjectionsInForce(launch=LAUNCH, judging=JUDGING if judging else None)},
        calibrations={"trend": calibration},
    )
    calendar = replace(context.calendars["trend"], periods_per_year=periods)
    found = judge_intervals(live, replace(context, calendars={"trend": calendar}))
    return [each for each in found if each.rule == "interval_breach"]


def lives(share: float) -> Calibration:
    """Of lives of which `share` leave the band as far as any path does."""
    worst = np.where(np.asarray(TAILS) < share, 1e9, -1e9)
    return Calibration(
        worst={"interval_breach": worst}, factors={one: np.ones(len(TAILS)) for one in SEVERITIES}
    )


def test_the_share_of_a_launch_band_is_the_larger_of_the_bands_and_of_the_lives() -> None:
    """The simulation knows no autocorrelation, and the lives no other volatility."""
    path = LAUNCH.fan.lower(0.97)[:252]

    (by_band,) = rated(path, lives(0.001))
    (by_lives,) = rated(path, lives(0.2))
    assert by_band.p_year == pytest.approx(0.03, abs=0.003)
    assert by_lives.p_year == pytest.approx(0.2, abs=0.01)
    assert by_lives.evidence is Evidence.WEAK
    assert by_band.parts["levels"] == LEVELS
    assert by_band.false_alarm_rate == near(0.0025)


def test_both_bands_have_one_budget_between_them() -> None:
    path = LAUNCH.fan.lower(0.97)[:40]
    (alone,) = rated(path, lives(0.02))
    launch, quarter = rated(path, lives(0.02), judging=True)

    assert alone.p_year is not None
    assert launch.p_year == pytest.approx(1 - (1 - alone.p_year) ** 2)
    share = float(str(quarter.parts["sequential_p"]))
    # Of the quarter's band the lives say nothing.
    assert quarter.p_year == pytest.approx(1 - (1 - share) ** (2 * 252 / 63))


@pytest.mark.parametrize("periods", [12.0, 52.0, 252.0, 365.0])
def test_a_year_of_more_rows_than_a_band_has_more_of_them(periods: float) -> None:
    path = LAUNCH.fan.lower(0.97)[:40]
    (found,) = rated(path, lives(0.02), periods=periods)

    by_lives = lives(0.02).p_year("interval_breach", 0.0)
    share = float(str(found.parts["sequential_p"]))
    expected = max(
        1 - (1 - share) ** (periods / 252), 1 - (1 - by_lives) ** max(periods / 252, 1.0)
    )
    assert found.p_year == pytest.approx(expected)


@pytest.mark.parametrize(
    ("daily", "severity"), [(0.0006, None), (-0.004, Severity.INFO)], ids=["ok", "info"]
)
@pytest.mark.parametrize("rows", [21, 100])
def test_all_that_is_said_of_a_deviation(
    rows: int, daily: float, severity: Severity | None
) -> None:
    found = judge(a_record(np.full(rows, daily), backtest=BACKTEST))[1]
    sd = float(LAUNCH.fan.pointwise[6, rows - 1] - LAUNCH.fan.pointwise[4, rows - 1]) / 2
    actual, projected = rows * daily, rows * LAUNCH.mean

    assert plain(found) == Evaluation(
        strategy="trend",
        rule="pnl_deviation",
        outcome=Outcome.OK if severity is None else Outcome.BREACH,
        severity=severity,
        value=near((actual - projected) / max(abs(projected), sd / 2)),
        limit=-0.25,
        observations=rows,
        required=21,
        evidence=None if severity is None else Evidence.UNGATED,
        projection=f"launch:{ISSUED}",
        parts={
            "actual": near(actual),
            "projected": near(projected),
            "projected_sd": near(sd),
            "documented_warning": -0.25,
            "documented_critical": -0.5,
        },
    )


def unsaid(rule: str, observations: int, required: int, why: str = "") -> Evaluation:
    return Evaluation(
        strategy="trend",
        rule=rule,
        outcome=Outcome.INSUFFICIENT_DATA,
        observations=observations,
        required=required,
        parts={"lacking": "backtest rows"} if "252 backtest" in why else {},
    )


def test_all_that_is_said_before_there_are_rows_enough() -> None:
    none, few = judge(record(np.empty(0))), judge(record(LAUNCH.fan.median[:20]))

    assert plain(none) == [unsaid("interval_breach", 0, 1), unsaid("pnl_deviation", 0, 21)]
    assert plain(few[1]) == unsaid("pnl_deviation", 20, 21)


NOT_ISSUED = "no projection is in force: the {} rows do not vary, or none was issued yet"


@pytest.mark.parametrize(
    ("live", "backtest", "observations", "required", "why"),
    [
        (30, 100, 100, 252, "a projection needs 252 backtest rows"),
        (30, 251, 251, 252, "a projection needs 252 backtest rows"),
        (30, 252, 252, 252, NOT_ISSUED.format("backtest")),
        (30, 400, 252, 252, NOT_ISSUED.format("backtest")),
        (755, 0, 755, 756, "a projection needs 756 live rows"),
        (800, 0, 756, 756, NOT_ISSUED.format("live")),
    ],
)
def test_all_that_is_said_without_a_projection(
    live: int, backtest: int, observations: int, required: int, why: str
) -> None:
    found = a_record(noise(live), backtest=noise(backtest))

    assert plain(judge_intervals(found, context_of(found))) == [
        unsaid(rule, observations, required, why) for rule in ("interval_breach", "pnl_deviation")
    ]
