import json
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perf_alerts_dagster.domain.alerts import Family
from perf_alerts_dagster.domain.evaluation import Outcome
from perf_alerts_dagster.domain.judge import is_judged, judge_strategy
from perf_alerts_dagster.domain.record import Floats, Status
from perf_alerts_dagster.domain.rules import catalogue
from perf_alerts_dagster.domain.severity import Severity
from perf_alerts_tests.builders import a_record, context_of, noise

DAILY = (Family.THRESHOLD, Family.DATA)


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
        st.one_of(st.just(0.0), st.floats(-1.5, 5.0), st.floats(-1e-9, 1e-9), st.just(-1.0)),
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

    for one in judge_strategy(record, DAILY, context_of(record, provisional=open_row)):
        json.dumps([one.value, one.limit, dict(one.parts)], allow_nan=False)
        assert (one.severity is not None) >= (one.outcome is Outcome.BREACH)
        assert one.message
        assert one.rule in catalogue.BY_ID
