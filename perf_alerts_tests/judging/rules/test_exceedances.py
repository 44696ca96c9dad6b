"""Rows below the quantile of their own day: one, several in a run, too many of the last thirty."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.context import Rating
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Kind, Outcome
from perf_alerts_dagster.judging.rules.exceedances import (
    RULES,
    exceedances_of,
    judge_exceedances,
    rates_by_chance,
)
from perf_alerts_dagster.projections.calibration import yearly_share
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.ewma_volatility import filter_returns
from perf_alerts_dagster.statistics.var_backtests import binomial_at_least
from perf_alerts_tests.builders import a_record, context_of, near, noise
from perf_alerts_tests.judging.wording import plain

BACKTEST = noise(756, mean=0.0)


def judge(record: StrategyRecord, **changes: Any) -> dict[str, Evaluation]:
    found = judge_exceedances(record, context_of(record, **changes))
    assert [one.rule for one in found] == [rule.id for rule in RULES]
    return {one.rule: one for one in found}


def living(sizes: Sequence[float]) -> StrategyRecord:
    """Live rows so many of that day's own deviations away from the mean."""
    known = filter_returns(BACKTEST)
    assert known is not None
    variance, rows = known.variance, []
    for size in sizes:
        shock = size * variance**0.5
        rows.append(float(np.expm1(known.mean + shock)))
        variance = max(0.94 * variance + 0.06 * shock * shock, known.floor)
    return a_record(rows, backtest=BACKTEST)


WORST = float(filter_returns(BACKTEST).standardised.min())  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("size", "severity"),
    [
        (-1.0, None),
        (-2.0, None),
        (-3.0, Severity.INFO),
        (1.01 * WORST, Severity.WARNING),
        (1.49 * WORST, Severity.WARNING),
        (1.51 * WORST, Severity.CRITICAL),
        (5.0, None),
    ],
)
def test_the_newest_row_is_weighed_by_the_volatility_of_its_day(
    size: float, severity: Severity | None
) -> None:
    record = living([size])
    found = judge(record)["daily_exceedance"]

    assert found.severity is severity
    assert found.kind is Kind.EVENT
    assert found.value == pytest.approx(size, rel=1e-6)
    assert found.session == record.dates[-1].astype(object)
    assert found.parts["is_exceedance"] is (size < -1.7)


def test_the_same_loss_is_nothing_special_on_wilder_days() -> None:
    calm, wild = living([1.52 * WORST]), living([3.0, -3.0, 3.0, -3.0, 3.0])
    shocked = a_record([*wild.returns[756:], float(calm.returns[-1])], backtest=BACKTEST)

    assert judge(calm)["daily_exceedance"].severity is Severity.CRITICAL
    assert judge(shocked)["daily_exceedance"].severity is not Severity.CRITICAL


def in_few_lives(strategy: str, rule: str, value: float) -> Rating:
    """A rating of lives none of which is as bad."""
    return Rating(p_year=1 / 5_001, false_alarm_rate=0.0015)


def test_a_day_is_notified_only_when_few_healthy_years_have_one_as_bad_by_its_own_tail_too() -> (
    None
):
    near, far = (
        judge(living([size * WORST]), rate=in_few_lives)["daily_exceedance"] for size in (1.01, 8.0)
    )

    assert near.evidence is Evidence.WEAK
    assert far.evidence is Evidence.STRONG
    assert near.p_year is not None
    assert far.p_year is not None
    assert far.p_year < 0.0015 < 0.05 < near.p_year


def test_a_day_that_many_lives_hold_is_not_notified_whatever_its_tail_says() -> None:
    often = judge(living([8.0 * WORST]), rate=lambda *asked: Rating(p_year=0.2))

    assert (often["daily_exceedance"].p_year, often["daily_exceedance"].evidence) == (
        0.2,
        Evidence.WEAK,
    )


def test_without_healthy_lives_no_exceedance_is_notified() -> None:
    found = judge(living([0.1] * 10 + [-2.5] * 9 + [8.0 * WORST]))

    assert {one.evidence for one in found.values()} == {Evidence.UNRATED}
    assert not any(one.is_notified() for one in found.values())


def test_a_days_share_of_years_falls_with_its_size_and_begins_at_the_sample() -> None:
    residuals = np.sort(np.random.default_rng(1).standard_t(4, 756))
    sizes = np.linspace(-1.0, 4.0 * residuals[0], 60)
    shares = [yearly_share(float(size), residuals) for size in sizes]

    assert shares == sorted(shares, reverse=True)
    of_worst = 1 - (1 - 1 / 756) ** 252
    assert yearly_share(float(residuals[0]), residuals) == pytest.approx(of_worst, rel=0.6)
    assert yearly_share(1e3 * float(residuals[0]), residuals) > 0.0


