"""Why a breach: the right cause first, parts that sum to the whole, and nothing invented."""

import json
import math
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.wording import day_words
from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation, Kind, Outcome
from perf_alerts_dagster.judging.explained import with_explanations
from perf_alerts_dagster.judging.rules.catalogue import RULES
from perf_alerts_dagster.records.groups import groups_of
from perf_alerts_dagster.records.model import Shadow, StrategyRecord, TrackRecords, Trades
from perf_alerts_dagster.statistics.rolling import drawdown_path
from perf_alerts_tests.builders import a_record, context_of, noise, trades, weekdays
from perf_alerts_tests.judging.planted import CAUSES, CRASH, FIRST, ROWS, WINDOW, planted

SEEDS = range(731_000, 731_050)


def breach(record: StrategyRecord, rule: str = "mean_shortfall_126", **changes: Any) -> Evaluation:
    values: dict[str, Any] = {
        "strategy": record.strategy,
        "rule": rule,
        "outcome": Outcome.BREACH,
        "severity": Severity.WARNING,
        "observations": WINDOW,
        "notifies": True,
    }
    return Evaluation(**(values | changes))


def explained(
    record: StrategyRecord, rule: str = "mean_shortfall_126", **changes: Any
) -> dict[str, Any]:
    found = why(breach(record, rule, **changes), context_of(record, records={"x": record}), record)
    assert isinstance(found, dict)
    return found


def why(evaluation: Evaluation, context: JudgeContext, record: StrategyRecord) -> Any:
    context = replace(context, records={record.strategy: record})
    (found,) = with_explanations([evaluation], context, {})
    return found.parts.get("explained")


@pytest.mark.slow
@pytest.mark.parametrize("cause", CAUSES)
def test_a_planted_cause_comes_first_in_nine_of_ten(cause: str) -> None:
    found = [explained(planted(cause, seed)) for seed in SEEDS]

    right = [
        each["cause"] == CAUSES[cause]
        or (cause == "a crash of its own" and CAUSES[cause] in each["line"])
        for each in found
    ]
    assert np.mean(right) >= 0.9


@pytest.mark.slow
def test_where_nothing_was_planted_nothing_stands_out() -> None:
    found = [explained(planted("nothing", seed)) for seed in SEEDS]

    assert np.mean([each["line"].startswith("nothing stands out") for each in found]) >= 0.8
    assert np.mean([each["cause"] is None for each in found]) >= 0.8


@pytest.mark.parametrize("cause", [*CAUSES, "nothing"])
def test_the_parts_sum_to_the_pnl_less_the_expected_one(cause: str) -> None:
    record = planted(cause, 5)

    found = explained(record)

    past, now = record.returns[:FIRST], record.returns[FIRST:]
    assert found["whole"] == pytest.approx(now.sum() - WINDOW * past.mean(), abs=1e-12)
    assert math.fsum(part["value"] for part in found["parts"]) == found["whole"]
    assert len(found["parts"]) <= 8
    assert (found["rows"], found["window"]) == (126, [str(record.dates[FIRST]), "2027-10-29"])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert 0 < len(found["line"]) <= 120


def a_day(fall: float, *, own: float = 0.0, **changes: Any) -> StrategyRecord:
    """A newest day on which the benchmark fell."""
    market = noise(600, seed=2)
    market[-1] = fall
    returns = market + noise(600, seed=3, sd=0.002)
    returns[-1] = fall + own
    return a_record(returns[400:], backtest=returns[:400], benchmark=market, **changes)


def of_the_day(record: StrategyRecord) -> dict[str, Any]:
    session = record.dates[-1].astype(object)
    return explained(record, "policy_daily_loss", kind=Kind.EVENT, session=session, observations=1)


def test_a_fall_of_the_benchmark_is_said_in_one_line() -> None:
    assert of_the_day(a_day(-0.05))["line"] == "benchmark -5.0 % that day; beyond it -0.10 %"
    own = of_the_day(a_day(-0.001, own=-0.04))
    assert own["line"] == "beyond the benchmark -4.1 % that day; benchmark -0.09 %"
    assert own["cause"] == "beyond the benchmark"


def test_ordinary_parts_do_not_stand_out() -> None:
    found = of_the_day(a_day(-0.012))

    assert found["line"].startswith("nothing stands out that day; largest: benchmark -1.")
    assert found["cause"] is None
    assert {part["outside"] for part in found["parts"]} == {False}


