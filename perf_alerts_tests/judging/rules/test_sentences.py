"""The sentence and the headline of a breach of each rule, and what all of them keep to."""

import re
from collections.abc import Callable
from datetime import date
from functools import cache

import numpy as np
import pytest

from perf_alerts_dagster.judging.evaluation import Evaluation, Kind, Outcome
from perf_alerts_dagster.judging.rule import Unit, shown
from perf_alerts_dagster.judging.rules.catalogue import BY_ID, RULES
from perf_alerts_dagster.judging.rules.data_quality import judge_data, no_data, record_error
from perf_alerts_dagster.judging.rules.forward_test import forward_test_change
from perf_alerts_dagster.judging.rules.mandates import judge_policy
from perf_alerts_dagster.judging.rules.thresholds import judge_thresholds, judge_wipe_out
from perf_alerts_dagster.projections.projection import Expectation
from perf_alerts_dagster.records.model import RecordFault, StrategyRecord
from perf_alerts_tests.builders import a_record, context_of, noise
from perf_alerts_tests.judging.rules import (
    test_data_quality,
    test_decay,
    test_exceedances,
    test_gap,
    test_hedged,
    test_interval,
    test_joint_exceedances,
    test_life_cusum,
    test_scores,
    test_shadow,
    test_trades,
)

MANDATE = {
    "drawdown": 0.1,
    "daily_loss": 0.03,
    "weekly_loss": 0.05,
    "monthly_loss": 0.08,
    "columns": {"leverage": {"max": 2.0}},
}
CRASH = a_record(
    [0.01, *noise(80, seed=3), 0.04, *[-0.045] * 4, -0.15],
    backtest=noise(300),
    extras={"leverage": np.full(387, 3.5)},
)
FLAT = a_record([*noise(20), *np.zeros(85)], backtest=noise(300))
WIPED = a_record([0.01, -1.0])
FALLING = a_record(np.linspace(0.02, -0.02, 90), backtest=noise(300))


def of(record: StrategyRecord, rule: str) -> Evaluation:
    """A rule's evaluation of a record, by the mandate."""
    context = context_of(record, policy={"default": MANDATE})
    found = [
        *judge_thresholds(record, context),
        *judge_policy(record, context),
        *judge_data(record, context),
    ]
    return next(each for each in found if each.rule == rule)


@cache
def breach_of(rule: str) -> Evaluation:
    """A breach of a rule, or what could not be measured where that is what it notifies."""
    return BREACHES[rule]()


def decayed(rule: str, rows: int, fall: float) -> Evaluation:
    live = np.concatenate([noise(320, seed=12, mean=0.002, sd=0.005), np.full(rows, fall)])
    return test_decay.judge(a_record(live, backtest=test_decay.BACKTEST))[rule]


def expected() -> Evaluation:
    before = Expectation(issued_on="2026-10-30", monthly=0.008, standard_error=0.001)
    now = Expectation(issued_on="2026-11-30", monthly=0.002, standard_error=0.001)
    return forward_test_change("trend", before=before, now=now)