@pytest.mark.parametrize("crashes", [1, 2, 4])
def test_a_crash_among_small_gains_is_no_surprise_after_earlier_ones(crashes: int) -> None:
    """Where crashes of 15 to 20 deviations come about once a year, one of 30 is no alarm."""
    residuals = np.random.default_rng(1).normal(size=756)
    residuals[:crashes] = -15.0 - np.arange(crashes)

    assert yearly_share(-30.0, np.sort(residuals)) > 0.005
    assert yearly_share(-30.0, np.sort(np.random.default_rng(1).normal(size=756))) < 0.0015


def test_on_fresh_days_of_a_heavy_tail_the_share_of_years_is_at_most_what_is_said() -> None:
    """P(one of 252 days of a t(4) is at least as bad as a day whose share is said to be 5 %)."""
    rng = np.random.default_rng(7)
    shares = []
    for _ in range(100):
        residuals = np.sort(rng.standard_t(4, 756))
        sizes = residuals[0] * np.geomspace(1e3, 1.0, 600)
        said = [yearly_share(float(size), residuals) for size in sizes]
        size = sizes[min(np.searchsorted(said, 0.05), 599)]
        years = rng.standard_t(4, (40, 252)).min(axis=1)
        shares.append(float((years < size).mean()))

    assert 0.005 <= np.mean(shares) <= 0.06


@pytest.mark.parametrize(
    ("hits", "evidence"), [(5, Evidence.WEAK), (8, Evidence.WEAK), (15, Evidence.STRONG)]
)
def test_exceedances_of_thirty_rows_that_chance_alone_would_give_are_not_notified(
    hits: int, evidence: Evidence
) -> None:
    """The quantile has an error, which lives of the same rows do not have."""
    sizes = [-4.5 if place % 2 == 0 and place < 2 * hits else 0.2 for place in range(30)]
    found = judge(living(sizes), rate=in_few_lives)["exceedance_rate"]

    assert found.parts["hits"] == hits
    assert found.evidence is evidence


@pytest.mark.parametrize(("run", "evidence"), [(3, Evidence.WEAK), (6, Evidence.STRONG)])
def test_a_run_that_chance_alone_would_give_is_not_notified(run: int, evidence: Evidence) -> None:
    found = judge(living([0.1] * 10 + [-4.0] * run), rate=in_few_lives)["consecutive_exceedances"]

    assert found.value == run
    assert found.evidence is evidence


@pytest.mark.parametrize("known", [252, 756])
def test_the_chance_of_so_many_hits_is_that_of_years_drawn_one_by_one(known: int) -> None:
    rng, worst = np.random.default_rng(5), []
    for _ in range(1_500):
        rate = rng.beta(0.05 * known + 0.5, 0.95 * known + 0.5)
        year = (rng.random(281) < rate).astype(int)
        worst.append(np.convolve(year, np.ones(30, dtype=int), "valid").max())
    shares = rates_by_chance(known, 252)

    for hits in (3, 5, 7):
        assert shares[hits] == pytest.approx(np.mean(np.array(worst) >= hits), abs=0.04)
    assert (np.diff(shares) <= 0.0).all()
    assert shares[30] == 1 / 10_001


@pytest.mark.parametrize(
    ("run", "severity"),
    [
        (0, None),
        (2, None),
        (3, Severity.WARNING),
        (4, Severity.WARNING),
        (5, Severity.CRITICAL),
    ],
)
def test_a_run_of_three_is_a_warning_and_of_five_critical(
    run: int, severity: Severity | None
) -> None:
    found = judge(living([0.1] * 10 + [-2.5] * run))["consecutive_exceedances"]

    assert (found.value, found.severity) == (run, severity)


@pytest.mark.parametrize(
    ("hits", "severity"),
    [(4, None), (5, Severity.WARNING), (7, Severity.WARNING), (8, Severity.CRITICAL)],
)
def test_fifteen_and_twenty_five_per_cent_of_thirty_rows_are_the_limits(
    hits: int, severity: Severity | None
) -> None:
    sizes = [-2.5 if place % 3 == 0 and place < 3 * hits else 0.2 for place in range(30)]
    found = judge(living(sizes))["exceedance_rate"]

    assert found.value == pytest.approx(hits / 30)
    assert found.severity is severity
    assert found.parts["hits"] == hits


@pytest.mark.parametrize("rows", [19, 20])
def test_a_rate_needs_twenty_rows(rows: int) -> None:
    found = judge(living([0.1] * rows))["exceedance_rate"]

    assert (found.outcome is Outcome.INSUFFICIENT_DATA) is (rows < 20)
    assert found.observations == rows


