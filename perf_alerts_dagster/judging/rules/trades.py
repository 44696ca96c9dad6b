"""Rules of closed live trades against the backtest's: win rate, profit factor, losing run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Ladder
from perf_alerts_dagster.judging.context import JudgeContext, evaluation_of, insufficient_data
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rule import Rule
from perf_alerts_dagster.records.model import StrategyRecord, Trades
from perf_alerts_dagster.statistics.trades import (
    TradeMeasures,
    closed_from,
    largest_shortfall_part,
    last_closed,
    losing_run_probability,
    measure_trades,
    profit_factor_probability,
    win_rate_probability,
)

# Limits of the probability under the backtest's rates.
_LADDER = Ladder(breach="at or below")
_LIMITS = {"trade_probability_warning": 0.05, "trade_probability_critical": 0.01}
_rule = partial(
    Rule,
    family=Family.THRESHOLD,
    plot="trades",
    gated=True,
    optional=True,
    ladder=_LADDER,
    limits=_LIMITS,
    accepts="fraction",
)
WIN_RATE = _rule(id="win_rate", title="win rate", unit="share of trades")
PROFIT_FACTOR = _rule(
    id="profit_factor", title="profit factor", unit="gross profit over gross loss"
)
LOSING_RUN = _rule(id="losing_run", title="losing run", unit="trades")
RULES = (WIN_RATE, PROFIT_FACTOR, LOSING_RUN)
_MAXIMUM = 100
_MINIMUM = 20
_LIVE_TRADES = "closed live trades"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    """The measures of the backtest's trades and of the last live ones."""

    before: TradeMeasures
    live: TradeMeasures
    before_trades: Trades
    live_trades: Trades
    parts: dict[str, Json]


def judge_trading(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    """The three trade rules; nothing for a strategy without trades in the source.

    The last 100 live trades at most, at least 20, against all backtest trades, at least 20. The
    severity follows from the probability of a value at least this bad under the backtest's
    rates: 5 % warning, 1 % critical.
    """
    finals = context.finals(record)
    if finals.trades is None or not len(finals.trades):
        return []
    sides = _sides(finals, finals.trades, context)
    if isinstance(sides, tuple):
        observations, why = sides
        return [
            insufficient_data(
                record.strategy,
                rule,
                observations=observations,
                required=_MINIMUM,
                why=why,
                lacking=why,
            )
            for rule in RULES
        ]
    before, live = sides.before, sides.live
    rng = np.random.default_rng(context.seed)
    return [
        _judge(
            record,
            context,
            sides,
            rule=WIN_RATE,
            value=live.win_rate,
            limit=before.win_rate,
            probability=win_rate_probability(live.wins, live.trades, before.win_rate or 0.0),
            text=f"{live.wins} of {live.trades} live trades won",
        ),
        _judge(
            record,
            context,
            sides,
            rule=PROFIT_FACTOR,
            value=live.profit_factor,
            limit=before.profit_factor,
            probability=profit_factor_probability(
                sides.before_trades.pnl, sides.live_trades.pnl, rng
            ),
            text=f"profit factor of {live.trades} live trades",
        ),
        _judge(
            record,
            context,
            sides,
            rule=LOSING_RUN,
            value=None if live.longest_losing_run is None else float(live.longest_losing_run),
            limit=None if before.longest_losing_run is None else float(before.longest_losing_run),
            probability=losing_run_probability(
                live.longest_losing_run or 0, live.trades, before.losses / before.trades
            ),
            text=f"longest losing run of {live.trades} live trades",
        ),
    ]


def _sides(
    finals: StrategyRecord, trades: Trades, context: JudgeContext
) -> _Sides | tuple[int, str]:
    live_dates = finals.dates[finals.live]
    if not len(live_dates):
        return 0, _LIVE_TRADES
    first_live: date = live_dates[0].astype(object)
    before = trades.until(first_live - timedelta(days=1))
    chosen = last_closed(closed_from(trades, first_live), _MAXIMUM)
    if len(chosen) < _MINIMUM:
        return len(chosen), _LIVE_TRADES
    if len(before) < _MINIMUM:
        return len(before), "closed backtest trades"
    measured = measure_trades(
        before, years=max(1, int((~finals.live).sum())) / context.periods_of(finals.strategy)
    )
    rows = int((live_dates >= chosen.exits[0]).sum())
    live = measure_trades(chosen, years=max(1, rows) / context.periods_of(finals.strategy))
    shortfall = largest_shortfall_part(measured, live)
    return _Sides(
        before=measured,
        live=live,
        before_trades=before,
        live_trades=chosen,
        parts={
            "largest_part_of_shortfall": shortfall.largest if shortfall else None,
            "shortfall_per_year": shortfall.per_year if shortfall else None,
        },
    )


def _judge(
    record: StrategyRecord,
    context: JudgeContext,
    sides: _Sides,
    *,
    rule: Rule,
    value: float | None,
    limit: float | None,
    probability: float | None,
    text: str,
) -> Evaluation:
    count = sides.live.trades
    if value is None or limit is None or probability is None:
        return insufficient_data(
            record.strategy, rule, observations=count, required=_MINIMUM, why="no wins or no losses"
        )
    ladder = rule.ladder_at(context.book.limits_for(record.strategy))
    severity = ladder.severity(probability)
    largest = sides.parts["largest_part_of_shortfall"]
    return evaluation_of(
        context,
        record.strategy,
        rule,
        severity=severity,
        value=value,
        limit=limit,
        observations=count,
        required=_MINIMUM,
        message=f"{text}: {value:.3g} against {limit:.3g} in the backtest, probability "
        f"{probability:.3g} if nothing changed"
        + (f"; largest part of the shortfall: {largest}" if severity and largest else ""),
        parts={"probability": probability, **sides.parts},
    )