def test_returns_alone_are_compared_with_their_own_range() -> None:
    returns = noise(600)
    returns[-60:] -= 0.02
    record = a_record(returns[300:], backtest=returns[:300])

    found = explained(record, observations=60)

    assert found["line"].startswith("the strategy itself -12")
    assert " % in 60 sessions, usually -" in found["line"]
    assert [part["name"] for part in found["parts"]] == ["the strategy itself"]


def test_a_crash_names_its_day() -> None:
    found = explained(planted("a crash of its own", 77))

    day = str(weekdays(ROWS)[CRASH])
    words = day_words(date.fromisoformat(day), beside=date.fromisoformat(found["window"][1]))
    assert found["line"].startswith(f"{words} alone -")
    assert {detail["kind"]: detail["name"] for detail in found["details"]} == {"day": day}


def test_a_symbol_that_loses_is_told_with_what_is_usual() -> None:
    found = explained(planted("one symbol", 77))

    assert found["line"].startswith("CL -")
    assert " % in 126 sessions, usually +" in found["line"]
    assert {detail["kind"] for detail in found["details"]} == {"day", "symbol", "side"}


def test_costs_beyond_those_stated_are_the_executions_and_stated_ones_costs() -> None:
    returns = noise(600)
    shadow = Shadow(
        dates=weekdays(600)[200:],
        returns=returns[200:] + 0.0001 + noise(400, seed=9, mean=0.0, sd=0.0002),
        costs=np.where(np.arange(400) < 300, 0.0001, 0.001),
        versions=np.full(400, ""),
        seen=np.full(400, np.datetime64("NaT"), dtype="datetime64[D]"),
    )
    stated = np.where(np.arange(600) < 500, 0.0, 0.0009)
    record = a_record((returns - stated)[200:], backtest=returns[:200], shadow=shadow)

    found = explained(record, observations=100)

    parts = {part["name"]: part for part in found["parts"]}
    assert found["cause"] == "costs"
    assert parts["costs"]["value"] == pytest.approx(-0.09)
    assert not parts["execution"]["outside"]


def test_a_shadow_that_began_with_the_window_is_judged_by_its_first_63_rows() -> None:
    returns = noise(600)
    shadow = Shadow(
        dates=weekdays(600)[400:],
        returns=returns[400:] + noise(200, seed=9, mean=0.0, sd=0.0005),
        costs=np.zeros(200),
        versions=np.full(200, ""),
        seen=np.full(200, np.datetime64("NaT"), dtype="datetime64[D]"),
    )
    late = np.where(np.arange(600) < 480, 0.0, 0.002)
    record = a_record((returns - late)[400:], backtest=returns[:400], shadow=shadow)

    found = explained(record, observations=200)
    short = explained(
        replace(record, shadow=shadow.until(weekdays(600)[440].astype(object))), observations=200
    )

    assert found["cause"] == "execution"
    (execution,) = (part for part in short["parts"] if part["name"] == "execution")
    assert (execution["low"], execution["outside"]) == (None, False)


def test_an_execution_that_falls_short_is_told_before_what_trades_made_of_it() -> None:
    record = planted("nothing", 7)
    live = record.live
    shadow = Shadow(
        dates=record.dates[live],
        returns=record.returns[live] + noise(int(live.sum()), mean=0.0, sd=0.0004),
        costs=np.zeros(int(live.sum())),
        versions=np.full(int(live.sum()), ""),
        seen=np.full(int(live.sum()), np.datetime64("NaT"), dtype="datetime64[D]"),
    )
    fell = np.where(np.arange(ROWS) >= FIRST, 0.001, 0.0)

    short = explained(replace(record, returns=record.returns - fell, shadow=shadow))
    within = explained(replace(record, shadow=shadow))

    assert short["cause"] == "execution"
    assert "win rate" not in {part["name"] for part in short["parts"]}
    assert "win rate" in {part["name"] for part in within["parts"]}


@pytest.mark.parametrize(
    ("rule", "rows", "more"),
    [
        ("interval_breach", 40, {"observations": 40}),
        ("rolling_sharpe", 63, {"observations": 63}),
        ("consecutive_exceedances", 4, {"value": 4.0}),
        ("policy_monthly_loss", 12, {"observations": 12}),
        ("decay_cusum", 300, {"observations": 300}),
        ("decay_cusum", 25, {"parts": {"change_date": str(weekdays(600)[575])}}),
        ("mean_shortfall_126", 126, {"parts": {"change_date": str(weekdays(600)[575])}}),
    ],
)
def test_the_window_is_the_rules_own(rule: str, rows: int, more: dict[str, Any]) -> None:
    record = a_record(noise(300), backtest=noise(300, seed=2))

    found = explained(record, rule, **more)

    assert (found["rows"], found["window"][1]) == (rows, str(record.dates[-1]))


