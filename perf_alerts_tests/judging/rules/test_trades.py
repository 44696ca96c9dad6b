from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.rules.trades import judge_trading
from perf_alerts_dagster.projections.calibration import Calibration
from perf_alerts_dagster.projections.trade_lives import calibrate_trades
from perf_alerts_dagster.records.model import StrategyRecord, Trades
from perf_alerts_dagster.statistics.trades import (
    losing_run_probability,
    profit_factor_probability,
    win_rate_probability,
)
from perf_alerts_tests.builders import a_record, context_of, near, noise, trades
from perf_alerts_tests.judging.wording import plain


def record_with(backtest: list[float], live: list[float]) -> StrategyRecord:
    """300 backtest and 120 live rows; the trades close on their last days, one a day."""
    record = a_record(noise(120), backtest=noise(300))
    exits = np.concatenate(
        [record.dates[300 - len(backtest) : 300], record.dates[420 - len(live) : 420]]
    )
    return a_record(noise(120), backtest=noise(300), trades=trades([*backtest, *live], exits=exits))


def judge(record: StrategyRecord) -> dict[str, Evaluation]:
    return {one.rule: one for one in judge_trading(record, context_of(record))}


HEALTHY = [2.0, -1.0] * 50


def test_a_strategy_without_trades_has_no_trade_rules() -> None:
    record = a_record(noise(120), backtest=noise(300))
    empty = np.array([], "M8[D]")
    without = a_record(
        noise(120), trades=Trades(exits=empty, entries=empty, pnl=noise(0), cost=noise(0))
    )

    assert judge(record) == {}
    assert judge(without) == {}


def test_trades_as_in_the_backtest_are_fine() -> None:
    found = judge(record_with(HEALTHY, HEALTHY[:60]))

    assert {one.outcome for one in found.values()} == {Outcome.OK}
    assert found["win_rate"].value == found["win_rate"].limit == 0.5


def test_far_fewer_wins_are_critical_and_the_part_of_the_shortfall_is_named() -> None:
    live = [2.0, -1.0, -1.0, -1.0, -1.0] * 12
    found = judge(record_with(HEALTHY, live))

    assert found["win_rate"].severity is Severity.CRITICAL
    assert found["profit_factor"].severity is Severity.CRITICAL
    assert "largest part of the shortfall: fewer wins" in found["win_rate"].message


def test_a_losing_run_that_chance_rarely_gives_is_a_breach() -> None:
    live = [2.0, -1.0] * 20 + [-1.0] * 12
    found = judge(record_with(HEALTHY, live))

    assert found["losing_run"].severity is Severity.CRITICAL
    assert found["losing_run"].value == 13


@pytest.mark.parametrize(("backtest", "live"), [(HEALTHY, HEALTHY[:19]), (HEALTHY[:19], HEALTHY)])
def test_fewer_than_20_trades_on_either_side_are_insufficient(
    backtest: list[float], live: list[float]
) -> None:
    found = judge(record_with(backtest, live))

    assert {one.outcome for one in found.values()} == {Outcome.INSUFFICIENT_DATA}
    assert found["win_rate"].observations == 19
    assert found["win_rate"].required == 20


def test_only_the_last_100_live_trades_count() -> None:
    live = [-1.0] * 15 + [2.0, -1.0] * 50
    found = judge(record_with(HEALTHY, live))

    assert found["win_rate"].value == 0.5
    assert found["win_rate"].observations == 100


def test_trades_that_close_in_a_row_that_is_still_open_are_not_counted() -> None:
    record = record_with(HEALTHY, HEALTHY[:60])
    context = context_of(record, provisional=True)

    found = {one.rule: one for one in judge_trading(record, context)}

    assert found["win_rate"].observations == 59


def test_without_a_loss_there_is_no_profit_factor() -> None:
    found = judge(record_with([2.0] * 40, [2.0] * 30))

    assert found["profit_factor"].outcome is Outcome.INSUFFICIENT_DATA


def test_without_live_rows_there_are_no_live_trades() -> None:
    rows = a_record([], backtest=noise(300))
    record = a_record([], backtest=noise(300), trades=trades([1.0] * 30, exits=rows.dates[:30]))

    assert {one.outcome for one in judge(record).values()} == {Outcome.INSUFFICIENT_DATA}


NO_SHORTFALL = {"largest_part_of_shortfall": None, "shortfall_per_year": None}


def said(
    rule: str, severity: Severity | None, probability: float | None, **changes: Any
) -> Evaluation:
    given: dict[str, Any] = {
        "strategy": "trend",
        "rule": rule,
        "outcome": Outcome.OK if severity is None else Outcome.BREACH,
        "severity": severity,
        "observations": 60,
        "required": 20,
        "evidence": None if severity is None else Evidence.UNRATED,
        "parts": {"probability": probability, **NO_SHORTFALL},
    }
    return Evaluation(**(given | changes))


