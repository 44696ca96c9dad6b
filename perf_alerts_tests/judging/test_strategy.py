import json
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_dagster.judging.judge import is_judged, judge_strategy
from perf_alerts_dagster.judging.rules import catalogue
from perf_alerts_dagster.records.model import Floats, Status
from perf_alerts_tests.builders import a_record, context_of, noise

DAILY = (Family.THRESHOLD, Family.DATA)
HUGE = st.sampled_from([1e150, 1e200, 1e300])
EVERY_MANDATE = {
    "default": {"drawdown": 0.1, "daily_loss": 0.03, "weekly_loss": 0.05, "monthly_loss": 0.1}
}


@pytest.mark.parametrize("status", [Status.PAUSED, Status.RETIRED])
def test_a_paused_or_retired_strategy_is_not_judged(status: Status) -> None:
    record = a_record(noise(70), status=status)

    assert judge_strategy(record, DAILY, context_of(record)) == []


def test_an_incubating_strategy_is_judged() -> None:
    record = a_record(noise(70), status=Status.INCUBATING)

    assert judge_strategy(record, DAILY, context_of(record))


@pytest.mark.parametrize(
    ("limits", "judged"),
    [
        ({"judged_from": date(2023, 1, 2)}, True),
        ({"judged_from": date(2023, 1, 3)}, False),
        ({"judged_until": date(2023, 1, 2)}, True),
        ({"judged_until": date(2023, 1, 1)}, False),
    ],
)
def test_a_strategy_is_judged_on_its_days_only(limits: dict[str, Any], judged: bool) -> None:
    record = a_record([0.01], **limits)

    assert is_judged(record, context_of(record)) is judged


def test_every_rule_that_applies_gives_one_evaluation_in_the_catalogues_order() -> None:
    record = a_record(noise(70), backtest=noise(300))

    rules = [one.rule for one in judge_strategy(record, DAILY, context_of(record))]

    assert rules == [
        "rolling_sharpe", "sharpe_degradation", "drawdown", "wipe_out", "flat_run",
        "repeated_pnl", "volatility_shift", "no_data", "stale_data",
    ]  # fmt: skip


def test_a_late_strategy_is_no_data_by_every_rule_and_never_ok() -> None:
    record = a_record(noise(70))
    context = context_of(record, lateness={"trend": 3})

    found = judge_strategy(record, DAILY, context)

    assert {one.outcome for one in found} == {Outcome.NO_DATA}
    assert {one.rule for one in found} >= {"drawdown", "rolling_sharpe", "no_data"}


def test_a_strategy_that_is_late_within_the_limit_is_judged() -> None:
    record = a_record(noise(70))

    found = judge_strategy(record, DAILY, context_of(record, lateness={"trend": 2}))

    assert Outcome.NO_DATA not in {one.outcome for one in found}


def test_a_wipe_out_is_an_emergency_and_ends_the_statistics() -> None:
    record = a_record([*noise(70), -1.0])

    found = {one.rule: one for one in judge_strategy(record, DAILY, context_of(record))}

    assert found.pop("wipe_out").severity is Severity.EMERGENCY
    assert {one.outcome for one in found.values()} == {Outcome.INSUFFICIENT_DATA}
    assert all("wiped out on" in one.message for one in found.values())


def test_rows_after_a_wipe_out_change_nothing() -> None:
    ended = a_record([*noise(70), -1.0])
    goes_on = a_record([*noise(70), -1.0, 0.5, 0.5])

    before = judge_strategy(ended, DAILY, context_of(ended))
    after = judge_strategy(goes_on, DAILY, context_of(goes_on))

    assert before == after


def test_a_strategy_without_rows_is_not_judged() -> None:
    record = a_record(noise(5))

    assert judge_strategy(record.rows(0, 0), DAILY, context_of(record)) == []


