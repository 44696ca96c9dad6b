"""The outcome of a strategy over its rules: too little data is never good news."""

from collections.abc import Sequence

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.judging.rules.catalogue import RULES
from perf_alerts_dagster.judging.summary import (
    TooLittle,
    outcomes,
    summary_of,
    too_little_notes,
)
from perf_alerts_tests.builders import a_record, noise, trades, weekdays
from perf_alerts_tests.executions.trading_desk import WEEKLY, judge
from perf_alerts_tests.incidents.incident_desk import judged

OK, BREACH, LACKING = Outcome.OK, Outcome.BREACH, Outcome.INSUFFICIENT_DATA
# The projection and threshold rules that apply to every strategy.
STATISTICAL = [
    rule.id
    for rule in RULES
    if rule.family.value in ("projection", "threshold") and not rule.optional
]


def one(
    outcome: Outcome,
    rule: str = "policy_drawdown",
    severity: Severity | None = None,
    observations: int | None = None,
    required: int | None = None,
) -> Evaluation:
    if outcome is BREACH and severity is None:
        severity = Severity.WARNING
    return Evaluation(
        strategy="trend",
        rule=rule,
        outcome=outcome,
        severity=severity,
        observations=observations,
        required=required,
        message="is low",
    )


def of_rules(lacking: int, **others: Outcome) -> list[Evaluation]:
    """The statistical rules, of which the first ones lack data, beside others."""
    return [
        one(others.pop(rule, LACKING if place < lacking else OK), rule, None, 40, 100 + place)
        for place, rule in enumerate(STATISTICAL)
    ] + [one(outcome, rule) for rule, outcome in others.items()]


@pytest.mark.parametrize(
    ("outcomes", "word"),
    [
        ([Outcome.OK, Outcome.INSUFFICIENT_DATA], Outcome.OK),
        ([Outcome.INSUFFICIENT_DATA], Outcome.INSUFFICIENT_DATA),
        ([Outcome.OK, Outcome.BREACH], Outcome.BREACH),
        ([Outcome.OK, Outcome.PARTIAL], Outcome.PARTIAL),
        ([Outcome.BREACH, Outcome.NO_DATA], Outcome.NO_DATA),
        ([Outcome.NO_DATA, Outcome.ERROR], Outcome.ERROR),
        ([], Outcome.INSUFFICIENT_DATA),
    ],
)
def test_the_word_for_a_strategy_is_its_worst_news(
    outcomes: Sequence[Outcome], word: Outcome
) -> None:
    assert summary_of([one(outcome) for outcome in outcomes]).outcome is word


def test_a_strategy_is_ok_with_half_of_its_rules_and_insufficient_with_more() -> None:
    half = len(STATISTICAL) // 2

    assert summary_of(of_rules(half)).outcome is OK
    assert summary_of(of_rules(half + 1)).outcome is LACKING
    # A partial outcome of the few rules that are judged is no better.
    assert summary_of(of_rules(half + 1, wipe_out=Outcome.PARTIAL)).outcome is LACKING


