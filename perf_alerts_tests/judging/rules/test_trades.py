import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.judging.rules.trades import judge_trading
from perf_alerts_dagster.records.model import StrategyRecord, Trades
from perf_alerts_tests.builders import a_record, context_of, noise, trades


def record_with(backtest: list[float], live: list[float]) -> StrategyRecord:
    """300 backtest and 120 live rows; the trades close on their last days, one a day."""
    record = a_record(noise(120), backtest=noise(300))
    exits = np.concatenate(
        [record.dates[300 - len(backtest) : 300], record.dates[420 - len(live) : 420]]
    )
    return a_record(noise(120), backtest=noise(300), trades=trades([*backtest, *live], exits=exits))


def judge(record: StrategyRecord) -> dict[str, Evaluation]:
    return {one.rule: one for one in judge_trading(record, context_of(record))}


HEALTHY = [2.0, -1.0] * 50


def test_a_strategy_without_trades_has_no_trade_rules() -> None:
    record = a_record(noise(120), backtest=noise(300))
    empty = np.array([], "M8[D]")
    without = a_record(
        noise(120), trades=Trades(exits=empty, entries=empty, pnl=noise(0), cost=noise(0))
    )

    assert judge(record) == {}
    assert judge(without) == {}


def test_trades_as_in_the_backtest_are_fine() -> None:
    found = judge(record_with(HEALTHY, HEALTHY[:60]))

    assert {one.outcome for one in found.values()} == {Outcome.OK}
    assert found["win_rate"].value == found["win_rate"].limit == 0.5


def test_far_fewer_wins_are_critical_and_the_part_of_the_shortfall_is_named() -> None:
    live = [2.0, -1.0, -1.0, -1.0, -1.0] * 12
    found = judge(record_with(HEALTHY, live))

    assert found["win_rate"].severity is Severity.CRITICAL
    assert found["profit_factor"].severity is Severity.CRITICAL
    assert "largest part of the shortfall: fewer wins" in found["win_rate"].message


def test_a_losing_run_that_chance_rarely_gives_is_a_breach() -> None:
    live = [2.0, -1.0] * 20 + [-1.0] * 12
    found = judge(record_with(HEALTHY, live))

    assert found["losing_run"].severity is Severity.CRITICAL
    assert found["losing_run"].value == 13


@pytest.mark.parametrize(("backtest", "live"), [(HEALTHY, HEALTHY[:19]), (HEALTHY[:19], HEALTHY)])
def test_fewer_than_20_trades_on_either_side_are_insufficient(
    backtest: list[float], live: list[float]
) -> None:
    found = judge(record_with(backtest, live))

    assert {one.outcome for one in found.values()} == {Outcome.INSUFFICIENT_DATA}
    assert found["win_rate"].observations == 19
    assert found["win_rate"].required == 20


def test_only_the_last_100_live_trades_count() -> None:
    live = [-1.0] * 15 + [2.0, -1.0] * 50
    found = judge(record_with(HEALTHY, live))

    assert found["win_rate"].value == 0.5
    assert found["win_rate"].observations == 100


def test_trades_that_close_in_a_row_that_is_still_open_are_not_counted() -> None:
    record = record_with(HEALTHY, HEALTHY[:60])
    context = context_of(record, provisional=True)

    found = {one.rule: one for one in judge_trading(record, context)}

    assert found["win_rate"].observations == 59


def test_without_a_loss_there_is_no_profit_factor() -> None:
    found = judge(record_with([2.0] * 40, [2.0] * 30))

    assert found["profit_factor"].outcome is Outcome.INSUFFICIENT_DATA


def test_without_live_rows_there_are_no_live_trades() -> None:
    rows = a_record([], backtest=noise(300))
    record = a_record([], backtest=noise(300), trades=trades([1.0] * 30, exits=rows.dates[:30]))

    assert {one.outcome for one in judge(record).values()} == {Outcome.INSUFFICIENT_DATA}


def test_fewer_wins_than_19_of_20_chances_would_give_are_a_warning() -> None:
    # 41 wins of 100 or fewer: 4.4 % where one of two wins.
    found = judge(record_with(HEALTHY, [2.0, -1.0] * 41 + [-1.0] * 18))

    assert found["win_rate"].severity is Severity.WARNING
    assert found["win_rate"].value == pytest.approx(0.41)