BREACHES: dict[str, Callable[[], Evaluation]] = {
    "interval_breach": lambda: test_interval.interval(test_interval.LAUNCH.fan.lower(0.995)[:40]),
    "daily_exceedance": lambda: test_exceedances.judge(test_exceedances.living([0.1, -9.0]))[
        "daily_exceedance"
    ],
    "consecutive_exceedances": lambda: test_exceedances.judge(
        test_exceedances.living([0.1] * 10 + [-2.5] * 4)
    )["consecutive_exceedances"],
    "exceedance_rate": lambda: test_exceedances.judge(
        test_exceedances.living([-2.5, 0.2, 0.1] * 10)
    )["exceedance_rate"],
    "pnl_deviation": lambda: test_interval.judge(
        test_interval.record(test_interval.LAUNCH.fan.lower(0.995)[:40])
    )[1],
    "joint_exceedances": lambda: test_joint_exceedances.judged(test_joint_exceedances.desk(fall=3)),
    "mean_shortfall_126": lambda: decayed("mean_shortfall_126", 60, -0.006),
    "mean_shortfall_252": lambda: decayed("mean_shortfall_252", 200, -0.003),
    "decay_cusum": lambda: test_decay.lived(np.full(100, -0.005))["decay_cusum"],
    "gap_since_launch": lambda: test_gap.launched(test_gap.level(0.0, 130)),
    "hedged_decay_cusum": lambda: test_hedged.evaluation(
        test_hedged.traded(test_hedged.fallen(250))
    ),
    "life_cusum": lambda: test_life_cusum.judge(test_life_cusum.falling(100, 90.0)),
    "shadow_gap": lambda: test_shadow.faulty("cost"),
    "rolling_sharpe": lambda: of(CRASH, "rolling_sharpe"),
    "sharpe_degradation": lambda: of(FALLING, "sharpe_degradation"),
    "drawdown": lambda: of(CRASH, "drawdown"),
    "win_rate": lambda: traded()["win_rate"],
    "profit_factor": lambda: traded()["profit_factor"],
    "losing_run": lambda: traded()["losing_run"],
    "policy_drawdown": lambda: of(CRASH, "policy_drawdown"),
    "policy_daily_loss": lambda: of(CRASH, "policy_daily_loss"),
    "policy_weekly_loss": lambda: of(CRASH, "policy_weekly_loss"),
    "policy_monthly_loss": lambda: of(CRASH, "policy_monthly_loss"),
    "policy_column": lambda: of(CRASH, "policy_column"),
    "wipe_out": lambda: judge_wipe_out(WIPED, context_of(WIPED)),
    "flat_run": lambda: of(FLAT, "flat_run"),
    "repeated_pnl": lambda: of(
        a_record([*noise(20), *[0.001] * 6], backtest=noise(300)), "repeated_pnl"
    ),
    "volatility_shift": lambda: test_data_quality.volatility_of(
        test_data_quality.sized(*[1.0] * 40, *[1.7] * 30)
    ),
    "no_data": lambda: no_data("trend", BY_ID["no_data"], late=5, allowed=2, newest="Fri 20 Nov"),
    "stale_data": lambda: next(
        each
        for each in judge_data(FLAT, context_of(FLAT, lateness={"trend": 1}))
        if each.rule == "stale_data"
    ),
    "record_error": lambda: record_error(
        "trend", [RecordFault(where="daily.csv", row=17, column="pnl", rule="is not a number")]
    ),
    "walk_forward_stability": lambda: test_scores.judge(test_scores.collapsed())[0],
    "out_of_sample_validation": lambda: test_scores.judge(test_scores.collapsed())[1],
    "overfitting": lambda: test_scores.judge(test_scores.collapsed())[2],
    "forward_test_change": expected,
}


def traded() -> dict[str, Evaluation]:
    lost = [2.0, -1.0] * 25 + [-1.0] * 50
    return test_trades.judge(test_trades.record_with(test_trades.HEALTHY, lost))