@pytest.mark.parametrize("rule", ["drawdown", "policy_drawdown"])
@pytest.mark.parametrize("start", [-0.01, 0.02])
def test_a_drawdown_is_explained_since_its_peak(rule: str, start: float) -> None:
    live = np.concatenate([[start], np.full(50, 0.001), np.full(30, -0.004)])
    if start < 0.0:
        live = -np.abs(live)
    record = a_record(live, backtest=noise(300, seed=2))

    found = explained(record, rule)

    path = drawdown_path(live)
    assert found["rows"] == (81 if start < 0.0 else 30)
    assert path[-found["rows"] :].max() < 0.0


def test_provisional_rows_count_where_the_breach_is_by_them() -> None:
    record = a_record(np.full(40, -0.004), backtest=noise(300, seed=2))
    context = context_of(record, provisional=True)

    rows = [
        why(breach(record, "drawdown", provisional=each), context, record)["rows"]
        for each in (False, True)
    ]
    assert rows == [39, 40]


def test_days_that_are_their_trades_leave_no_rest_that_stands_out() -> None:
    record = planted("lower win rate", 23)
    assert record.trades is not None
    at = np.searchsorted(record.dates, record.trades.exits)
    days = np.bincount(at, weights=record.trades.pnl, minlength=ROWS).astype(np.float64)

    found = explained(replace(record, returns=days))

    assert found["cause"] == "win rate"
    (rest,) = (part for part in found["parts"] if part["name"] == "not from closed trades")
    # The first rows, before the first trade, have another mean.
    assert (rest["outside"], rest["value"]) == (False, pytest.approx(0.0, abs=1e-3))


def test_what_is_not_notified_or_has_no_loss_is_not_explained() -> None:
    record = a_record(noise(300), backtest=noise(300, seed=2))
    context = context_of(record)

    for each in (
        breach(record, notifies=False),
        breach(record, notifies=None),
        breach(record, outcome=Outcome.NO_DATA),
        breach(record, "flat_run"),
        breach(record, "daily_exceedance", session=None),
        breach(record, "daily_exceedance", session=date(2000, 1, 3)),
        breach(record, "daily_exceedance", session=date(2023, 1, 7)),
        breach(record, observations=0),
        breach(record, observations=601),
        breach(replace(record, strategy="ALL"), "joint_exceedances", session=record.dates[-1]),
    ):
        assert why(each, context, record) is None


def test_every_rule_of_a_loss_has_a_window_and_no_other() -> None:
    assert {rule.id for rule in RULES if rule.loss} >= {
        "interval_breach",
        "daily_exceedance",
        "consecutive_exceedances",
        "exceedance_rate",
        "joint_exceedances",
        "mean_shortfall_126",
        "mean_shortfall_252",
        "decay_cusum",
        "life_cusum",
        "rolling_sharpe",
        "drawdown",
        "policy_drawdown",
        "policy_daily_loss",
        "policy_weekly_loss",
        "policy_monthly_loss",
    }
    assert not {rule.id for rule in RULES if rule.loss and rule.family == "data"}


def test_a_window_without_a_history_says_so() -> None:
    record = a_record(noise(200, mean=-0.002), benchmark=noise(200, seed=4))

    for rows in (200, 140):
        found = explained(record, observations=rows)
        assert found["line"].startswith("too few rows before it to compare with; the strategy ")
        assert found["cause"] is None
        assert {part["low"] for part in found["parts"]} == {None}
        assert found["whole"] == pytest.approx(record.returns[-rows:].sum(), abs=1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {"benchmark": np.full(600, np.nan)},
        {"benchmark": np.zeros(600)},
        {"benchmark": np.where(np.arange(600) < 560, np.nan, 0.01)},
        {"pnl": np.zeros(600), "capital": np.zeros(600), "trades": True},
        {"trades": trades([-0.5], weekdays(600)[-1:])},
        {"trades": trades([], weekdays(0))},
        {"trades": trades([-0.5] * 90, weekdays(90, weekdays(700)[-1].astype(object)))},
        {"trades": trades([1e9, -1e9] * 45, weekdays(600)[-90:])},
    ],
)
def test_a_damaged_benchmark_or_trades_are_left_in_the_rest(changes: dict[str, Any]) -> None:
    returns = noise(600)
    if changes.get("trades") is True:
        changes = {**changes, "trades": trades((noise(300) * 1e6).tolist(), weekdays(600)[::2])}
    record = a_record(returns[400:], backtest=returns[:400], **changes)

    found = explained(record)

    expected = returns[-WINDOW:].sum() - WINDOW * returns[:-WINDOW].mean()
    assert found["whole"] == pytest.approx(expected, abs=1e-12)
    assert json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("size", [1e306, 1e-300])