def test_all_that_is_said_of_trades_as_in_the_backtest() -> None:
    live = HEALTHY[:60]
    won = win_rate_probability(30, 60, 50, 100)
    factor = profit_factor_probability(np.array(HEALTHY), np.array(live), np.random.default_rng(0))

    assert plain(judge(record_with(HEALTHY, live))) == {
        "win_rate": said(
            "win_rate",
            None,
            won,
            value=0.5,
            limit=0.5,
        ),
        "profit_factor": said(
            "profit_factor",
            None,
            factor,
            value=2.0,
            limit=2.0,
        ),
        "losing_run": said(
            "losing_run",
            None,
            losing_run_probability(1, 60, 50, 100),
            value=1.0,
            limit=1.0,
        ),
    }


@pytest.mark.parametrize(
    ("live", "wins", "severity", "factor", "run", "run_severity", "per_year"),
    [
        # 60 trades in 60 rows, against 100 in 300 which made 42 a year.
        ([2.0, -1.0, -1.0, -1.0, -1.0] * 12, 12, Severity.CRITICAL, 0.5, 4, None, -142.8),
        (
            [2.0, -1.0] * 20 + [-1.0] * 20,
            20,
            Severity.WARNING,
            1.0,
            21,
            Severity.CRITICAL,
            -42.0,
        ),
    ],
    ids=["critical", "warning"],
)
def test_all_that_is_said_of_fewer_wins(
    live: list[float],
    wins: int,
    severity: Severity,
    factor: float,
    run: int,
    run_severity: Severity | None,
    per_year: float,
) -> None:
    found = judge(record_with(HEALTHY, live))
    parts = {"largest_part_of_shortfall": "fewer wins", "shortfall_per_year": near(per_year)}
    won = win_rate_probability(wins, 60, 50, 100)
    as_low = profit_factor_probability(np.array(HEALTHY), np.array(live), np.random.default_rng(0))
    as_long = losing_run_probability(run, 60, 50, 100)

    assert plain(found["win_rate"]) == said(
        "win_rate",
        severity,
        None,
        value=wins / 60,
        limit=0.5,
        parts={"probability": won, **parts},
    )
    assert plain(found["profit_factor"]) == said(
        "profit_factor",
        severity,
        None,
        value=near(factor),
        limit=2.0,
        parts={"probability": as_low, **parts},
    )
    assert plain(found["losing_run"]) == said(
        "losing_run",
        run_severity,
        None,
        value=float(run),
        limit=1.0,
        parts={"probability": as_long, **parts},
    )


def unsaid(rule: str, observations: int, why: str) -> Evaluation:
    return Evaluation(
        strategy="trend",
        rule=rule,
        outcome=Outcome.INSUFFICIENT_DATA,
        observations=observations,
        required=20,
        parts={"lacking": why} if "trades" in why else {},
    )


@pytest.mark.parametrize(
    ("record", "observations", "why"),
    [
        (record_with(HEALTHY, HEALTHY[:19]), 19, "closed live trades"),
        (record_with(HEALTHY[:19], HEALTHY[:60]), 19, "closed backtest trades"),
        (
            a_record(
                [],
                backtest=noise(300),
                trades=trades(HEALTHY[:30], exits=a_record(noise(30)).dates),
            ),
            0,
            "closed live trades",
        ),
    ],
)
def test_all_that_is_said_of_too_few_trades(
    record: StrategyRecord, observations: int, why: str
) -> None:
    rules = ("win_rate", "profit_factor", "losing_run")

    assert plain(judge(record)) == {rule: unsaid(rule, observations, why) for rule in rules}


def test_all_that_is_said_without_a_loss() -> None:
    found = judge(record_with([2.0] * 40, [2.0] * 30))

    assert plain(found["profit_factor"]) == unsaid("profit_factor", 20, "no wins or no losses")
    assert found["win_rate"].value == found["win_rate"].limit == 1.0


@pytest.mark.parametrize(
    ("warning", "critical", "severity"),
    [(0.2, 0.1, None), (0.45, 0.1, Severity.WARNING), (0.5, 0.45, Severity.CRITICAL)],
)
def test_the_probabilities_that_are_told_are_the_desks_own(
    warning: float, critical: float, severity: Severity | None
) -> None:
    """28 wins of 60 where a half is usual: 38 %."""
    record = record_with(HEALTHY, [2.0, -1.0] * 28 + [-1.0] * 4)
    limits = {"trade_probability_warning": warning, "trade_probability_critical": critical}
    context = context_of(record, thresholds={"strategies": {"trend": limits}})
    (found,) = [one for one in judge_trading(record, context) if one.rule == "win_rate"]

    assert found.severity is severity


def test_a_probability_exactly_at_its_limit_is_a_breach() -> None:
    record = record_with(HEALTHY, [2.0, -1.0] * 20 + [-1.0] * 20)
    exact = win_rate_probability(20, 60, 50, 100)
    for limits, severity in (
        ({"trade_probability_warning": exact}, Severity.WARNING),
        ({"trade_probability_critical": exact}, Severity.CRITICAL),
    ):
        context = context_of(record, thresholds={"default": limits})
        (found,) = [one for one in judge_trading(record, context) if one.rule == "win_rate"]
        assert found.severity is severity


