"""The gap to the model's own P&L: what is said of it, and what a bad shadow does."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.context import LACKING
from perf_alerts_dagster.judging.coverage import coverage_of
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.rules import shadow as rule_module
from perf_alerts_dagster.judging.rules.shadow import RULE, judge_shadow
from perf_alerts_dagster.judging.summary import summary_of
from perf_alerts_dagster.projections.shadow_lives import ShadowCalibration, calibrate
from perf_alerts_dagster.records.model import RecordFault, StrategyRecord
from perf_alerts_dagster.statistics.shadow.faults import Fault, Kind, fault_of
from perf_alerts_dagster.statistics.shadow.pairs import pairs_of
from perf_alerts_tests.builders import context_of, noise
from perf_alerts_tests.shadowed import FAULTS, PLANTED, a_pair, a_shadowed

BACKTEST = noise(300)
BUDGETS = Budgets(shadowed=frozenset({"trend"}))


def twins_of(record: StrategyRecord, rows: int = 126) -> ShadowCalibration:
    assert record.shadow is not None
    return calibrate(pairs_of(record, record.shadow), rows, 1, 1_000)


def judged(record: StrategyRecord, **changes: Any) -> Evaluation:
    given: dict[str, Any] = {"budgets": BUDGETS} | changes
    (found,) = judge_shadow(record, context_of(record, **given))
    return found


def faulty(
    fault: str | None, seed: int = 3, rows: int = PLANTED + 63, **changes: Any
) -> Evaluation:
    # A cost is seen within a quarter only where the noise is small.
    noise = 0.04 if fault == "cost" else 0.1
    live, model = a_pair(np.random.default_rng(seed), rows, fault=fault, noise=noise)
    record = a_shadowed(live, model, backtest=BACKTEST, **changes)
    return judged(record, shadows={"trend": twins_of(record)})


def test_a_strategy_without_a_shadow_is_not_judged_by_it() -> None:
    live, model = a_pair(np.random.default_rng(1), 100)
    record = replace(a_shadowed(live, model, backtest=BACKTEST), shadow=None)

    assert list(judge_shadow(record, context_of(record))) == []


def test_live_that_follows_its_model_is_ok() -> None:
    found = faulty(None)

    assert (found.outcome, found.severity, found.evidence) == (Outcome.OK, None, None)
    assert found.value == found.p_year
    assert (found.limit, found.false_alarm_rate) == (0.05, 0.05)
    assert (found.observations, found.required) == (PLANTED + 63, 63)
    assert found.message.startswith("differs from its model by 0.")
    assert set(found.parts["statistics"]) == {"drift", "slope", "tracking", "days"}  # type: ignore[arg-type]
    assert found.parts["noise"] == pytest.approx(0.08, abs=0.04)
    assert (found.parts["reference_rows"], found.parts["undated_rows"]) == (126, 252)
    assert (found.parts["spearman_zone"], found.parts["kolmogorov_smirnov_zone"]) == (
        "green",
        "green",
    )
    assert found.parts["seen"]["lag"] == {"21": 1.0, "63": 1.0}  # type: ignore[index, call-overload]


SAID = {
    "size": ("size", "size 0."),
    "lag": ("lag", "lag of one day since "),
    "sign": ("partly opposite", "partly opposite since "),
    "whole": ("sign", "sign flipped since "),
    "missed": ("missed", "missed "),
    "cost": ("drift", "drift -"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_message_names_the_fault_its_onset_and_what_it_cost(fault: str) -> None:
    found = faulty(fault, capital=np.full(300 + PLANTED + 63, 1e6), currency="USD")
    kind, text = SAID[fault]

    assert (found.outcome, found.evidence) == (Outcome.BREACH, Evidence.STRONG)
    assert found.severity in (Severity.WARNING, Severity.CRITICAL)
    assert found.parts["fault"] == kind
    assert found.message.startswith(text)
    assert ": USD " in found.message
    assert found.parts["pnl_since"] == pytest.approx(found.parts["difference_since"] * 1e6)  # type: ignore[operator]
    since = date.fromisoformat(str(found.parts["fault_since"]))
    record = a_shadowed(*a_pair(np.random.default_rng(3)), backtest=BACKTEST)
    planted = record.dates[300 + PLANTED].astype(object)
    assert abs((since - planted).days) <= (60 if fault in ("missed", "cost") else 10)


def test_without_capital_the_cost_is_a_share_of_it() -> None:
    found = faulty("cost", costs=np.full(PLANTED + 63, 0.0001))

    assert "% against its model so far" in found.message
    assert "pnl_since" not in found.parts
    assert found.parts["mean_is_learnt"] is False


def test_a_mean_that_was_there_from_the_first_rows_on_is_said_to_be_learnt() -> None:
    live, model = a_pair(np.random.default_rng(4), 150)
    record = a_shadowed(live - 0.001, model, backtest=BACKTEST)
    found = judged(record, shadows={"trend": twins_of(record)})

    assert "bp a day from the first rows on count as normal, state expected_cost" in found.message
    assert found.parts["learnt_mean"] == pytest.approx(-0.001, rel=0.3)
    stated = a_shadowed(live - 0.001, model, backtest=BACKTEST, costs=np.full(150, 1e-9))
    assert judged(stated, shadows={"trend": twins_of(stated)}).outcome is Outcome.BREACH


def test_too_few_pairs_lack_shadow_rows() -> None:
    live, model = a_pair(np.random.default_rng(5), 62)
    record = a_shadowed(live, model, backtest=BACKTEST, versions=np.full(62, "v2"))
    found = judged(record)

    assert (found.outcome, found.observations, found.required) == (
        Outcome.INSUFFICIENT_DATA,
        62,
        63,
    )
    assert found.message == "62 of 63 shadow rows; of model version v2"
    assert found.parts[LACKING] == "shadow rows"
    assert coverage_of(record, [found]).lacking == (("63 shadow rows are needed", (RULE.title,)),)


def test_late_rows_are_counted_and_said() -> None:
    live, model = a_pair(np.random.default_rng(6), 66)
    record = a_shadowed(live, model, backtest=BACKTEST)
    seen = np.full(66, "NaT", dtype="datetime64[D]")
    seen[:9] = record.dates[-1]

    found = judged(a_shadowed(live, model, backtest=BACKTEST, seen=seen))

    assert found.message == (
        "57 of 63 shadow rows; 9 rows came or changed more than 5 sessions late"
    )


def test_twins_that_are_not_drawn_yet_or_are_of_another_version_judge_nothing() -> None:
    live, model = a_pair(np.random.default_rng(7), 100)
    record = a_shadowed(live, model, backtest=BACKTEST)
    other = replace(twins_of(record, 63), first=date(2000, 1, 1))

    for shadows in ({}, {"trend": other}):
        found = judged(record, shadows=shadows)
        assert (found.outcome, found.observations) == (Outcome.INSUFFICIENT_DATA, 63)
        assert "healthy twins" in found.message


def test_a_damaged_shadow_is_an_error_of_this_rule_and_of_no_other() -> None:
    live, model = a_pair(np.random.default_rng(8), 100)
    faults = tuple(RecordFault(where="daily.csv", rule="is bad", row=row) for row in (3, 4))
    record = a_shadowed(live, model[:0], backtest=BACKTEST, faults=faults)
    found = judged(record)

    assert (found.outcome, found.severity) == (Outcome.ERROR, Severity.WARNING)
    assert found.message == f"{faults[0]}; and 1 more"
    assert found.parts["faults"] == [str(each) for each in faults]
    fine = Evaluation(strategy="trend", rule="drawdown", outcome=Outcome.OK)
    assert summary_of([fine, found]).outcome is Outcome.PARTIAL
    assert summary_of([fine, found]).note == found.message
    bad = replace(fine, outcome=Outcome.BREACH, severity=Severity.CRITICAL)
    assert summary_of([bad, found]).outcome is Outcome.BREACH
    assert summary_of([found]).outcome is Outcome.ERROR
    single = judged(a_shadowed(live, model[:0], backtest=BACKTEST, faults=faults[:1]))
    assert single.message == str(faults[0])


def test_a_shadow_that_stopped_is_no_data_and_never_ok() -> None:
    live, model = a_pair(np.random.default_rng(9), 200)
    kept = {"trend": twins_of(a_shadowed(live, model, backtest=BACKTEST))}

    there = judged(a_shadowed(live, model[:195], backtest=BACKTEST), shadows=kept)
    gone = judged(a_shadowed(live, model[:194], backtest=BACKTEST), shadows=kept)

    assert there.outcome is Outcome.OK
    assert (gone.outcome, gone.severity) == (Outcome.NO_DATA, Severity.WARNING)
    assert gone.parts["headline"] == "its shadow has no rows since Thu 21 Nov"
    assert gone.message == (
        "its shadow has no rows since Thu 21 Nov: 6 sessions behind the strategy, 5 allowed"
    )


def test_no_final_row_is_no_pair() -> None:
    live, model = a_pair(np.random.default_rng(10), 100)
    record = a_shadowed(live, model, backtest=BACKTEST)

    found = judged(record, last_final=None)

    assert (found.outcome, found.observations) == (Outcome.INSUFFICIENT_DATA, 0)


def test_a_rule_without_a_budget_is_never_a_breach() -> None:
    live, model = a_pair(np.random.default_rng(11), PLANTED + 63, fault="lag")
    record = a_shadowed(live, model, backtest=BACKTEST)

    found = judged(record, shadows={"trend": twins_of(record)}, budgets=Budgets())

    assert (found.outcome, found.severity) == (Outcome.OK, None)


def test_only_strategies_with_a_shadow_pay_for_the_rule() -> None:
    assert RULE.id in BUDGETS.weights_of("trend")
    assert RULE.id not in BUDGETS.weights_of("other")
    assert BUDGETS.weights_of("other") == Budgets().weights_of("other")


@pytest.mark.parametrize(
    ("days", "newest", "text"),
    [
        (["2026-11-03"], "2026-11-30", "3 Nov"),
        (["2026-11-04", "2026-11-09", "2026-11-10"], "2026-11-30", "4, 9 and 10 Nov"),
        (["2026-10-28", "2026-11-04", "2026-11-09"], "2026-11-30", "28 Oct, 4 and 9 Nov"),
        (["2025-12-30", "2026-01-05"], "2026-01-09", "30 Dec 2025 and 5 Jan"),
        (
            [f"2026-11-0{day}" for day in range(1, 10)],
            "2026-11-30",
            "1, 2, 3, 4, 5, 6 Nov and 3 more",
        ),
    ],
)
def test_days_are_written_as_people_write_them(days: list[str], newest: str, text: str) -> None:
    dates = [np.datetime64(day) for day in days]

    assert rule_module._dated(dates, np.datetime64(newest)) == text


def test_noise_that_nothing_explains_is_a_larger_tracking_error() -> None:
    generator = np.random.default_rng(12)
    live, model = a_pair(generator, 200)
    live[150:] += 0.0035 * generator.normal(size=50)
    record = a_shadowed(live, model, backtest=BACKTEST)
    found = judged(record, shadows={"trend": twins_of(record)})

    assert found.parts["fault"] == "tracking"
    assert found.message.startswith("tracking error ")


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_nine_of_ten_faults_have_their_own_name(fault: str) -> None:
    generator, names = np.random.default_rng(13), []
    for _ in range(60):
        live, model = a_pair(generator, fault=fault)
        record = a_shadowed(live, model, backtest=BACKTEST)
        assert record.shadow is not None
        names.append(fault_of(pairs_of(record, record.shadow)).kind.value)

    assert names.count(SAID[fault][0]) >= 0.85 * len(names), names


def test_a_missed_day_that_no_pair_shows_has_no_days() -> None:
    live, model = a_pair(np.random.default_rng(14), 70)
    record = a_shadowed(live, model, backtest=BACKTEST)
    assert record.shadow is not None

    found = fault_of(pairs_of(record, record.shadow))

    assert isinstance(found, Fault)
    assert found.first >= 1
    assert found.kind in Kind