SAID = {
    "interval_breach": (
        "-21.7 % in 40 sessions, below the 99 % band issued on 24 Nov 2025 (-20.1 %)",
        "-21.7 % since 24 Nov 2025, below its 99 % band",
    ),
    "daily_exceedance": (
        "-7.4 % on Wed 26 Nov (9.0 sigma; limit 5.6 sigma)",
        "-7.4 % on Wed 26 Nov",
    ),
    "consecutive_exceedances": (
        "4 sessions in a row below the day's 5 % quantile since Tue 9 Dec",
        "4 sessions in a row with rare losses since Tue 9 Dec",
    ),
    "exceedance_rate": (
        "10 of the last 30 sessions below the day's 5 % quantile",
        "10 of 30 sessions with rare losses since 25 Nov 2025",
    ),
    "pnl_deviation": (
        "-24.4 % in 40 sessions where +0.08 % was projected on 24 Nov 2025",
        "-24.4 % since 24 Nov 2025 where +0.08 % was projected",
    ),
    "joint_exceedances": (
        "3 of 4 strategies below the day's 1 % quantile on Fri 18 Apr: s0, s1, s2; as many on"
        " 0.17 % of sessions",
        "3 of 4 strategies with rare losses on Fri 18 Apr",
    ),
    "mean_shortfall_126": (
        "returned -15.4 % in the last 126 sessions where +28.8 % was expected by its own "
        "record; it began to fall about 16 Feb (95 %: 2 Feb to 3 Mar) and returned -30.3 % "
        "since; no haircut would expect the level of these sessions",
        "-30.3 % since 16 Feb; its own record: +12.8 %",
    ),
    "mean_shortfall_252": (
        "returned -37.2 % in the last 252 sessions where +70.6 % was expected by its own "
        "record; it began to fall about 16 Feb (95 %: 15 Jan to 27 Apr) and returned -45.2 % "
        "since; no haircut would expect the level of these sessions",
        "earns 129.1 % a year below its own record since 16 Feb",
    ),
    "decay_cusum": (
        "returned -39.4 % in the last 100 sessions where -0.08 % was expected; it began to "
        "fall about 25 Nov 2025, the first of these sessions (95 %: to 26 Dec 2025); no "
        "haircut would silence it",
        "earns 126.1 % a year below its own record since 25 Nov 2025",
    ),
    "gap_since_launch": (
        "returned 0 % a year in 130 sessions since launch where +107.1 % was expected; found "
        "on Tue 19 May, after 126 sessions; a haircut of 98 % (+- 12 %) would fit: perf-"
        'alerts strategies rebaseline trend --from 2026-05-25 --haircut 0.98 --reason "gap '
        'since launch"',
        "earns 107.1 % a year below its backtest since 25 Nov 2025",
    ),
    "hedged_decay_cusum": (
        "after hedging 1.02 x the benchmark (R2 .73 out of sample): returned -21.5 % in the "
        "last 348 sessions where +53.4 % was expected by its own record; it began to fall "
        "about 4 May 2027 (95 %: 10 Feb 2027 to 19 Jul 2027) and returned -36.0 % since after"
        " hedging; no haircut would expect the level of these sessions",
        "hedged, earns 79.0 % a year less since 4 May 2027",
    ),
    "life_cusum": (
        "90.0 sigma short of its reference since 25 Nov 2025; 30.0 sigma is rare for its age",
        "90.0 sigma short of its reference since 25 Nov 2025",
    ),
    "shadow_gap": (
        "drift -4.7 bp a day since 18 Nov 2024: -3.0 % against its model so far",
        "drift -4.7 bp a day since 18 Nov 2024 against its model",
    ),
    "rolling_sharpe": (
        "Sharpe ratio -3.44 over the last 63 sessions; limit 0.5",
        "Sharpe ratio -3.44 over 63 sessions since 29 Mar",
    ),
    "sharpe_degradation": (
        "rolling Sharpe ratio moved -6.06 to -9.09 within 7 sessions",
        "rolling Sharpe ratio -6.06 to -9.09 since Wed 19 Jun",
    ),
    "drawdown": (
        "32.4 % below its high of 16 Apr, at or beyond 20.0 %",
        "-32.4 % below its high of 16 Apr",
    ),
    "win_rate": (
        "wins 25.0 % of 100 trades since 25 Mar, usually 50.0 %; as bad by chance in 0.02 % "
        "of cases; largest part of the shortfall: fewer wins",
        "wins 25.0 % of 100 trades since 25 Mar, usually 50.0 %",
    ),
    "profit_factor": (
        "profit factor 0.67 since 25 Mar, 2.00 in the backtest; as bad by chance in 0.05 % of"
        " cases; largest part of the shortfall: fewer wins",
        "profit factor 0.67 since 25 Mar, 2.00 in the backtest",
    ),
    "losing_run": (
        "lost 51 trades in a row since 25 Mar, at most 1 before; as bad by chance in under "
        "0.01 % of cases; largest part of the shortfall: fewer wins",
        "lost 51 trades in a row since 25 Mar, at most 1 before",
    ),
    "policy_drawdown": (
        "-32.4 % below its high of 16 Apr, the mandate allows -10.0 %",
        "-32.4 % below its high of 16 Apr, mandate -10.0 %",
    ),
    "policy_daily_loss": (
        "-15.0 % on Tue 25 Jun, the mandate allows -3.0 %",
        "-15.0 % on Tue 25 Jun, mandate -3.0 %",
    ),
    "policy_weekly_loss": (
        "-18.8 % in the week from 24 Jun, the mandate allows -5.0 %",
        "-18.8 % in the week from 24 Jun, mandate -5.0 %",
    ),
    "policy_monthly_loss": (
        "-27.4 % in the month from 1 Jun, the mandate allows -8.0 %",
        "-27.4 % in the month from 1 Jun, mandate -8.0 %",
    ),
    "policy_column": (
        "leverage is 3.5 on Tue 25 Jun, the mandate allows at most 2",
        "leverage 3.5 on Tue 25 Jun, at most 2 allowed",
    ),
    "wipe_out": (
        "lost 100.0 % of its capital on Tue 3 Jan: wiped out",
        "lost 100.0 % of its capital on Tue 3 Jan",
    ),
    "flat_run": (
        "flat since Mon 25 Mar: 85 sessions without P&L in a row; the backtest never had more"
        " than 0",
        "flat since Mon 25 Mar (85 sessions)",
    ),
    "repeated_pnl": (
        "same P&L again since Tue 26 Mar: 5 sessions in a row with the P&L of the one before;"
        " the backtest never had more than 0",
        "same P&L again since Tue 26 Mar (5 sessions)",
    ),
    "volatility_shift": (
        "volatility 1.7 x its usual since about 28 Oct (CUSUM 15.0, rare from 9.6 on)",
        "volatility 1.7 x its usual since about 28 Oct",
    ),
    "no_data": (
        "no rows since Fri 20 Nov: 5 sessions late, 2 allowed",
        "no rows since Fri 20 Nov (5 sessions late)",
    ),
    "stale_data": (
        "no rows since Fri 19 Jul: 1 session late",
        "no rows since Fri 19 Jul (1 session late)",
    ),
    "record_error": (
        "daily.csv, row 17, column pnl: is not a number",
        "1 fault in its rows, the first in row 17",
    ),
    "walk_forward_stability": (
        "0.0 of 100 points over 12 folds, 0 % of them profitable; limit 50.0 points",
        "0.0 of 100 points over 12 folds since 26 Jan 2017",
    ),
    "out_of_sample_validation": (
        "0.05 % of resampled backtests have a Sharpe ratio as low as live; limit 1.0 %",
        "Sharpe ratio -1.99 since 26 Jan 2017, 3.07 in its backtest",
    ),
    "overfitting": (
        "100.0 % of the in-sample Sharpe ratio is missing at 95 % confidence; limit 50.0 %",
        "lacks 100.0 % of its backtest's Sharpe since 26 Jan 2017",
    ),
    "forward_test_change": (
        "expects +0.20 % a month, +0.80 % on Fri 30 Oct (-75.0 %)",
        "expects +0.20 % a month, +0.80 % on Fri 30 Oct",
    ),
}


