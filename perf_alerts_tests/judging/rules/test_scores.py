import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.rules.catalogue import BY_ID
from perf_alerts_dagster.judging.rules.scores import (
    judge_scores,
    overfitting_parts,
    stability_parts,
    validation_parts,
)
from perf_alerts_dagster.records.model import Floats, StrategyRecord, Trades
from perf_alerts_dagster.statistics.scores.cscv import cscv, deflated_best_trial
from perf_alerts_dagster.statistics.scores.out_of_sample import missing_sharpe, out_of_sample
from perf_alerts_dagster.statistics.scores.walk_forward import Insufficient, split_record, stability
from perf_alerts_tests.builders import context_of
from perf_alerts_tests.judging.wording import plain

ROWS = 1512
LIVE = np.arange(ROWS) >= 756


def drifting(seed: int, annual_sharpe: float, rows: int = ROWS) -> Floats:
    noise = np.random.default_rng(seed).standard_normal(rows)
    return np.asarray(0.01 * (annual_sharpe / math.sqrt(252) + noise - noise.mean()))


def record(returns: Floats, live_from: int = 756, trades: Trades | None = None) -> StrategyRecord:
    first = np.datetime64("2015-01-01", "D")
    return StrategyRecord(
        strategy="trend",
        dates=first + np.arange(len(returns)),
        returns=returns,
        live=np.arange(len(returns)) >= live_from,
        trades=trades,
    )


def judge(
    returns: Floats, live_from: int = 756, trials: Floats | None = None, seed: int = 1
) -> list[Evaluation]:
    return judge_record(replace(record(returns, live_from), trials=trials), seed=seed)


def judge_record(judged: StrategyRecord, seed: int = 1) -> list[Evaluation]:
    return judge_scores(judged, context_of(judged, seed=seed))


def healthy() -> Floats:
    return np.concatenate([drifting(1, 2.0, 756), drifting(2, 2.5, 756)])


def collapsed() -> Floats:
    return np.concatenate([drifting(1, 3.0, 756), drifting(2, -2.0, 756)])


def fading(annual_sharpe: float) -> Floats:
    """A backtest with a Sharpe ratio of 2, and less of it since."""
    return np.concatenate([drifting(1, 2.0, 756), drifting(2, annual_sharpe, 756)])


def test_a_healthy_strategy_passes_all_three_rules_in_the_catalogues_order() -> None:
    found = judge(healthy())

    assert [one.rule for one in found] == [
        "walk_forward_stability",
        "out_of_sample_validation",
        "overfitting",
    ]
    assert [one.outcome for one in found] == [Outcome.OK] * 3
    assert [one.limit for one in found] == [60.0, 0.05, 0.3]
    assert [one.observations for one in found] == [12, 756, 756]
    assert [one.required for one in found] == [4, 252, 252]


def test_a_collapse_breaches_all_three_as_critical_which_is_shown_and_never_notified() -> None:
    found = judge(collapsed())

    assert [one.severity for one in found] == [Severity.CRITICAL] * 3
    assert [one.limit for one in found] == [50.0, 0.01, 0.5]
    assert [one.evidence for one in found] == [Evidence.UNRATED] * 3
    assert [one.is_notified() for one in found] == [False] * 3
    assert [one.is_notified(gate=False) for one in found] == [True] * 3


@pytest.mark.slow
def test_the_documented_limits_on_the_validation_score_are_shown_beside_f() -> None:
    parts = judge(collapsed())[1].parts

    assert (parts["documented_warning"], parts["documented_critical"]) == (70.0, 50.0)
    assert parts["documented_severity"] == "critical"
    assert judge(healthy())[1].parts["documented_severity"] is None


@pytest.mark.slow
@pytest.mark.parametrize("returns", [healthy(), collapsed()])
def test_every_evaluation_has_one_sentence_and_parts_that_are_json(returns: Floats) -> None:
    for one in judge(returns):
        assert "; limit " in one.message
        assert json.loads(json.dumps(dict(one.parts), allow_nan=False))