def test_without_live_rows_nothing_is_said_to_be_fine_but_the_feed_itself() -> None:
    record = a_record([], backtest=noise(300))
    found = judge_strategy(record, DAILY, context_of(record, policy=EVERY_MANDATE))
    fine = {one.rule for one in found if one.outcome is Outcome.OK}

    assert fine == {"wipe_out", "no_data", "stale_data"}


def test_a_provisional_row_changes_only_losses_and_what_says_how_the_feed_does() -> None:
    record = a_record([*noise(80), -0.3], backtest=noise(300))
    final = record.rows(0, 380)
    closed = judge_strategy(final, DAILY, context_of(final, policy=EVERY_MANDATE))
    opened = judge_strategy(
        record, DAILY, context_of(record, policy=EVERY_MANDATE, provisional=True)
    )
    changed = {two.rule for one, two in zip(closed, opened, strict=True) if one != two}

    assert changed == {
        "drawdown", "policy_drawdown", "policy_daily_loss", "wipe_out", "no_data", "stale_data",
    }  # fmt: skip


def test_capital_and_pnl_on_another_scale_change_nothing_but_currency() -> None:
    returns = noise(80)
    found = []
    for scale in (1.0, 1e6):
        capital = np.full(80, 100.0) * scale
        record = a_record(returns, pnl=returns * capital, capital=capital)
        found.append(judge_strategy(record, DAILY, context_of(record)))

    assert found[0] == found[1]


@settings(max_examples=60, deadline=None)
@given(
    live=st.lists(
        st.one_of(st.just(0.0), st.floats(-1.5, 5.0), st.floats(-1e-9, 1e-9), st.just(-1.0), HUGE),
        min_size=1,
        max_size=90,
    ),
    backtest=st.integers(0, 2).map(lambda one: noise(150 * one)),
    provisional=st.booleans(),
)
def test_no_evaluation_ever_holds_nan_or_infinity(
    live: list[float], backtest: Floats, provisional: bool
) -> None:
    record = a_record(live, backtest=backtest)
    open_row = provisional and len(record) > 1

    context = context_of(record, provisional=open_row, policy=EVERY_MANDATE)
    for one in judge_strategy(record, DAILY, context):
        json.dumps([one.value, one.limit, dict(one.parts)], allow_nan=False)
        assert (one.severity is not None) >= (one.outcome is Outcome.BREACH)
        assert one.message
        assert one.rule in catalogue.BY_ID


@settings(max_examples=60, deadline=None)
@given(
    returns=st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=30),
    worse=st.floats(0, 0.4),
    provisional=st.booleans(),
)
def test_a_worse_last_return_is_never_judged_milder_by_any_loss_rule(
    returns: list[float], worse: float, provisional: bool
) -> None:
    ranks = []
    for last in (returns[-1], returns[-1] - worse):
        record = a_record([*returns[:-1], last])
        context = context_of(
            record, provisional=provisional and len(record) > 1, policy=EVERY_MANDATE
        )
        ranks.append(
            {
                one.rule: -1 if one.severity is None else one.severity.rank
                for one in judge_strategy(record, [Family.THRESHOLD], context)
                if one.rule == "drawdown" or one.rule.startswith("policy_")
            }
        )

    assert all(ranks[1][rule] >= rank for rule, rank in ranks[0].items())
    assert len(ranks[0]) == 5


def test_a_wipe_out_is_no_matter_of_rules_about_data_alone() -> None:
    record = a_record([*noise(70), -1.0])

    found = judge_strategy(record, (Family.DATA,), context_of(record))

    assert {one.outcome for one in found} == {Outcome.INSUFFICIENT_DATA}
    assert "wipe_out" not in {one.rule for one in found}


def test_a_short_record_has_no_scores_yet() -> None:
    record = a_record(noise(70))

    found = judge_strategy(record, (Family.SCORE,), context_of(record))

    assert [one.rule for one in found] == [
        "walk_forward_stability",
        "out_of_sample_validation",
        "overfitting",
    ]
    assert {one.outcome for one in found} == {Outcome.INSUFFICIENT_DATA}
