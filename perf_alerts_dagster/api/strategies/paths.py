"""The daily path of a strategy's rows, and what the limits of its rules stand for."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from perf_alerts_dagster.api.strategies.stored_schemas import (
    PathLimits,
    PathRow,
    Quantile,
    RuleCalibration,
)
from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.evaluation import WORTH, Evaluation
from perf_alerts_dagster.projections.calibration import Calibration
from perf_alerts_dagster.projections.watchers import STATISTICS
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.rolling import SHARPE_WINDOW, rolling_sharpe

# Shares of healthy years.
SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_LOWEST = -1.0 + 1e-12
_LARGEST = 25.0


def path_rows(
    record: StrategyRecord, context: JudgeContext, first: int, stop: int
) -> list[PathRow]:
    """The rows first..stop-1 with the path of their segment, backtest or live, up to each."""
    columns = {
        name: np.full(len(record), np.nan)
        for name in ("cumulative_return", "drawdown", "rolling_sharpe", "rolling_volatility")
    }
    periods = context.periods_of(record.strategy)
    for segment in (record.live, ~record.live):
        for name, values in _paths(record.returns[segment], periods).items():
            columns[name][segment] = values
    given = {"pnl": record.pnl, "capital": record.capital}
    columns |= {name: values for name, values in given.items() if values is not None}
    days = record.dates[first:stop].astype(object).tolist()
    return [
        PathRow(
            date=days[place - first].isoformat(),
            live=bool(record.live[place]),
            simple_return=float(record.returns[place]),
            **{name: None for name in given if name not in columns},
            **{name: float(values[place]) for name, values in columns.items()},
        )
        for place in range(first, min(stop, len(record)))
    ]


def _paths(returns: Floats, periods: float) -> dict[str, Floats]:
    """What is compounded, the drawdown, and 63 rows' Sharpe ratio and volatility a year."""
    with np.errstate(all="ignore"):
        path = np.log1p(np.maximum(returns, _LOWEST)).cumsum()
        highs = np.maximum(np.maximum.accumulate(path), 0.0)
        volatility = np.full(len(returns), np.nan)
        if len(returns) >= SHARPE_WINDOW:
            windows = sliding_window_view(returns, SHARPE_WINDOW)
            volatility[SHARPE_WINDOW - 1 :] = windows.std(axis=1, ddof=1) * math.sqrt(periods)
        return {
            "cumulative_return": np.expm1(np.minimum(path, _LARGEST)),
            "drawdown": np.expm1(path - highs),
            "rolling_sharpe": rolling_sharpe(returns, periods_per_year=periods),
            "rolling_volatility": volatility,
        }


def path_limits(record: StrategyRecord, context: JudgeContext) -> dict[str, PathLimits]:
    """The limits of the drawdown, the rolling Sharpe ratio and the rolling volatility."""
    strategy = record.strategy
    documented = context.book.limits_for(strategy)
    calibration = context.calibrations.get(strategy)
    found: dict[str, PathLimits] = {}
    for rule, sign in (("drawdown", -1.0), ("rolling_sharpe", 1.0)):
        given = {
            f"documented_{severity}": sign * documented[f"{rule}_{severity}"]
            for severity in ("warning", "critical")
        }
        warning, critical = _limits(rule, record, context, calibration)
        found[rule] = PathLimits(**given, warning=warning, critical=critical)
    backtest = record.returns[~record.live]
    if len(backtest) > 1:
        usual = float(backtest.std(ddof=1)) * math.sqrt(context.periods_of(strategy))
        low, high = documented["volatility_low"], documented["volatility_high"]
        found["rolling_volatility"] = PathLimits(low=low * usual, high=high * usual)
    return found


def _limits(
    rule: str, record: StrategyRecord, context: JudgeContext, calibration: Calibration | None
) -> tuple[float | None, float | None]:
    """The values at which a rule notifies, at warning and at critical."""
    levels = context.levels_of(record.strategy, rule)
    warning, critical = (
        None if calibration is None else value_at(rule, level, record, context, calibration)
        for level in levels
    )
    return warning, critical


def value_at(
    rule: str,
    share: float,
    record: StrategyRecord,
    context: JudgeContext,
    calibration: Calibration,
) -> float | None:
    """The rule's value that so many healthy years of its age reach; None where it has no such."""
    statistic = STATISTICS.get(rule)
    name = _name(rule, record, calibration)
    if statistic is None or share <= 0.0 or name not in calibration.worst:
        return None
    badness = calibration.badness_at(name, share)
    if rule == "drawdown":
        return math.expm1(-badness)
    # Of the others the badness is the value times a factor.
    return badness / statistic.badness(1.0, context.periods_of(record.strategy))


def _name(rule: str, record: StrategyRecord, calibration: Calibration) -> str:
    statistic = STATISTICS.get(rule)
    live = int(record.live.sum())
    return rule if statistic is None else statistic.name_after(live, calibration.year)


def rule_calibrations(
    record: StrategyRecord,
    context: JudgeContext,
    calibration: Calibration,
    newest: Mapping[str, Evaluation],
) -> list[RuleCalibration]:
    """What the limit of each calibrated rule stands for, by rule.

    Args:
        record: The rows.
        context: That which they are judged by.
        calibration: The strategy's.
        newest: The newest evaluation of each rule.
    """
    found = []
    for rule in sorted({name for name in context.budgets.weights_of(record.strategy)}):
        name = _name(rule, record, calibration)
        if name not in calibration.worst:
            continue
        levels = context.levels_of(record.strategy, rule)
        warning, critical = _limits(rule, record, context, calibration)
        evaluation = newest.get(rule)
        worth = dict.fromkeys(("false_alarm_rate", "days_to_half", *WORTH))
        if evaluation is not None:
            worth = {each: getattr(evaluation, each) for each in worth}
        found.append(
            RuleCalibration(
                rule=rule,
                level_warning=levels[0],
                level_critical=levels[1],
                limit_warning=warning,
                limit_critical=critical,
                quantiles=[
                    Quantile(
                        share=share,
                        badness=calibration.badness_at(name, share),
                        value=value_at(rule, share, record, context, calibration),
                    )
                    for share in SHARES
                ],
                **worth,
            )
        )
    return found
