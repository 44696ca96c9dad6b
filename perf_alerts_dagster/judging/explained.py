"""Why a breach: what the P&L of its window is made of, where people are notified of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date

import numpy as np

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.wording import day_words, percent, printable
from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.evaluation import EXPLAINED, Evaluation, Outcome
from perf_alerts_dagster.judging.rules.catalogue import BY_ID
from perf_alerts_dagster.records.members import Group
from perf_alerts_dagster.records.model import Dates, Flags, Floats, StrategyRecord
from perf_alerts_dagster.statistics.attribution import (
    FAMILY,
    MINIMUM,
    TRADES,
    Column,
    Part,
    TradeRows,
    column_of,
    range_of,
    trade_parts,
    trade_rows,
    window_sums,
    worst_label,
)
from perf_alerts_dagster.statistics.rolling import drawdown_path

BENCHMARK, EXECUTION, COSTS = "benchmark", "execution", "costs"
OWN, BEYOND, UNCLOSED = "the strategy itself", "beyond the benchmark", "not from closed trades"
OTHERS = "the others"
# The first day of a fall, among the parts of a rule of decay.
_CHANGE = "change_date"
# Members of a group that are named, and the rows of their history.
_LOSERS = 3
_HISTORY = 756
_MAXIMUM_LINE = 120
_MAXIMUM_NAME = 30
# A detail is the cause where the others fall short by less than this share of what would be theirs.
_LEFT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Parts that sum to a window's P&L minus the expected one, those below their range first.

    `details` are other views of it, "day", "symbol" and "side"; `cause` is the kind of the one
    that makes most of it, if any.
    """

    parts: Sequence[Part]
    details: Mapping[str, Part] = field(default_factory=dict)
    cause: str | None = None


def with_explanations(
    evaluations: Sequence[Evaluation], context: JudgeContext, groups: Mapping[str, Group]
) -> tuple[Evaluation, ...]:
    """The evaluations, where each breach that is notified has its `explained` among its parts.

    Args:
        evaluations: As judged.
        context: The date and the records up to it.
        groups: The groups of strategies, by name.
    """
    found = []
    for each in evaluations:
        is_news = each.notifies and each.outcome is Outcome.BREACH
        why = _explained(each, context, groups) if is_news else None
        found.append(each if why is None else replace(each, parts={**each.parts, EXPLAINED: why}))
    return tuple(found)


def _explained(
    evaluation: Evaluation, context: JudgeContext, groups: Mapping[str, Group]
) -> dict[str, Json] | None:
    """The explanation; None for a rule without a window of P&L, and beyond finite numbers."""
    name = evaluation.strategy
    rows = None
    if name in context.records:
        rows, first = _window(evaluation, context, context.records[name])
    if rows is None or not 0 <= first < len(rows):
        return None
    record = rows

    def made() -> dict[str, Json] | None:
        with np.errstate(all="ignore"):
            if name in groups:
                found = _of_members(groups[name], record, first, context.seed)
            else:
                found = attribute(record, first, context.seed)
        return _as_json(found, record, first)

    return context.once((EXPLAINED, name, first, len(record)), made)


def _window(
    evaluation: Evaluation, context: JudgeContext, record: StrategyRecord
) -> tuple[StrategyRecord | None, int]:
    """The rows up to the window's end, and the position of its first one; None without a window."""
    rows = record if evaluation.provisional else context.finals(record)
    match BY_ID[evaluation.rule].loss:
        case "row" if evaluation.session is not None:
            rows = record.until(evaluation.session)
            is_there = len(rows) and rows.dates[-1] == np.datetime64(evaluation.session)
            return rows, len(rows) - bool(is_there)
        case "change" if isinstance(since := evaluation.parts.get(_CHANGE), str):
            return rows, int(np.searchsorted(rows.dates, np.datetime64(since)))
        case "rows" | "change":
            return rows, len(rows) - (evaluation.observations or 0)
        case "value":
            return rows, len(rows) - round(evaluation.value or 0.0)
        case "peak":
            path = drawdown_path(rows.returns[rows.live])
            return rows, len(rows) - int((path[::-1] == 0.0).argmax() or len(path))
        case _:
            return None, 0


