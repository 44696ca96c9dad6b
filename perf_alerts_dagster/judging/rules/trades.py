"""Rules of closed live trades against the backtest's: win rate, profit factor, losing run."""

import math
from collections.abc import Sequence
from datetime import date
from functools import partial

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.severity import Ladder
from perf_alerts_dagster.core.wording import counted, percent
from perf_alerts_dagster.judging.context import Case, JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rule import CRUMB, Rule, Unit
from perf_alerts_dagster.projections.trade_lives import (
    MAXIMUM,
    MINIMUM,
    badness_of_share,
    trades_of_backtest,
)
from perf_alerts_dagster.records.model import StrategyRecord, Trades
from perf_alerts_dagster.statistics.trades import (
    Shortfall,
    TradeMeasures,
    closed_from,
    largest_shortfall_part,
    last_closed,
    losing_run_probability,
    measure_trades,
    profit_factor_probability,
    profit_scale,
    profit_shortfall,
    win_rate_probability,
)

_RARE = 1e-4
# Limits of one reading's probability under the backtest's rates.
_LADDER = Ladder(breach="at or below")
_LIMITS = {"trade_probability_warning": 0.05, "trade_probability_critical": 0.01}
_rule = partial(
    Rule,
    family=Family.THRESHOLD,
    plot="trades",
    gated=True,
    weight=CRUMB,
    optional=True,
    ladder=_LADDER,
    limits=_LIMITS,
    accepts="fraction",
)
WIN_RATE = _rule(
    id="win_rate",
    title="win rate",
    unit=Unit.PERCENT,
    hint="compare entries and exits of the losing trades with the signals that the model gave.",
)
PROFIT_FACTOR = _rule(
    id="profit_factor",
    title="profit factor",
    unit=Unit.NUMBER,
    hint="look at the largest losing trades: stops, slippage and costs.",
)
LOSING_RUN = _rule(
    id="losing_run",
    title="losing run",
    unit=Unit.TRADE,
    hint="look whether these trades are one bet, in one market or on one side.",
)
RULES = (WIN_RATE, PROFIT_FACTOR, LOSING_RUN)


def judge_trading(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    """The three trade rules; nothing for a strategy without trades in the source.

    The last 100 live trades at most, at least 20, against all backtest trades, at least 20. The
    severity follows from the probability of one value at least this bad where nothing changed:
    5 % warning, 1 % critical. The evidence is the worst reading of healthy years.
    """
    finals = context.finals(record)
    if finals.trades is None or not len(finals.trades):
        return []
    before_trades, live_trades = _sides(finals, finals.trades)
    for trades, kind in ((live_trades, "live"), (before_trades, "backtest")):
        if len(trades) < MINIMUM:
            lacking = f"closed {kind} trades"
            return [
                Case(rule, finals, context).lacks(len(trades), MINIMUM, lacking=lacking)
                for rule in RULES
            ]
    backtest_rows = int((~finals.live).sum())
    live_rows = int((finals.dates[finals.live] >= live_trades.exits[0]).sum())
    before, live = (
        measure_trades(trades, years=max(1, rows) / context.periods_of(finals.strategy))
        for trades, rows in ((before_trades, backtest_rows), (live_trades, live_rows))
    )
    since = context.day(live_trades.exits[0], weekday=False)
    judge = partial(_judge, live=live, shortfall=largest_shortfall_part(before, live))
    rng = np.random.default_rng(context.seed)
    scale = profit_scale(before_trades.pnl)
    return [
        judge(
            Case(WIN_RATE, finals, context),
            live.win_rate,
            before.win_rate,
            win_rate_probability(live.wins, live.trades, before.wins, before.trades),
            f"wins {percent(live.win_rate or 0.0)} of {live.trades} trades since {since}, usually "
            f"{percent(before.win_rate or 0.0)}",
        ),
        judge(
            Case(PROFIT_FACTOR, finals, context),
            live.profit_factor,
            before.profit_factor,
            profit_factor_probability(before_trades.pnl, live_trades.pnl, rng),
            f"profit factor {live.profit_factor or 0.0:.2f} since {since}, "
            f"{before.profit_factor or 0.0:.2f} in the backtest",
            badness=profit_shortfall(live_trades.pnl, scale) if scale else -math.inf,
        ),
        judge(
            Case(LOSING_RUN, finals, context),
            live.longest_losing_run,
            before.longest_losing_run,
            losing_run_probability(
                live.longest_losing_run or 0, live.trades, before.losses, before.trades
            ),
            f"lost {counted(live.longest_losing_run or 0, 'trade')} in a row since {since}, "
            f"at most {before.longest_losing_run} before",
        ),
    ]


def _sides(finals: StrategyRecord, trades: Trades) -> tuple[Trades, Trades]:
    """The backtest's trades, and the last live ones."""
    live = finals.dates[finals.live]
    first: date = live[0].astype(object) if len(live) else date.max
    return trades_of_backtest(finals, trades), last_closed(closed_from(trades, first), MAXIMUM)


def _judge(
    case: Case,
    value: float | None,
    limit: float | None,
    probability: float | None,
    text: str,
    *,
    badness: float | None = None,
    live: TradeMeasures,
    shortfall: Shortfall | None,
) -> Evaluation:
    if value is None or limit is None or probability is None:
        return case.lacks(live.trades, MINIMUM, "no wins or no losses")
    severity, _ = case.step(probability)
    rare = "under 0.01 %" if probability < _RARE else percent(probability)
    chance = f"; as bad by chance in {rare} of cases"
    if severity and shortfall:
        chance += f"; largest part of the shortfall: {shortfall.largest}"
    return case.judged(
        float(value),
        (severity, float(limit)),
        text + chance,
        headline=text,
        observations=live.trades,
        required=MINIMUM,
        rating=case.context.rating(
            case.record.strategy,
            case.rule,
            float(badness_of_share(probability)) if badness is None else badness,
        ),
        parts={
            "probability": probability,
            "largest_part_of_shortfall": shortfall.largest if shortfall else None,
            "shortfall_per_year": shortfall.per_year if shortfall else None,
        },
    )