@pytest.mark.parametrize(
    ("backtest", "live", "judged"),
    [
        ([2.0] * 40, HEALTHY[:30], {"win_rate", "losing_run"}),
        (HEALTHY, [2.0] * 30, {"win_rate", "losing_run"}),
        ([-1.0] * 40, [-1.0] * 30, {"win_rate", "profit_factor", "losing_run"}),
    ],
)
def test_a_rule_whose_measure_one_side_lacks_is_not_judged(
    backtest: list[float], live: list[float], judged: set[str]
) -> None:
    found = judge(record_with(backtest, live))

    measured = {rule for rule, one in found.items() if one.outcome is not Outcome.INSUFFICIENT_DATA}
    assert measured == judged


def test_what_never_won_or_never_lost_is_likely_where_nothing_changed() -> None:
    never_won = judge(record_with([-1.0] * 40, [-1.0] * 30))["win_rate"]
    never_lost = judge(record_with(HEALTHY, [2.0] * 30))["losing_run"]

    none = win_rate_probability(0, 30, 0, 40)
    assert (never_won.value, never_won.limit, never_won.parts["probability"]) == (0.0, 0.0, none)
    assert none is not None
    assert none > 0.5
    assert (never_lost.value, never_lost.parts["probability"]) == (0.0, near(1.0))


@pytest.mark.parametrize(("backtest", "live"), [(HEALTHY, HEALTHY[:20]), (HEALTHY[:20], HEALTHY)])
def test_20_trades_on_either_side_are_enough(backtest: list[float], live: list[float]) -> None:
    found = judge(record_with(backtest, live))

    assert {one.outcome for one in found.values()} == {Outcome.OK}


def test_a_trade_that_closes_on_the_first_live_day_is_a_live_one() -> None:
    rows = a_record(noise(20), backtest=noise(300))
    given = trades(HEALTHY[:40], exits=rows.dates[280:320])
    record = a_record(noise(20), backtest=noise(300), trades=given)

    assert judge(record)["win_rate"].observations == 20


def test_fewer_wins_than_19_of_20_chances_would_give_are_a_warning() -> None:
    # 37 wins of 100 or fewer: 3.3 % where 50 of the backtest's 100 won.
    found = judge(record_with(HEALTHY, [2.0, -1.0] * 37 + [-1.0] * 26))

    assert found["win_rate"].severity is Severity.WARNING
    assert found["win_rate"].value == pytest.approx(0.37)


def rated(backtest: list[float], live: list[float]) -> dict[str, Evaluation]:
    """Judged by the healthy years that are made where the projection is issued."""
    record = record_with(backtest, live)
    worst = calibrate_trades(record.until(record.dates[299].astype(object)), 252.0, seed=1)
    context = context_of(record, calibrations={"trend": Calibration(worst=worst)})
    return {one.rule: one for one in judge_trading(record, context)}


def test_no_win_of_a_hundred_where_nine_of_ten_won_is_notified() -> None:
    found = rated(([1.0] * 9 + [-2.0]) * 20, [-2.0] * 100)

    assert {rule for rule, one in found.items() if one.is_notified()} == set(found)
    assert found["win_rate"].evidence is Evidence.STRONG
    assert found["win_rate"].p_year == 1 / 5_001


@pytest.mark.parametrize(
    "live", [[1.0] * 100, [1.0] * 99 + [-1.0], [1.0] * 50 + [-9.0] + [1.0] * 9]
)
@pytest.mark.parametrize(
    "backtest", [[1.0] * 20, [1.0] * 100, [1.0] * 250, ([1.0] * 9 + [-2.0]) * 10]
)
def test_a_lost_trade_of_a_hundred_or_none_is_notified_of_no_backtest(
    backtest: list[float], live: list[float]
) -> None:
    assert not any(one.is_notified() for one in rated(backtest, live).values())


def test_trades_as_in_the_backtest_are_in_nearly_every_healthy_year() -> None:
    found = rated(HEALTHY, HEALTHY[:60])

    assert all(one.p_year is not None and one.p_year > 0.9 for one in found.values())
    assert not any(one.is_notified() for one in found.values())


def test_a_profit_factor_of_few_losses_is_shown_and_never_notified() -> None:
    found = rated(([2.0] * 9 + [-1.0]) * 9, [-1.0] * 99 + [2.0])["profit_factor"]

    assert found.severity is Severity.CRITICAL
    assert found.evidence is Evidence.UNRATED
    assert not found.is_notified()


def test_a_backtest_without_trades_enough_or_without_any_has_no_healthy_years() -> None:
    record = record_with(HEALTHY[:19], HEALTHY)

    assert calibrate_trades(record, 252.0, seed=1) == {}
    assert calibrate_trades(a_record(noise(5), backtest=noise(300)), 252.0, seed=1) == {}