def attribute(record: StrategyRecord, first: int, seed: int) -> Attribution:
    """The parts of the rows from `first` on, against the rows before it.

    With trades: the benchmark, the five parts of trades, and what is not from closed trades. Else,
    and where the execution is short: the benchmark, the execution (live minus shadow plus stated
    costs), the costs, and what the strategy made beyond them.

    Args:
        record: The rows up to the window's end, none of them a wipe-out.
        first: The position of the window's first row.
        seed: For the windows that are drawn.
    """
    past = np.arange(len(record)) < first
    whole = column_of(OWN, record.returns, np.ones_like(past), past)
    columns, market = _benchmark(record, whole, past)
    trades = trade_rows(record, record.trades, first, market) if record.trades else None
    split = [*columns, *_execution(record, trades, past)]
    parts = _with_rest(whole, split, BEYOND if columns else OWN, first, seed)
    if trades and not any(each.name == EXECUTION and each.is_short for each in parts):
        parts = _with_rest(whole, columns, UNCLOSED, first, seed, trades)
    parts.sort(key=_order)
    details = {"day": _day(record, whole, first)}
    if trades:
        details |= {kind: worst_label(trades, kind, first, seed) for kind in trades.labels}
    known = {kind: each for kind, each in details.items() if each is not None}
    return Attribution(
        parts=parts,
        details={kind: part for kind, (part, _) in known.items()},
        cause=_cause(parts[0], known),
    )


def _order(part: Part) -> tuple[bool, float]:
    return not part.is_short, part.value


def _benchmark(record: StrategyRecord, whole: Column, past: Flags) -> tuple[list[Column], Floats]:
    """Beta, by least squares on the past, times the benchmark's returns; and those (n)."""
    nothing = np.zeros(len(record))
    if record.benchmark is None:
        return [], nothing
    market = column_of(BENCHMARK, record.benchmark, np.isfinite(record.benchmark), past)
    moved = market.values[market.past]
    if not (spread := float(moved @ moved)):
        return [], nothing
    beta = float(moved @ whole.values[market.past]) / spread
    return [replace(market, values=beta * market.values)], market.values


def _execution(record: StrategyRecord, trades: TradeRows | None, past: Flags) -> list[Column]:
    """Live minus shadow plus the stated costs, and the costs: of the trades, else the stated ones.

    Those of the trades are what they cost beyond the mean of the past. The first 63 rows of a
    shadow are its past where fewer are before the window.
    """
    paid = []
    if trades:
        usual = float(trades.cost[trades.at < int(past.sum())].mean())
        paid = [column_of(COSTS, trades.per_row(usual - trades.cost), trades.begun, past)]
    found = paid
    if (shadow := record.shadow) is not None and len(shadow):
        at = np.minimum(np.searchsorted(record.dates, shadow.dates), len(record) - 1)
        paired = (record.dates[at] == shadow.dates) & record.live[at]
        at = at[paired]
        stated, gaps, known = np.zeros(len(record)), np.zeros(len(record)), np.zeros_like(past)
        stated[at], known[at] = shadow.costs[paired], True
        gaps[at] = record.returns[at] - shadow.returns[paired] + stated[at]
        if int((known & past).sum()) < MINIMUM:
            past = past | (known.cumsum() <= MINIMUM)
        for column in paid:
            # What the trades' own costs explain is no fault of the execution.
            gaps -= np.where(known, column.values, 0.0)
        costs = paid or [column_of(COSTS, -stated, known, past)]
        found = [column_of(EXECUTION, gaps, known, past), *costs]
    return [each for each in found if each.values.any()]


def _with_rest(
    whole: Column,
    columns: Sequence[Column],
    rest: str,
    first: int,
    seed: int,
    trades: TradeRows | None = None,
) -> list[Part]:
    """The columns' parts, those of the trades, and what is left of the whole.

    Each has its share of FAMILY, so that all together are within as often as one would be.
    """
    left = whole.values - sum((each.values for each in columns), np.zeros_like(whole.values))
    tested = sum(bool(each.past.any()) for each in (whole, *columns))
    parts: list[Part] = []
    if trades:
        parts = trade_parts(trades, first, FAMILY / (tested + len(TRADES)), seed)
        left -= column_of("", trades.per_row(trades.net), trades.begun, whole.past).values
    level = FAMILY / max(tested + len(parts), 1)
    remaining = replace(whole, name=rest, values=left)
    return [*(each.part(first, level, seed) for each in (*columns, remaining)), *parts]


# A detail, and the share of their own shortfall that it leaves to the others.
_Detail = tuple[Part, float]


def _cause(largest: Part, details: Mapping[str, _Detail]) -> str | None:
    """The detail that leaves the others least, where it says more than the largest part.

    A day says more than what the strategy made beyond the benchmark and the execution, a symbol or
    a side more than a part of the trades.
    """
    for kind, (part, left) in sorted(details.items(), key=lambda item: item[1][1]):
        general = (OWN, BEYOND, UNCLOSED, *TRADES) if kind == "day" else TRADES
        is_larger = not largest.is_short or part.value - part.expected <= largest.value
        if part.is_short and left < _LEFT and (is_larger or largest.name in general):
            return kind
    return None


