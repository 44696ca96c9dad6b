"""A desk's own mandates: never gated, since a breach needs no evidence."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import TOLERANCE, Ladder
from perf_alerts_dagster.core.wording import percent
from perf_alerts_dagster.judging.context import Case, JudgeContext, evaluation_of
from perf_alerts_dagster.judging.evaluation import Evaluation, Kind
from perf_alerts_dagster.judging.rule import Mandate, Rule, Unit
from perf_alerts_dagster.judging.rules.thresholds import (
    drawdown_share,
    episode_of,
    high_of,
    worse_of,
)
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.statistics.rolling import drawdown_path

_rule = partial(Rule, family=Family.THRESHOLD, optional=True, unit=Unit.PERCENT, plot="returns")
DRAWDOWN = _rule(
    id="policy_drawdown",
    title="drawdown mandate",
    plot="drawdown",
    hint="do what the mandate says at this depth: cut or stop it, and inform who set the mandate.",
    loss="peak",
    whole_life=True,
)
DAILY_LOSS = _rule(
    id="policy_daily_loss",
    title="daily loss mandate",
    kind=Kind.EVENT,
    loss="row",
    newest_row=True,
    hint="check the row; if it is right, cut the positions of the day to what the mandate allows.",
)
WEEKLY_LOSS = _rule(
    id="policy_weekly_loss",
    title="weekly loss mandate",
    plot="periods",
    loss="rows",
    hint="halve or stop it for the rest of the week, as the mandate says.",
)
MONTHLY_LOSS = _rule(
    id="policy_monthly_loss",
    title="monthly loss mandate",
    plot="periods",
    loss="rows",
    hint="halve or stop it for the rest of the month, as the mandate says.",
)
COLUMN = _rule(
    id="policy_column",
    title="column bounds",
    unit=Unit.NUMBER,
    plot="column",
    hint="bring the column back within its bounds, or have the bounds changed by who set them.",
    newest_row=True,
)
RULES = (DRAWDOWN, DAILY_LOSS, WEEKLY_LOSS, MONTHLY_LOSS, COLUMN)
_MANDATE = Ladder(breach="at or below", tolerance=TOLERANCE)
_MAXIMUM_COLUMN = 20
# The log of the largest float: the return of a period that grew by more overflows.
_MAXIMUM_GROWTH = math.log(sys.float_info.max)


def judge_policy(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    """One evaluation per mandate that is set; nothing for a strategy without any.

    The newest row may be provisional for the drawdown, the daily loss and the column bounds;
    losses of a week and a month count final rows only.
    """
    mandate = context.book.mandate_for(record.strategy)
    evaluations: list[Evaluation] = []
    if mandate.drawdown is not None:
        judge = partial(_drawdown, context=context, limit=mandate.drawdown)
        evaluations.append(_worse(record, context, judge))
    if mandate.daily_loss is not None:
        evaluations.append(_daily_loss(Case(DAILY_LOSS, record, context), mandate.daily_loss))
    for rule, limit in ((WEEKLY_LOSS, mandate.weekly_loss), (MONTHLY_LOSS, mandate.monthly_loss)):
        if limit is not None:
            evaluations.append(_period_loss(Case(rule, context.finals(record), context), limit))
    evaluations += [
        _worse(record, context, partial(_column, context=context, mandate=mandate, column=column))
        for column in sorted(mandate.columns)
    ]
    return evaluations


def _worse(
    record: StrategyRecord, context: JudgeContext, judge: Callable[[StrategyRecord], Evaluation]
) -> Evaluation:
    """The final rows' evaluation, unless a provisional row breaks the mandate or passes a step.

    A provisional row never ends a breach.
    """
    final = judge(context.finals(record))
    return worse_of(final, judge(record)) if context.is_open(record) else final


def _compared(
    case: Case,
    value: float,
    limit: float,
    text: str,
    rows: int,
    session: date | None = None,
    parts: Mapping[str, Json] | None = None,
) -> Evaluation:
    """A loss or drawdown, negative, against the positive fraction that the mandate allows."""
    mandate = case.context.book.mandate_for(case.record.strategy)
    severity = mandate.severity if _MANDATE.breaches(value, -limit) else None
    is_open = case.context.is_open(case.record)
    return case.judged(
        value,
        (severity, -limit),
        f"{text}, the mandate allows {percent(-limit)}",
        headline=f"{text}, mandate {percent(-limit)}",
        observations=rows,
        session=session,
        provisional=is_open,
        parts=parts,
    )


def _drawdown(record: StrategyRecord, context: JudgeContext, limit: float) -> Evaluation:
    case, live = Case(DRAWDOWN, record, context), record.returns[record.live]
    if not len(live):
        return case.lacks()
    path = drawdown_path(live)
    value = float(path[-1])
    text = f"{percent(value)} below {high_of(case, path)}"
    parts: dict[str, Json] = {}
    if not context.book.is_documented:
        line = limit if _MANDATE.breaches(value, -limit) else None
        parts = {"deepest": float(path.min()), "line": limit, **episode_of(record, path, line)}
        parts["line_share"] = drawdown_share(context, record.strategy, limit, len(live))
    return _compared(case, value, limit, text, len(live), parts=parts)


def _daily_loss(case: Case, limit: float) -> Evaluation:
    if not case.record.live[-1]:
        return case.lacks(why="the newest row is no live one")
    value = float(case.record.returns[-1])
    session: date = case.record.dates[-1].astype(object)
    text = f"{percent(value, signed=True)} on {case.context.day(session)}"
    return _compared(case, value, limit, text, 1, session)


def _period_loss(case: Case, limit: float) -> Evaluation:
    """Compounded return of the newest final row's week (from Monday) or calendar month."""
    finals = case.record
    if not finals.live.any():
        return case.lacks()
    if case.rule is WEEKLY_LOSS:
        # 1970-01-01 was a Thursday: shifted by three days, weeks begin on Monday.
        name, shift = "week", np.timedelta64(3, "D")
        periods = (finals.dates + shift).astype("datetime64[W]")
    else:
        name, shift = "month", np.timedelta64(0, "D")
        periods = finals.dates.astype("datetime64[M]")
    chosen = finals.returns[(periods == periods[-1]) & finals.live]
    grown = float(np.log1p(chosen).sum())
    if not len(chosen) or grown > _MAXIMUM_GROWTH:
        return case.lacks(
            why=f"no live row in the {name}" if not len(chosen) else "its return is beyond numbers"
        )
    value = math.expm1(grown)
    first = case.context.day(periods[-1].astype("datetime64[D]") - shift, weekday=False)
    text = f"{percent(value, signed=True)} in the {name} from {first}"
    return _compared(case, value, limit, text, len(chosen))