def test_three_hits_of_the_first_twenty_rows_are_weighed_as_three_not_as_a_rate_of_thirty() -> None:
    """Years of thirty-row windows know counts; 3 of 20 is no 5 of 30."""
    asked: list[float] = []

    def rate(strategy: str, rule: str, value: float) -> Rating | None:
        if rule == "exceedance_rate":
            asked.append(value)
        return None

    sizes = [-2.5 if place in (0, 5, 10) else 0.2 for place in range(20)]
    found = judge(living(sizes), rate=rate)["exceedance_rate"]

    assert found.value == pytest.approx(0.15)
    assert asked[0] == pytest.approx(3 / 30)


def test_the_backtests_of_250_rows_stand_beside_the_rate() -> None:
    rng = np.random.default_rng(2)
    few, many = (a_record(rng.normal(0, 0.01, rows), backtest=BACKTEST) for rows in (249, 250))

    assert "kupiec_p" not in judge(few)["exceedance_rate"].parts
    parts = judge(many)["exceedance_rate"].parts
    assert isinstance(parts["hits_250"], int)
    assert parts["traffic_light"] in ("green", "yellow", "red")
    for name in ("kupiec_p", "christoffersen_p", "binomial_p"):
        value = parts[name]
        assert isinstance(value, float)
        assert 0.0 <= value <= 1.0


def test_gaps_in_the_thirty_rows_leave_the_rate_unsaid() -> None:
    record = living([0.1] * 40)
    kept = np.r_[0:775, 781:796]
    thinned = StrategyRecord(
        strategy="trend",
        dates=record.dates[kept],
        returns=record.returns[kept],
        live=record.live[kept],
    )
    found = judge_exceedances(thinned, context_of(thinned, sessions=record.dates))[2]

    assert found.outcome is Outcome.INSUFFICIENT_DATA


@pytest.mark.parametrize(
    "record",
    [
        a_record([], backtest=BACKTEST),
        a_record([0.01], backtest=noise(100)),
        a_record(noise(30), backtest=np.zeros(300)),
        a_record([0.01]),
    ],
    ids=["no live row", "too short", "all cash", "one row"],
)
def test_too_little_to_compare_with_is_insufficient_data(record: StrategyRecord) -> None:
    assert {one.outcome for one in judge(record).values()} == {Outcome.INSUFFICIENT_DATA}


def test_about_five_per_cent_of_honest_rows_are_exceedances() -> None:
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(30):
        life: Floats = rng.standard_t(4, 756 + 30) * 0.007
        found = exceedances_of(life, 30)
        assert found is not None
        shares.append(float(found.hits.mean()))

    assert np.mean(shares) == pytest.approx(0.05, abs=0.02)


KNOWN = filter_returns(BACKTEST)
assert KNOWN is not None
SORTED = np.sort(KNOWN.standardised)
# What the newest of these rows is to be measured by, as simple returns and in deviations.
QUANTILE = float(np.expm1(KNOWN.mean + KNOWN.variance**0.5 * np.quantile(SORTED, 0.05)))
RARE = float(np.quantile(SORTED, 0.01))


@pytest.mark.parametrize(
    ("size", "severity", "limit", "evidence", "hit"),
    [
        (-1.0, None, RARE, None, False),
        (-2.0, None, RARE, None, True),
        (-3.0, Severity.INFO, RARE, Evidence.WEAK, True),
        (1.2 * WORST, Severity.WARNING, WORST, Evidence.WEAK, True),
        (8.0 * WORST, Severity.CRITICAL, 1.5 * WORST, Evidence.STRONG, True),
    ],
    ids=["ok", "an exceedance", "info", "warning", "critical"],
)
def test_all_that_is_said_of_the_newest_row(
    size: float, severity: Severity | None, limit: float, evidence: Evidence | None, hit: bool
) -> None:
    record = living([size])
    actual = float(record.returns[-1])
    day = record.dates[-1].astype(object)
    found = judge(record, rate=in_few_lives)["daily_exceedance"]
    share = max(yearly_share(found.value or 0.0, SORTED), 1 / 5_001)

    assert plain(found) == Evaluation(
        strategy="trend",
        rule="daily_exceedance",
        outcome=Outcome.OK if severity is None else Outcome.BREACH,
        kind=Kind.EVENT,
        severity=severity,
        value=pytest.approx(size, rel=1e-6),  # type: ignore[arg-type] # up to rounding
        limit=near(limit),
        observations=756,
        required=252,
        evidence=evidence,
        p_year=share,
        false_alarm_rate=0.0015,
        session=day,
        parts={
            "return": actual,
            "one_day_quantile_5": near(QUANTILE),
            "is_exceedance": hit,
            "levels": {"warning": near(0.0015), "critical": near(0.0003)},
            **({"told_as": "warning"} if severity is Severity.CRITICAL and share > 0.0003 else {}),
        },
    )