def _day(record: StrategyRecord, whole: Column, first: int) -> _Detail | None:
    """The worst of several days."""
    days = whole.values[first:]
    if len(days) < 2 or not whole.past.any():
        return None
    total = float(days.sum())
    worst = int(days.argmin())
    value, day = float(record.returns[first + worst]), str(record.dates[first + worst])
    returns = record.returns[whole.past]
    ranged = range_of(window_sums(returns, 1, 0), 1, len(returns), FAMILY / len(days))
    left = 1.0 - float(days[worst]) / total if total < 0.0 else 1.0
    return Part(name=day, value=value, **ranged), left


def _of_members(group: Group, record: StrategyRecord, first: int, seed: int) -> Attribution:
    """The three members that lose most against their own live rows before, and the others."""
    start = max(first - _HISTORY, int(record.live.argmax()))
    days = record.dates[start:]
    rows = {member.name: member.on(days)[1:] for member in group.members}
    money = sum((capital for _, capital in rows.values()), np.zeros(len(days)))
    first -= start
    past = np.arange(len(days)) < first
    members = [
        column_of(
            name,
            np.divide(pnl, money, out=np.zeros(len(days)), where=money > 0.0),
            np.ones_like(past),
            past,
        )
        for name, (pnl, _) in sorted(rows.items())
    ]
    members.sort(key=lambda each: float(each.values[first:].sum()))
    rest = [each.values for each in members[_LOSERS:]]
    named = members[:_LOSERS]
    if rest:
        named.append(replace(members[0], name=OTHERS, values=np.sum(rest, axis=0)))
    parts = [each.part(first, FAMILY / len(members), seed) for each in named]
    return Attribution(parts=sorted(parts, key=_order))


def _as_json(found: Attribution, record: StrategyRecord, first: int) -> dict[str, Json] | None:
    """The explanation as it is stored, with names that print; None beyond finite numbers."""
    short = {kind: replace(part, name=_name(part.name)) for kind, part in found.details.items()}
    parts = [replace(part, name=_name(part.name)) for part in found.parts]
    every = [*parts, *short.values()]
    numbers = [number or 0.0 for part in every for number in (part.value, part.low, part.high)]
    if not np.isfinite(np.abs(numbers).sum()):
        return None
    rows = len(record) - first
    cause = short[found.cause] if found.cause else parts[0] if parts[0].is_short else None
    return {
        "line": _line(parts, short, found.cause, record.dates[first:]),
        "cause": cause.name if cause else None,
        "parts": [_part(each) for each in parts],
        "details": [{"kind": kind, **_part(each)} for kind, each in short.items()],
        "window": [str(record.dates[first]), str(record.dates[-1])],
        "rows": rows,
        "whole": math.fsum(part.value for part in parts),
    }


def _part(part: Part) -> dict[str, Json]:
    return {**asdict(part), "outside": part.is_outside}


def _name(text: str) -> str:
    """A name from data that prints, of at most 30 characters."""
    shown = printable(text[:_MAXIMUM_NAME])
    if len(text) <= _MAXIMUM_NAME and len(shown) <= _MAXIMUM_NAME:
        return shown
    return shown[: _MAXIMUM_NAME - 1] + "…"


def _line(
    parts: Sequence[Part], details: Mapping[str, Part], cause: str | None, days: Dates
) -> str:
    """`benchmark -4.1 % that day; beyond it -0.60 %`, of at most 120 characters."""
    rows, newest = len(days), days[-1].astype(object)
    day = ""
    if "day" in details:
        worst = date.fromisoformat(details["day"].name)
        day = f"{day_words(worst, beside=newest)} alone {_percent(details['day'].value)}"
    when = "that day" if rows == 1 else f"in {rows} sessions"
    largest, *others = parts
    rest = max(others, key=lambda part: abs(part.value), default=None)
    if all(part.low is None for part in parts):
        said = [f"too few rows before it to compare with; {_said(largest)} {when}"]
    elif cause == "day":
        said = [day, _said(largest)]
    elif cause is not None:
        part = details[cause]
        usually = f"usually {_percent(part.expected)}"
        said = [f"{_said(part)} {when}, {usually}", _said(largest)]
    elif not largest.is_short:
        said = [f"nothing stands out {when}; largest: {_said(largest)}"]
    elif rest is None:
        said = [f"{_said(largest)} {when}, usually {_percent(largest.low)} or more"]
    else:
        name = "beyond it" if (largest.name, rest.name) == (BENCHMARK, BEYOND) else rest.name
        said = [f"{_said(largest)} {when}", f"{name} {_percent(rest.value)}"]
        if "day" in details and details["day"].is_short:
            said.append(day)
    return "; ".join(said)[:_MAXIMUM_LINE]


def _said(part: Part) -> str:
    return f"{part.name} {_percent(part.value)}"


def _percent(value: float | None) -> str:
    return percent(value or 0.0, signed=True)