def test_every_rule_has_a_breach_here() -> None:
    assert list(BREACHES) == list(SAID) == [rule.id for rule in RULES]


@pytest.mark.parametrize("rule", BREACHES)
def test_a_breach_is_said_in_one_sentence_and_a_headline(rule: str) -> None:
    found = breach_of(rule)

    assert found.rule == rule
    assert found.outcome in (Outcome.BREACH, Outcome.NO_DATA, Outcome.ERROR)
    assert (found.message, found.parts["headline"]) == SAID[rule]


@pytest.mark.parametrize("rule", BREACHES)
def test_a_headline_has_a_number_and_fits_into_a_subject(rule: str) -> None:
    headline = str(breach_of(rule).parts["headline"])

    assert len(headline) <= 60
    assert re.search(r"\d", headline)
    assert headline[0].islower() or not headline[0].isalpha() or headline.startswith("Sharpe")
    assert "trend" not in headline


@pytest.mark.parametrize("rule", BREACHES)
def test_no_sentence_has_inner_names_digits_of_machines_or_what_the_rule_is_worth(
    rule: str,
) -> None:
    message = breach_of(rule).message

    plain = message.partition(": perf-alerts ")[0]
    assert not re.search(r"\d{4}-\d{2}-\d{2}|\d%|\b1 \w+s\b|[0-9]\.\d{4}", plain)
    assert not re.search(r"launch:|judging:|power|watcher|sessions to|trend", plain)
    assert message[0].islower() or not message[0].isalpha() or message.startswith("Sharpe")
    assert not message.endswith(".")