@pytest.mark.parametrize(
    ("run", "severity", "limit"),
    [(0, None, 3.0), (2, None, 3.0), (3, Severity.WARNING, 3.0), (5, Severity.CRITICAL, 5.0)],
)
def test_all_that_is_said_of_a_run(run: int, severity: Severity | None, limit: float) -> None:
    found = judge(living([0.1] * 10 + [-2.5] * run))["consecutive_exceedances"]

    assert plain(found) == Evaluation(
        strategy="trend",
        rule="consecutive_exceedances",
        outcome=Outcome.OK if severity is None else Outcome.BREACH,
        severity=severity,
        value=float(run),
        limit=limit,
        observations=10 + run,
        required=1,
        evidence=None if severity is None else Evidence.UNRATED,
    )


@pytest.mark.parametrize(
    ("rows", "hits", "severity", "limit"),
    [
        (30, 4, None, 0.15),
        (30, 5, Severity.WARNING, 0.15),
        (30, 8, Severity.CRITICAL, 0.25),
        (20, 3, Severity.WARNING, 0.15),
        (20, 5, Severity.CRITICAL, 0.25),
    ],
)
def test_all_that_is_said_of_a_rate(
    rows: int, hits: int, severity: Severity | None, limit: float
) -> None:
    sizes = [-2.5 if place % 3 == 0 and place < 3 * hits else 0.2 for place in range(rows)]
    found = judge(living(sizes))["exceedance_rate"]

    assert plain(found) == Evaluation(
        strategy="trend",
        rule="exceedance_rate",
        outcome=Outcome.OK if severity is None else Outcome.BREACH,
        severity=severity,
        value=near(hits / rows),
        limit=limit,
        observations=rows,
        required=20,
        evidence=None if severity is None else Evidence.UNRATED,
        parts={"hits": hits, "binomial_p": binomial_at_least(hits, rows, 0.05)},
    )


def test_a_strategys_own_budget_decides_whether_its_day_is_notified() -> None:
    record = living([2.0 * WORST])
    of_strategy = {"trend": {"daily_exceedance": {"warning": 0.2, "critical": 0.1}}}
    plain, own = (
        judge(record, rate=in_few_lives, budgets=budgets)["daily_exceedance"]
        for budgets in (Budgets(), Budgets(of_strategy=of_strategy))
    )

    assert own.parts["levels"] == {"warning": 0.2, "critical": 0.1}
    assert (plain.evidence, own.evidence) == (Evidence.WEAK, Evidence.STRONG)


def unsaid(rule: str, observations: int, required: int, why: str = "") -> Evaluation:
    return Evaluation(
        strategy="trend",
        rule=rule,
        outcome=Outcome.INSUFFICIENT_DATA,
        kind=Kind.EVENT if rule == "daily_exceedance" else Kind.LEVEL,
        observations=observations,
        required=required,
    )


VARY = "needs rows that vary, before the ones that are judged"


@pytest.mark.parametrize(
    ("record", "observations", "required", "why"),
    [
        (a_record([], backtest=BACKTEST), 0, 1, "no live rows"),
        (a_record([0.01], backtest=noise(100)), 101, 282, VARY),
        (a_record(noise(29), backtest=noise(251)), 280, 282, VARY),
        (a_record(noise(40), backtest=noise(20)), 60, 282, VARY),
        (a_record(noise(30), backtest=np.zeros(300)), 281, 282, VARY),
        (a_record([0.01]), 1, 282, VARY),
    ],
)
def test_all_that_is_said_of_too_little_to_compare_with(
    record: StrategyRecord, observations: int, required: int, why: str
) -> None:
    assert plain(judge(record)) == {
        rule.id: unsaid(rule.id, observations, required, why) for rule in RULES
    }


def test_all_that_is_said_of_a_rate_of_too_few_rows() -> None:
    found = judge(living([0.1] * 19))["exceedance_rate"]

    assert plain(found) == unsaid("exceedance_rate", 19, 20)


def test_a_newest_row_of_the_backtest_is_no_breach_however_bad() -> None:
    bad = living([0.1, 4.0 * WORST])
    live = bad.live.copy()
    live[-1] = False
    found = judge(replace(bad, live=live))["daily_exceedance"]

    assert (found.outcome, found.severity, found.evidence) == (Outcome.OK, None, None)


def test_after_a_year_of_cash_there_are_no_backtests_beside_the_rate() -> None:
    # The 250 newest rows are compared with what came before them, which does not vary.
    record = a_record(noise(250), backtest=np.zeros(756))
    rate = judge(record)["exceedance_rate"]

    assert rate.outcome is not Outcome.INSUFFICIENT_DATA
    assert "kupiec_p" not in rate.parts