def test_every_fold_is_shown_with_its_dates() -> None:
    folds = judge(healthy())[0].parts["folds"]

    assert isinstance(folds, list)
    assert len(folds) == 12
    assert isinstance(folds[0], dict)
    assert folds[0]["first"] == str(np.datetime64("2015-01-01", "D") + 756)


def test_too_little_live_data_is_insufficient_and_says_n_of_n() -> None:
    found = judge(drifting(3, 1.0, 800))

    assert [one.outcome for one in found] == [Outcome.INSUFFICIENT_DATA] * 3
    assert [(one.observations, one.required) for one in found] == [(0, 4), (44, 252), (44, 252)]
    assert [one.severity for one in found] == [None] * 3


def test_a_strategy_that_stands_still_is_insufficient_not_ok() -> None:
    found = judge(np.where(LIVE, 0.0, drifting(4, 1.0)))

    assert [one.outcome for one in found] == [Outcome.INSUFFICIENT_DATA] * 3
    assert all("do not vary" in one.message for one in found)


def test_a_backtest_that_promised_nothing_is_not_judged_for_overfitting() -> None:
    found = judge(np.concatenate([drifting(5, -1.0, 756), drifting(6, 2.0, 756)]))[2]

    assert found.outcome is Outcome.INSUFFICIENT_DATA
    assert "not positive" in found.message
    assert found.parts["missing_sharpe"] is None
    assert found.parts["in_sample_sharpe_ratio"] == pytest.approx(-1.0, abs=0.1)


def test_a_wiped_out_strategy_has_no_scores() -> None:
    returns = healthy()
    returns[1200] = -1.0

    found = judge(returns)

    assert [one.outcome for one in found] == [Outcome.INSUFFICIENT_DATA] * 3
    assert all("wiped out on 15 Apr 2018" in one.message for one in found)


def trial_matrix(rows: int, edge: float) -> Floats:
    trials = 0.01 * np.random.default_rng(7).standard_normal((rows, 10))
    trials[:, 3] += edge
    return trials


@pytest.mark.slow
def test_with_a_trial_matrix_pbo_is_judged_and_the_deflated_sharpe_ratio_stands_beside_it() -> None:
    good = judge(collapsed(), trials=trial_matrix(1000, 0.004))[2]
    # The best half of each alternative is the worst of the other: overfitting by construction.
    bad = judge(healthy(), trials=mirrored(1000))[2]

    assert (good.outcome, good.value, good.parts["measure"]) == (Outcome.OK, 0.0, "pbo")
    assert good.parts["missing_sharpe"] == 1.0
    assert isinstance(good.parts["deflated_sharpe_ratio"], float)
    assert good.parts["splits"] == 12870
    assert bad.severity is Severity.CRITICAL
    assert bad.value is not None
    assert bad.value > 0.5


def mirrored(rows: int) -> Floats:
    wave = np.sign(np.sin(np.arange(rows)[:, None] * np.arange(1, 9) * 2 * np.pi / rows))
    return 0.002 * wave + 0.01 * np.random.default_rng(8).standard_normal((rows, 1))


def test_a_trial_matrix_is_judged_without_enough_live_rows_too() -> None:
    found = judge(drifting(9, 1.0, 800), trials=trial_matrix(1000, 0.004))[2]

    assert found.outcome is Outcome.OK
    assert found.parts["missing_sharpe"] is None


def test_a_short_trial_matrix_is_insufficient_and_a_broken_one_is_refused() -> None:
    short = judge(healthy(), trials=trial_matrix(251, 0.0))[2]

    assert short.outcome is Outcome.INSUFFICIENT_DATA
    assert (short.observations, short.required) == (251, 252)
    with pytest.raises(UsageError, match="trials"):
        judge(healthy(), trials=np.full((300, 3), np.inf))


