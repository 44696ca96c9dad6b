from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Kind, Outcome
from perf_alerts_dagster.judging.rules.data_quality import (
    NO_DATA,
    judge_data,
    newest_run,
    no_data,
    record_error,
)
from perf_alerts_dagster.judging.rules.thresholds import DRAWDOWN, WIPE_OUT
from perf_alerts_dagster.records.model import Floats, RecordFault, StrategyRecord
from perf_alerts_dagster.statistics.wins_losses import longest_run
from perf_alerts_tests.builders import a_record, context_of, noise


def judge(record: StrategyRecord, rule: str, **changes: Any) -> Evaluation:
    found = {one.rule: one for one in judge_data(record, context_of(record, **changes))}
    return found[rule]


def flat(rows: int, runs: int) -> Floats:
    """A backtest whose longest run of flat days is `runs`."""
    made = noise(rows)
    made[50 : 50 + runs] = 0.0
    return made


@pytest.mark.parametrize(("late", "severity"), [(0, None), (1, Severity.INFO), (2, Severity.INFO)])
def test_late_within_what_is_allowed_is_info(late: int, severity: Severity | None) -> None:
    record = a_record(noise(70))

    stale = judge(record, "stale_data", lateness={"trend": late})

    assert stale.severity is severity


def test_no_data_is_ok_while_rows_arrive() -> None:
    assert judge(a_record(noise(70)), "no_data").outcome is Outcome.OK


def test_no_data_is_critical_for_its_own_rule_and_plain_for_the_others() -> None:
    own = no_data("trend", NO_DATA, late=5, allowed=2, newest="2026-01-05")
    other = no_data("trend", DRAWDOWN, late=5, allowed=2, newest="2026-01-05")

    assert own.outcome is other.outcome is Outcome.NO_DATA
    assert own.severity is Severity.CRITICAL
    assert other.severity is None
    assert "5 sessions behind; 2 are allowed" in own.message


@pytest.mark.parametrize(
    ("run", "outcome"), [(4, Outcome.OK), (5, Outcome.OK), (6, Outcome.BREACH)]
)
def test_a_flat_run_breaches_only_when_longer_than_the_backtests_longest(
    run: int, outcome: Outcome
) -> None:
    record = a_record([*noise(20), *np.zeros(run)], backtest=flat(300, 5))

    judged = judge(record, "flat_run")

    assert judged.outcome is outcome
    assert judged.value == run
    assert judged.limit == 5


def test_one_flat_day_is_no_run_even_where_the_backtest_has_none() -> None:
    record = a_record([*noise(20), 0.0], backtest=noise(300))

    assert judge(record, "flat_run").outcome is Outcome.OK


def test_a_flat_run_that_ended_is_over() -> None:
    record = a_record([*np.zeros(30), 0.01], backtest=noise(300))

    assert judge(record, "flat_run").outcome is Outcome.OK


@pytest.mark.parametrize(("copies", "outcome"), [(3, Outcome.OK), (4, Outcome.BREACH)])
def test_the_same_pnl_again_and_again_is_a_stuck_feed(copies: int, outcome: Outcome) -> None:
    record = a_record([*noise(20), *np.full(copies, 0.0123)], backtest=noise(300))

    judged = judge(record, "repeated_pnl")

    assert judged.outcome is outcome
    assert judged.value == copies - 1


def test_zero_again_and_again_is_flat_and_not_repeated() -> None:
    record = a_record([*noise(20), *np.zeros(10)], backtest=noise(300))

    assert judge(record, "repeated_pnl").outcome is Outcome.OK
    assert judge(record, "flat_run").severity is Severity.WARNING


@pytest.mark.parametrize("rule", ["flat_run", "repeated_pnl"])
def test_a_run_needs_a_backtest_to_compare_with(rule: str) -> None:
    record = a_record(np.zeros(70), backtest=noise(251))

    judged = judge(record, rule)

    assert judged.outcome is Outcome.INSUFFICIENT_DATA
    assert (judged.observations, judged.required) == (251, 252)


@pytest.mark.parametrize(
    ("ratio", "outcome"),
    [
        (0.499, Outcome.BREACH),
        (0.501, Outcome.OK),
        (1.0, Outcome.OK),
        (1.999, Outcome.OK),
        (2.001, Outcome.BREACH),
    ],
)
def test_volatility_outside_half_to_twice_the_backtests_is_a_warning(
    ratio: float, outcome: Outcome
) -> None:
    backtest, live = noise(300), noise(63, seed=2)
    live = live / live.std(ddof=1) * backtest.std(ddof=1) * ratio

    judged = judge(a_record(live, backtest=backtest), "volatility_shift")

    assert judged.outcome is outcome
    assert judged.value == pytest.approx(ratio)
    assert judged.severity is (Severity.WARNING if outcome is Outcome.BREACH else None)


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_volatility_at_its_bound_is_not_outside_whatever_the_rounding(ratio: float) -> None:
    for seed in range(20):
        backtest, live = noise(300, seed=seed), noise(63, seed=seed + 50)
        live = live / live.std(ddof=1) * backtest.std(ddof=1) * ratio
        judged = judge(a_record(live, backtest=backtest), "volatility_shift")

        assert judged.outcome is Outcome.OK, judged.value


def test_volatility_beyond_numbers_is_insufficient() -> None:
    record = a_record(np.abs(noise(63)) * 1e200, backtest=noise(300))

    assert judge(record, "volatility_shift").outcome is Outcome.INSUFFICIENT_DATA


def test_a_late_event_rule_is_still_an_event() -> None:
    late = no_data("trend", WIPE_OUT, late=5, allowed=2, newest="2026-01-05")

    assert late.kind is Kind.EVENT


@pytest.mark.parametrize(("live", "backtest"), [(62, 300), (63, 251)])
def test_volatility_needs_63_live_and_252_backtest_rows(live: int, backtest: int) -> None:
    record = a_record(noise(live), backtest=noise(backtest))

    assert judge(record, "volatility_shift").outcome is Outcome.INSUFFICIENT_DATA


def test_a_backtest_that_does_not_vary_compares_with_nothing() -> None:
    record = a_record(noise(63), backtest=np.full(300, 0.001))

    judged = judge(record, "volatility_shift")

    assert judged.outcome is Outcome.INSUFFICIENT_DATA
    assert "does not vary" in judged.message


def test_a_record_error_shows_three_faults_and_counts_the_rest() -> None:
    faults = tuple(
        RecordFault(where="daily.csv", row=row, column="pnl", rule="is not a number")
        for row in range(2, 7)
    )

    judged = record_error("trend", faults)

    assert judged.outcome is Outcome.ERROR
    assert judged.evidence is Evidence.UNGATED
    assert judged.message.startswith("daily.csv, row 2, column pnl: is not a number; ")
    assert judged.message.endswith("; and 2 more")
    assert len(judged.parts["faults"]) == 5  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flags", "longest", "newest"),
    [([], 0, 0), ([0], 0, 0), ([1], 1, 1), ([1, 1, 0, 1], 2, 1), ([0, 1, 1], 2, 2), ([1, 0], 1, 0)],
)
def test_runs_are_counted(flags: list[int], longest: int, newest: int) -> None:
    given = np.array(flags, dtype=bool)

    assert longest_run(given) == longest
    assert newest_run(given) == newest