def test_no_size_of_numbers_breaks_it(size: float) -> None:
    returns = np.abs(noise(600)) * size
    record = a_record(returns[400:], backtest=returns[:400], benchmark=returns * 1e3)

    found = why(breach(record), context_of(record), record)

    assert (found is None) == (size > 1.0)
    assert found is None or len(found["line"]) <= 120


@pytest.mark.parametrize("name", ["\x1b[31m\u202eES", "x" * 10_000, "<script>alert(1)</script>\n"])
def test_names_from_data_print_and_are_cut(name: str) -> None:
    record = planted("one symbol", 77)
    assert record.trades is not None
    assert record.trades.symbols is not None
    symbols = np.where(record.trades.symbols == "CL", name, record.trades.symbols)

    found = explained(replace(record, trades=replace(record.trades, symbols=symbols)))

    assert found["line"].isprintable()
    assert len(found["line"]) <= 120
    assert found["cause"].isprintable()
    assert len(found["cause"]) <= 30
    assert found["line"].startswith(found["cause"])


def desk(**falls: float) -> dict[str, StrategyRecord]:
    """Live strategies of 300 rows whose last 20 fall by so much a day."""
    found = {}
    for seed, (name, fall) in enumerate(falls.items()):
        returns = noise(300, seed=seed)
        returns[-20:] -= fall
        found[name] = a_record(returns, strategy=name)
    return found


def of_all(strategies: dict[str, StrategyRecord], rows: int = 20) -> tuple[dict[str, Any], Any]:
    groups = groups_of(TrackRecords(source="test", strategies=strategies))
    record = groups["ALL"].record
    context = context_of(record, records={**strategies, "ALL": record})
    (found,) = with_explanations([breach(record, observations=rows)], context, groups)
    explanation: Any = found.parts["explained"]
    return explanation, record


def test_a_group_is_explained_by_its_members() -> None:
    found, record = of_all(desk(a=0.0, b=0.03, c=0.0, d=0.01, e=0.0))

    past, now = record.returns[:-20], record.returns[-20:]
    assert found["whole"] == pytest.approx(now.sum() - 20 * past.mean(), abs=1e-12)
    assert found["cause"] == "b"
    assert found["line"].startswith("b -1")
    assert {part["name"] for part in found["parts"]} > {"b", "d", "the others"}
    assert len(found["parts"]) == 4


def test_a_group_of_few_members_has_no_others_and_its_whole_life_no_history() -> None:
    found, record = of_all(desk(a=0.0, b=0.03), rows=300)

    assert {part["name"] for part in found["parts"]} == {"a", "b"}
    assert found["whole"] == pytest.approx(record.returns.sum(), abs=1e-12)
    assert found["line"].startswith("too few rows before it to compare with; b ")


def test_one_window_is_explained_once_whatever_rules_ask() -> None:
    record = planted("nothing", 3)
    context = context_of(record, records={record.strategy: record})

    first, second = with_explanations(
        [breach(record), breach(record, "interval_breach")], context, {}
    )

    assert first.parts["explained"] is second.parts["explained"]


def test_trades_with_costs_keep_their_count_out_of_the_execution() -> None:
    record = planted("fewer trades", 11)
    assert isinstance(record.trades, Trades)
    live = record.live
    shadow = Shadow(
        dates=record.dates[live],
        returns=record.returns[live] + noise(int(live.sum()), mean=0.0, sd=0.0001),
        costs=np.zeros(int(live.sum())),
        versions=np.full(int(live.sum()), ""),
        seen=np.full(int(live.sum()), np.datetime64("NaT"), dtype="datetime64[D]"),
    )

    assert explained(replace(record, shadow=shadow))["cause"] == "number of trades"