def test_the_same_seed_gives_the_same_evaluations_bit_for_bit() -> None:
    assert judge(healthy(), seed=5) == judge(healthy(), seed=5)


def test_the_earlier_systems_scores_are_shown_where_there_are_trades() -> None:
    exits = np.arange(np.datetime64("2018-01", "M"), np.datetime64("2018-07", "M")).repeat(3)
    days = exits.astype("datetime64[D]")
    pnl = np.random.default_rng(3).standard_normal(len(days))
    trades = Trades(exits=days, entries=days, pnl=pnl, cost=np.zeros(len(days)))

    found = judge_record(record(healthy(), trades=trades))

    names = ["legacy_stability", "legacy_validation", "legacy_overfitting"]
    assert all(isinstance(one.parts[n], float) for one, n in zip(found, names, strict=True))
    plain = zip(judge(healthy()), names, strict=True)
    assert all(one.parts[name] is None for one, name in plain)


@pytest.mark.parametrize(
    ("rule", "value", "severity"),
    [
        ("walk_forward_stability", 60.0, None),
        ("walk_forward_stability", 59.9, Severity.WARNING),
        ("walk_forward_stability", 50.0, Severity.WARNING),
        ("walk_forward_stability", 49.9, Severity.CRITICAL),
        ("out_of_sample_validation", 0.0501, None),
        ("out_of_sample_validation", 0.05, Severity.WARNING),
        ("out_of_sample_validation", 0.01, Severity.CRITICAL),
        ("overfitting", 0.3, None),
        ("overfitting", 0.301, Severity.WARNING),
        ("overfitting", 0.5, Severity.WARNING),
        ("overfitting", 0.501, Severity.CRITICAL),
    ],
)
def test_a_limit_is_met_exactly_as_it_is_written(
    rule: str, value: float, severity: Severity | None
) -> None:
    assert BY_ID[rule].ladder.severity(value) is severity


def said(rule: str, severity: Severity | None, **changes: Any) -> Evaluation:
    """A score, which has no rate of healthy years, changed as asked."""
    given: dict[str, Any] = {
        "strategy": "trend",
        "rule": rule,
        "outcome": Outcome.OK if severity is None else Outcome.BREACH,
        "severity": severity,
        "evidence": None if severity is None else Evidence.UNRATED,
    }
    return Evaluation(**(given | changes))


@pytest.mark.parametrize(
    ("returns", "severity", "verdict"),
    [
        (healthy(), None, "within limit 60"),
        (fading(0.6), Severity.WARNING, "below the warning limit 60"),
        (collapsed(), Severity.CRITICAL, "below the critical limit 50"),
    ],
    ids=["ok", "warning", "critical"],
)
def test_all_that_is_said_of_the_stability(
    returns: Floats, severity: Severity | None, verdict: str
) -> None:
    score = stability(returns, LIVE, 252)
    assert not isinstance(score, Insufficient)

    assert plain(judge(returns)[0]) == said(
        "walk_forward_stability",
        severity,
        value=score.score,
        limit=50.0 if severity is Severity.CRITICAL else 60.0,
        observations=12,
        required=4,
        parts=stability_parts(record(returns), score, None),
    )


@pytest.mark.parametrize(
    ("returns", "severity", "verdict"),
    [
        (healthy(), None, "within limit 0.05"),
        (fading(1.0), Severity.WARNING, "at or below the warning limit 0.05"),
        (collapsed(), Severity.CRITICAL, "at or below the critical limit 0.01"),
    ],
    ids=["ok", "warning", "critical"],
)
def test_all_that_is_said_of_the_validation(
    returns: Floats, severity: Severity | None, verdict: str
) -> None:
    found = out_of_sample(returns[:756], returns[756:], np.random.default_rng(1))
    assert found is not None

    assert plain(judge(returns)[1]) == said(
        "out_of_sample_validation",
        severity,
        value=found.share_below,
        limit=0.01 if severity is Severity.CRITICAL else 0.05,
        observations=756,
        required=252,
        parts=validation_parts(found, 252, None),
    )