def test_only_a_breach_has_a_headline() -> None:
    record = a_record(noise(80, seed=3), backtest=noise(300))
    found = [
        *judge_thresholds(record, context_of(record)),
        *judge_data(record, context_of(record)),
    ]

    assert {each.outcome for each in found} == {Outcome.OK, Outcome.BREACH}
    for each in found:
        assert ("headline" in each.parts) is (each.outcome is Outcome.BREACH)


def test_a_headline_of_long_names_is_cut() -> None:
    column = "gross exposure over the capital of the whole desk"
    record = a_record([0.01], extras={column: np.array([123456.789])})
    context = context_of(
        record, policy={"default": {"columns": {column: {"min": -12345.678, "max": 1.234567}}}}
    )
    (found,) = judge_policy(record, context)

    assert len(str(found.parts["headline"])) == 60
    assert str(found.parts["headline"]).startswith("gross exposure over ")
    assert str(found.parts["headline"]).endswith("…")


def test_each_rule_says_what_to_do_in_words_of_its_own() -> None:
    hints = [rule.hint for rule in RULES]

    assert len(set(hints)) == len(hints)
    for rule in RULES:
        assert "\n" not in rule.hint
        assert rule.hint[0].islower(), rule.id
        assert rule.hint[-1] in ".?", rule.id
        assert len(rule.hint) <= 140, rule.id


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (-0.15, Unit.PERCENT, "-15.0 %"),
        (0.0025, Unit.PERCENT, "0.25 %"),
        (35.586688809006716, Unit.SIGMA, "35.6 sigma"),
        (85.0, Unit.SESSION, "85 sessions"),
        (1.0, Unit.SESSION, "1 session"),
        (1.0, Unit.TRADE, "1 trade"),
        (3.0, Unit.STRATEGY, "3 strategies"),
        (2.1, Unit.TIMES, "2.10 x"),
        (16.13, Unit.POINTS, "16.1 points"),
        (1.2345, Unit.NUMBER, "1.23"),
        (0.0, Unit.NUMBER, "0.00"),
        (-0.0012, Unit.NUMBER, "-0.0012"),
        (20161.7, Unit.NUMBER, "20,162"),
        (-10_664_861_309.0, Unit.NUMBER, "-1.1e+10"),
        (None, Unit.NUMBER, ""),
        (float("inf"), Unit.SIGMA, ""),
    ],
)
def test_a_value_is_shown_with_its_unit(value: float | None, unit: Unit, text: str) -> None:
    assert shown(value, unit) == text


@pytest.mark.parametrize("rule", BREACHES)
def test_the_value_and_the_limit_of_each_rule_are_shown(rule: str) -> None:
    found, unit = breach_of(rule), BY_ID[rule].unit

    assert unit in Unit
    for number in (found.value, found.limit):
        text = shown(number, unit)
        assert bool(text) is (number is not None)
        assert len(text) <= 14


def test_a_sentence_of_a_day_names_its_own_session() -> None:
    for rule in RULES:
        found = breach_of(rule.id)
        if rule.kind is Kind.EVENT:
            assert isinstance(found.session, date), rule.id
