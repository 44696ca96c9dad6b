"""A desk's own mandates: never gated, since they need no evidence to be broken."""

from collections.abc import Sequence
from datetime import date

import numpy as np

from perf_alerts_dagster.domain.evaluation import Evaluation
from perf_alerts_dagster.domain.limits import Mandate
from perf_alerts_dagster.domain.record import StrategyRecord
from perf_alerts_dagster.domain.rolling import drawdown_path
from perf_alerts_dagster.domain.rules.bounds import reaches
from perf_alerts_dagster.domain.rules.verdict import JudgeContext, insufficient, judged


def judge_policy(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    """One evaluation per mandate that is set; nothing for a strategy without any.

    The newest row may be provisional for the drawdown, the daily loss and the column bounds;
    losses of a week and a month count final rows only.
    """
    mandate = context.book.mandate_for(record.strategy)
    found: list[Evaluation] = []
    if mandate.drawdown is not None:
        found.append(_drawdown(record, context, mandate, mandate.drawdown))
    if mandate.daily_loss is not None:
        found.append(_daily_loss(record, context, mandate, mandate.daily_loss))
    for rule, limit, unit in (
        ("policy_weekly_loss", mandate.weekly_loss, "W"),
        ("policy_monthly_loss", mandate.monthly_loss, "M"),
    ):
        if limit is not None:
            found.append(_period_loss(record, context, mandate, rule=rule, limit=limit, unit=unit))
    for column, (least, most) in sorted(mandate.columns.items()):
        found.append(_column(record, context, mandate, column=column, least=least, most=most))
    return found


def _drawdown(
    record: StrategyRecord, context: JudgeContext, mandate: Mandate, limit: float
) -> Evaluation:
    live = record.returns[record.live]
    if not len(live):
        return insufficient(record.strategy, "policy_drawdown", observations=0, required=1)
    value = float(drawdown_path(live)[-1])
    return judged(
        context,
        record.strategy,
        "policy_drawdown",
        severity=mandate.severity if reaches(value, -limit) else None,
        value=value,
        limit=-limit,
        observations=len(live),
        required=1,
        provisional=context.is_open(record),
        message=f"live index is {-value:.1%} below its peak, the mandate allows {limit:.1%}",
    )


def _daily_loss(
    record: StrategyRecord, context: JudgeContext, mandate: Mandate, limit: float
) -> Evaluation:
    value = float(record.returns[-1])
    session: date = record.dates[-1].astype(object)
    return judged(
        context,
        record.strategy,
        "policy_daily_loss",
        severity=(mandate.severity if reaches(value, -limit) and bool(record.live[-1]) else None),
        value=value,
        limit=-limit,
        observations=1,
        required=1,
        session=session,
        provisional=context.is_open(record),
        message=f"returned {value:+.2%} on {session}, the mandate allows a loss of {limit:.1%}",
    )


def _period_loss(
    record: StrategyRecord,
    context: JudgeContext,
    mandate: Mandate,
    *,
    rule: str,
    limit: float,
    unit: str,
) -> Evaluation:
    """Compounded return of the newest final row's week (from Monday) or calendar month."""
    finals = context.finals(record)
    live = finals.live
    if not len(finals) or not live.any():
        return insufficient(record.strategy, rule, observations=0, required=1)
    # 1970-01-01 was a Thursday: shifted by three days, weeks begin on Monday.
    shifted = finals.dates + np.timedelta64(3, "D") if unit == "W" else finals.dates
    periods = shifted.astype(f"datetime64[{unit}]")
    chosen = finals.returns[(periods == periods[-1]) & live]
    value = float(np.expm1(np.log1p(chosen).sum())) if len(chosen) else 0.0
    name = "week" if unit == "W" else "month"
    return judged(
        context,
        record.strategy,
        rule,
        severity=mandate.severity if reaches(value, -limit) else None,
        value=value,
        limit=-limit,
        observations=len(chosen),
        required=1,
        message=f"returned {value:+.2%} this {name}, the mandate allows a loss of {limit:.1%}",
    )


def _column(
    record: StrategyRecord,
    context: JudgeContext,
    mandate: Mandate,
    *,
    column: str,
    least: float | None,
    most: float | None,
) -> Evaluation:
    rule = "policy_column"
    values = record.extras.get(column)
    if values is None or not np.isfinite(values[-1]):
        return insufficient(
            record.strategy,
            rule,
            observations=0,
            required=1,
            why=f"the newest row has no number in the column {column!r}",
        )
    value = float(values[-1])
    below = least is not None and value < least
    above = most is not None and value > most
    return judged(
        context,
        record.strategy,
        rule,
        severity=mandate.severity if below or above else None,
        value=value,
        limit=least if below else (most if most is not None else least),
        observations=1,
        required=1,
        provisional=context.is_open(record),
        message=f"{column} is {value:g}, the mandate allows {_range(least, most)}",
        parts={"column": column, "min": least, "max": most},
    )


def _range(least: float | None, most: float | None) -> str:
    if least is None:
        return f"at most {most:g}"
    return f"at least {least:g}" if most is None else f"{least:g} to {most:g}"
