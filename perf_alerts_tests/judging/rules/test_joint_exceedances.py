"""One thing that happens to many strategies is told once, with its members."""

from dataclasses import replace

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Kind, Outcome
from perf_alerts_dagster.judging.rules.exceedances import judge_joint
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.ewma_volatility import filter_returns
from perf_alerts_tests.builders import a_record, context_of, near, noise
from perf_alerts_tests.judging.wording import plain

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


def test_days_of_three_years_give_no_rate_so_that_they_are_only_shown() -> None:
    found = judged(desk(fall=4))

    assert found.severity is Severity.WARNING
    assert found.evidence is Evidence.WEAK
    assert found.p_year is not None
    assert found.p_year > 0.25
    assert not found.is_notified()


def test_the_probability_of_the_day_and_that_of_a_year_are_told_apart() -> None:
    found = judged(desk(fall=3))
    daily = found.parts["probability"]

    assert isinstance(daily, float)
    assert 0.0 < daily <= 0.01
    assert found.p_year == pytest.approx(1 - (1 - daily) ** 252)


def test_strategies_that_are_too_late_say_nothing_of_the_day() -> None:
    records = desk(2)
    context = context_of(records["s0"])
    late = replace(context, calendars=dict.fromkeys(records, context.calendars["s0"]))

    assert judge_joint(records, late)
    assert not judge_joint(records, replace(late, lateness={"s1": 3}))


@pytest.mark.parametrize("fall", [0, 1])
def test_one_alone_is_no_group(fall: int) -> None:
    found = judged(desk(fall=fall))

    assert found.outcome is Outcome.OK
    assert found.value == fall


def together(days: int) -> Evaluation:
    """Three that fell together on so many days before, and do today."""
    records = {}
    for seed, name in enumerate("abc", start=1):
        returns = noise(ROWS, seed=seed)
        returns[30 : ROWS - 1 : ROWS // days] = -0.08
        returns[-1] = -0.09
        records[name] = a_record(returns[300:], backtest=returns[:300], strategy=name)
    return judged(records)


@pytest.mark.parametrize(("days", "outcome"), [(5, Outcome.BREACH), (6, Outcome.OK)])
def test_many_together_are_nothing_special_where_they_always_fall_together(
    days: int, outcome: Outcome
) -> None:
    """Six of 600 sessions, today's among them, are one in a hundred."""
    found = together(days)

    assert found.value == 3.0
    assert found.parts["probability"] == (days + 1) / ROWS
    assert found.outcome is outcome


def left_out(records: dict[str, StrategyRecord], name: str) -> bool:
    """Whether only the three others are judged, of whom the first two have fallen."""
    found = judged(records)
    fallen = [one for one in ("s0", "s1") if one != name]
    return "of 3 strategies" in found.message and found.parts["members"] == fallen


@pytest.mark.parametrize("days_ago", [1, 5])
@pytest.mark.parametrize("name", ["s0", "s3"])
def test_a_strategy_that_was_wiped_out_is_left_out(name: str, days_ago: int) -> None:
    records = desk(fall=2)
    returns: Floats = records[name].returns.copy()
    returns[-days_ago] = -1.0
    records[name] = replace(records[name], returns=returns)

    assert left_out(records, name)


@pytest.mark.parametrize("name", ["s0", "s3"])
def test_a_strategy_without_a_row_on_the_day_is_left_out(name: str) -> None:
    records = desk(fall=2)
    context = context_of(records["s1"])
    records[name] = records[name].rows(0, ROWS - 1)
    (found,) = judge_joint(records, context)

    assert "of 3 strategies" in found.message


@pytest.mark.parametrize("name", ["s0", "s3"])
def test_all_cash_is_no_strategy_to_count(name: str) -> None:
    records = desk(fall=2)
    records[name] = replace(records[name], returns=np.zeros(ROWS))

    assert left_out(records, name)


def test_two_are_enough_for_a_group() -> None:
    found = judged(desk(2, fall=2))

    assert (found.outcome, found.parts["members"]) == (Outcome.BREACH, ["s0", "s1"])


@pytest.mark.parametrize("records", [desk(1, fall=1), desk(4, fall=4, rows=200)])
def test_fewer_than_two_strategies_with_enough_rows_say_nothing(
    records: dict[str, StrategyRecord],
) -> None:
    assert not judge_joint(records, context_of(next(iter(records.values()))))


def shares(records: dict[str, StrategyRecord], together: int) -> float:
    """The share of sessions before on which as many fell, by hand: the day itself is one more."""
    counts = np.zeros(ROWS - 1)
    for record in records.values():
        known = filter_returns(record.returns[:-1])
        assert known is not None
        counts += known.standardised < np.quantile(known.standardised, 0.01)
    return float((counts >= together).sum() + 1) / ROWS


@pytest.mark.parametrize("fall", [0, 1, 2, 3])
def test_all_that_is_said_of_a_day(fall: int) -> None:
    records = desk(fall=fall)
    share = shares(records, fall)
    is_rare = fall > 1
    day = records["s0"].dates[-1].astype(object)

    assert plain(judged(records)) == Evaluation(
        strategy="ALL",
        rule="joint_exceedances",
        outcome=Outcome.BREACH if is_rare else Outcome.OK,
        kind=Kind.EVENT,
        severity=Severity.WARNING if is_rare else None,
        value=float(fall),
        limit=2.0,
        observations=ROWS - 1,
        required=252,
        evidence=Evidence.WEAK if is_rare else None,
        p_year=near(1 - (1 - share) ** 252),
        session=day,
        parts={
            "members": [f"s{place}" for place in range(fall)],
            "probability": near(share),
            "levels": {"warning": 0.0, "critical": 0.0},
        },
    )