def _column(
    record: StrategyRecord, context: JudgeContext, mandate: Mandate, column: str
) -> Evaluation:
    case, (minimum, maximum) = Case(COLUMN, record, context), mandate.columns[column]
    values = record.extras.get(column)
    if values is None or not len(values) or not np.isfinite(values[-1]):
        return case.lacks(why=f"the newest row has no number in the column {column!r}")
    value = float(values[-1])
    day, allowed = context.day(record.dates[-1]), _range(minimum, maximum)
    below = minimum is not None and value < minimum
    above = maximum is not None and value > maximum
    return evaluation_of(
        context,
        record.strategy,
        COLUMN,
        severity=mandate.severity if below or above else None,
        value=value,
        limit=minimum if below else (maximum if maximum is not None else minimum),
        observations=1,
        provisional=context.is_open(record),
        message=f"{column} is {value:g} on {day}, the mandate allows {allowed}",
        headline=f"{column[:_MAXIMUM_COLUMN]} {value:g} on {day}, {allowed} allowed",
        parts={"column": column, "min": minimum, "max": maximum},
    )


def _range(minimum: float | None, maximum: float | None) -> str:
    if minimum is None:
        return f"at most {maximum:g}"
    return f"at least {minimum:g}" if maximum is None else f"{minimum:g} to {maximum:g}"
