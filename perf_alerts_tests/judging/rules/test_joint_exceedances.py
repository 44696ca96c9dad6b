"""One thing that happens to many strategies is told once, with its members."""

from dataclasses import replace

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.rules.joint_exceedances import judge_joint
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_tests.builders import a_record, context_of, noise

ROWS = 600


def desk(count: int = 4, *, fall: int = 0, rows: int = ROWS) -> dict[str, StrategyRecord]:
    """Independent strategies; the first `fall` of them lose eight deviations on the last day."""
    found = {}
    for place in range(count):
        returns = noise(rows, seed=place + 1)
        if place < fall:
            returns[-1] = -0.08
        name = f"s{place}"
        found[name] = a_record(returns[300:], backtest=returns[:300], strategy=name)
    return found


def judged(records: dict[str, StrategyRecord]) -> Evaluation:
    (found,) = judge_joint(records, context_of(next(iter(records.values()))))
    return found


def test_several_that_fall_on_one_day_are_one_warning_that_names_them() -> None:
    found = judged(desk(fall=3))

    assert (found.outcome, found.severity) == (Outcome.BREACH, Severity.WARNING)
    assert (found.strategy, found.value) == ("ALL", 3.0)
    assert found.parts["members"] == ["s0", "s1", "s2"]
    assert found.evidence is Evidence.UNGATED
    assert found.is_notified()


def test_the_probability_of_the_day_and_that_of_a_year_are_told_apart() -> None:
    found = judged(desk(fall=3))
    daily = found.parts["probability"]

    assert isinstance(daily, float)
    assert 0.0 < daily <= 0.01
    assert found.p_year == pytest.approx(1 - (1 - daily) ** 252)


@pytest.mark.parametrize("fall", [0, 1])
def test_one_alone_is_no_group(fall: int) -> None:
    found = judged(desk(fall=fall))

    assert found.outcome is Outcome.OK
    assert found.value == fall


def test_many_together_are_nothing_special_where_they_always_fall_together() -> None:
    returns = noise(ROWS)
    returns[20::40] = -0.08
    returns[-1] = -0.09
    same = {
        name: a_record(returns[300:], backtest=returns[:300], strategy=name)
        for name in ("a", "b", "c")
    }
    found = judged(same)

    assert found.outcome is Outcome.OK
    assert isinstance(found.parts["probability"], float)
    assert found.parts["probability"] > 0.01


@pytest.mark.parametrize("days_ago", [1, 5])
def test_a_strategy_that_was_wiped_out_is_left_out(days_ago: int) -> None:
    records = desk(fall=2)
    returns: Floats = records["s3"].returns.copy()
    returns[-days_ago] = -1.0
    records["s3"] = replace(records["s3"], returns=returns)
    found = judged(records)

    assert found.value == 2.0
    assert "of 3 strategies" in found.message


def test_a_strategy_without_a_row_on_the_day_is_left_out() -> None:
    records = desk(fall=2)
    records["s3"] = records["s3"].rows(0, ROWS - 1)

    assert "of 3 strategies" in judged(records).message


@pytest.mark.parametrize("records", [desk(1, fall=1), desk(4, fall=4, rows=200)])
def test_fewer_than_two_strategies_with_enough_rows_say_nothing(
    records: dict[str, StrategyRecord],
) -> None:
    assert not judge_joint(records, context_of(next(iter(records.values()))))


def test_all_cash_is_no_strategy_to_count() -> None:
    records = desk(fall=2)
    records["s3"] = replace(records["s3"], returns=np.zeros(ROWS))

    assert "of 3 strategies" in judged(records).message