@pytest.mark.parametrize(
    ("returns", "severity", "verdict"),
    [
        (healthy(), None, "within limit 0.3"),
        (fading(0.3), Severity.WARNING, "above the warning limit 0.3"),
        (collapsed(), Severity.CRITICAL, "above the critical limit 0.5"),
    ],
    ids=["ok", "warning", "critical"],
)
def test_all_that_is_said_of_the_missing_sharpe_ratio(
    returns: Floats, severity: Severity | None, verdict: str
) -> None:
    found = missing_sharpe(returns[:756], returns[756:])
    assert found is not None
    assert found.missing is not None

    assert plain(judge(returns)[2]) == said(
        "overfitting",
        severity,
        value=found.missing,
        limit=0.5 if severity is Severity.CRITICAL else 0.3,
        observations=756,
        required=252,
        parts=overfitting_parts(found, None, 252, None),
    )


def test_all_that_is_said_of_a_trial_matrix() -> None:
    returns, trials = collapsed(), trial_matrix(1000, 0.004)
    found, deflated = cscv(trials), deflated_best_trial(trials)
    assert deflated is not None

    assert plain(judge(returns, trials=trials)[2]) == said(
        "overfitting",
        None,
        value=found.pbo,
        limit=0.3,
        observations=found.rows,
        required=252,
        parts=overfitting_parts(
            missing_sharpe(returns[:756], returns[756:]), (found, deflated), 252, None
        ),
    )


def unsaid(rule: str, observations: int, required: int, why: str, **changes: Any) -> Evaluation:
    limits = dict(zip(NAMES, (60.0, 0.05, 0.3), strict=True))
    return said(
        rule,
        None,
        outcome=Outcome.INSUFFICIENT_DATA,
        limit=limits[rule],
        observations=observations,
        required=required,
        **changes,
    )


NAMES = ("walk_forward_stability", "out_of_sample_validation", "overfitting")


def test_all_that_is_said_of_a_wiped_out_strategy() -> None:
    returns = healthy()
    returns[[1200, 1300]] = -1.0
    why = "it was wiped out on 2018-04-15, and its statistics stop there"

    assert plain(judge(returns)) == [unsaid(rule, 1200, ROWS, why) for rule in NAMES]


def test_all_that_is_said_of_too_few_live_rows_and_of_rows_that_stand_still() -> None:
    few = judge(drifting(3, 1.0, 800))
    still = judge(np.where(LIVE, 0.0, drifting(4, 1.0)))

    split = split_record(drifting(3, 1.0, 800), LIVE[:800])
    assert isinstance(split, Insufficient)
    assert plain(few[1:]) == [unsaid(rule, 44, 252, split.reason) for rule in NAMES[1:]]
    why = "the 756 backtest or the 756 live rows do not vary enough for a Sharpe ratio"
    assert plain(still[1:]) == [unsaid(rule, 0, 252, why) for rule in NAMES[1:]]


def test_all_that_is_said_of_a_backtest_that_promised_nothing() -> None:
    returns = np.concatenate([drifting(5, -1.0, 756), drifting(6, 2.0, 756)])
    found = missing_sharpe(returns[:756], returns[756:])

    assert plain(judge(returns)[2]) == unsaid(
        "overfitting",
        756,
        252,
        "the in-sample Sharpe ratio is not positive, so none of it can be missing",
        parts=overfitting_parts(found, None, 252, None),
    )


def test_all_that_is_said_of_a_short_trial_matrix() -> None:
    found = judge(healthy(), trials=trial_matrix(251, 0.0))[2]

    assert plain(found) == unsaid("overfitting", 251, 252, "the trial matrix has 251 of 252 rows")