def test_data_rules_and_mandates_make_no_strategy_judged() -> None:
    fine = {"no_data": OK, "flat_run": OK, "policy_drawdown": OK, "policy_daily_loss": OK}

    assert summary_of(of_rules(len(STATISTICAL) // 2 + 1, **fine)).outcome is LACKING


@pytest.mark.parametrize("rule", ["drawdown", "policy_drawdown", "repeated_pnl"])
def test_a_breach_among_rules_that_lack_data_stays_a_breach(rule: str) -> None:
    assert summary_of(of_rules(len(STATISTICAL) // 2 + 1, **{rule: BREACH})).outcome is BREACH


def test_a_late_row_within_the_allowed_does_not_hide_that_there_is_too_little() -> None:
    late = one(BREACH, "stale_data", Severity.INFO)

    assert summary_of([*of_rules(len(STATISTICAL) // 2 + 1), late]).outcome is LACKING


def test_the_rule_that_needs_most_rows_says_how_many_are_there() -> None:
    evaluations = [
        *of_rules(len(STATISTICAL) // 2 + 1, stale_data=OK, no_data=OK, policy_daily_loss=OK)
    ]

    found = summary_of(evaluations).too_little

    assert found == TooLittle(
        observations=40,
        required=100 + len(STATISTICAL) // 2,
        watched=(
            "data",
            "decay since live began",
            "rolling Sharpe ratio",
            "Sharpe degradation",
            "drawdown",
            "daily loss mandate",
        ),
    )
    assert str(found) == (
        "40 of 106 rows; watched only for data, decay since live began, rolling Sharpe ratio, "
        "Sharpe degradation, drawdown and daily loss mandate"
    )


def test_a_rule_counts_once_and_is_judged_by_any_of_its_projections() -> None:
    half = len(STATISTICAL) // 2
    again = [one(OK, STATISTICAL[half])]

    assert summary_of([*of_rules(half + 1), *again]).outcome is OK


def test_a_strategy_of_forty_live_rows_and_no_backtest_is_not_ok() -> None:
    judgement = judge(
        a_record(noise(40), strategy="new_ml", dates=weekdays(1020)[-40:]),
        a_record(noise(420, seed=2), backtest=noise(600)),
    )

    assert outcomes(judgement)["new_ml"] is LACKING
    assert outcomes(judgement)["trend"] is not LACKING
    assert too_little_notes(judgement) == {
        "new_ml": "40 of 756 rows; watched only for data and drawdown"
    }


def test_a_backtest_and_ten_live_rows_are_enough() -> None:
    judgement = judge(a_record(noise(10), backtest=noise(600)))

    assert outcomes(judgement) == {"trend": OK}
    assert too_little_notes(judgement) == {}


def test_a_backtest_that_is_too_short_is_named() -> None:
    few = trades([1.0, -1.0], exits=weekdays(290)[-2:])
    judgement = judge(a_record(noise(40), backtest=noise(250), trades=few))

    (note,) = too_little_notes(judgement).values()
    assert note.startswith("250 of 252 backtest rows; watched only for data, daily exceedance, ")


def test_trade_rules_count_only_for_a_strategy_with_trades() -> None:
    record = a_record(noise(80, seed=2), backtest=noise(250))
    few = trades([1.0, -1.0], exits=record.dates[-2:])
    # No projection: five rules of twelve lack data.
    assert outcomes(judge(record)) == {"trend": OK}
    judgement = judge(a_record(noise(80, seed=2), backtest=noise(250), trades=few))

    # Three more rules that lack data.
    assert outcomes(judgement) == {"trend": LACKING}
    (note,) = too_little_notes(judgement).values()
    assert note.startswith("250 of 252 backtest rows; watched only for data, daily exceedance, ")


def test_a_young_strategy_that_falls_is_a_breach() -> None:
    returns = noise(40)
    returns[-1] = -0.5
    judgement = judge(a_record(returns))

    assert outcomes(judgement) == {"trend": BREACH}
    assert too_little_notes(judgement) == {}


def test_rows_that_do_not_vary_are_named_in_place_of_their_number() -> None:
    judgement = judge(a_record([0.0] * 800))

    (note,) = too_little_notes(judgement).values()
    assert note.startswith("no projection is in force")
    assert note.endswith("; watched only for data and drawdown")


def test_the_scores_of_a_young_strategy_are_too_little_data() -> None:
    judgement = judge(a_record(noise(40)), alert=WEEKLY)

    assert outcomes(judgement) == {"trend": LACKING}
    (note,) = too_little_notes(judgement).values()
    assert note.endswith(" rows; not judged")


def test_other_alerts_judge_by_their_own_rules() -> None:
    evaluations = [
        one(LACKING, "rolling_sharpe"),
        one(LACKING, "sharpe_degradation"),
        one(LACKING, "win_rate"),
        one(OK, "drawdown"),
    ]

    assert outcomes(judged(*evaluations)) == {"trend": OK}
