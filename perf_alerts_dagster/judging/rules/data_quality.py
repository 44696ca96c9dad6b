"""Data rules: late rows, repeated P&L, runs of flat days, changed volatility."""

import math
import shlex
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.context import (
    BACKTEST_ROWS,
    LIVE_ROWS,
    Case,
    JudgeContext,
    Rating,
    evaluation_of,
)
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.rule import CRUMB, Rule, Step
from perf_alerts_dagster.projections.projection import first_counted
from perf_alerts_dagster.records.desk import Seen
from perf_alerts_dagster.records.model import Flags, Floats, RecordFault, StrategyRecord
from perf_alerts_dagster.statistics.ewma_volatility import size_shift
from perf_alerts_dagster.statistics.runs import run_law

_rule = partial(Rule, family=Family.DATA, unit="sessions", plot="calendar")
FLAT_RUN = _rule(id="flat_run", title="flat run", gated=True, weight=CRUMB)
REPEATED_PNL = _rule(id="repeated_pnl", title="repeated P&L", gated=True, weight=CRUMB)
VOLATILITY_SHIFT = _rule(
    id="volatility_shift",
    title="volatility shift",
    unit="ratio of volatilities",
    plot="volatility",
    whole_life=True,
    gated=True,
    weight=0.05,
    calibrated=True,
    limits={"volatility_low": 0.5, "volatility_high": 2.0},
)
NO_DATA = _rule(
    id="no_data",
    title="no recent data",
    newest_row=True,
    hint="the job that writes the record: every judgement waits for it.",
)
STALE_DATA = _rule(id="stale_data", title="stale data", newest_row=True)
RECORD_ERROR = _rule(
    id="record_error",
    title="the record cannot be read",
    unit="none",
    optional=True,
    hint="the rows that are named; nothing is judged from them until they are fixed.",
)
RULES = (FLAT_RUN, REPEATED_PNL, VOLATILITY_SHIFT, NO_DATA, STALE_DATA, RECORD_ERROR)
# Rows of the reference segment that runs and volatility are compared with.
_REFERENCE_ROWS = 252
_VOLATILITY_WINDOW = 63
# Fewer rows are no shift: one adds at most about 2.5 to a CUSUM that is rare from about 15 on.
_FEWEST_MOVES = 5
_MINIMUM_REPEATS = 3
_SHOWN_FAULTS = 3
_TINY = 1e-12


def judge_data(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    """The data rules of a strategy whose rows are good and not too late."""
    return [
        *_lateness(record, context),
        # Some strategies have runs of 200 flat days, so there is no fixed limit.
        _run_rule(record, context, FLAT_RUN, lambda values: values == 0.0, minimum=2),
        _run_rule(record, context, REPEATED_PNL, repeats, minimum=_MINIMUM_REPEATS),
        _volatility(record, context),
    ]


def record_error(strategy: str, faults: Sequence[RecordFault]) -> Evaluation:
    """The one evaluation of a strategy whose rows break the input contract."""
    listed, rest = [str(fault) for fault in faults], len(faults) - _SHOWN_FAULTS
    return Evaluation(
        strategy=strategy,
        rule=RECORD_ERROR.id,
        outcome=Outcome.ERROR,
        severity=Severity.CRITICAL,
        evidence=Evidence.UNGATED,
        message="; ".join(listed[:_SHOWN_FAULTS] + [f"and {rest} more"] * (rest > 0)),
        parts={"faults": [*listed]},
    )


def no_data(
    strategy: str,
    rule: Rule,
    *,
    late: int,
    allowed: int,
    newest: object,
    severity: Severity = Severity.CRITICAL,
) -> Evaluation:
    """A rule's evaluation of a strategy whose newest row is `late` sessions behind."""
    return Evaluation(
        strategy=strategy,
        rule=rule.id,
        outcome=Outcome.NO_DATA,
        kind=rule.kind,
        severity=severity if rule is NO_DATA else None,
        evidence=Evidence.UNGATED if rule is NO_DATA else None,
        value=float(late),
        limit=float(allowed),
        message=f"newest row is of {newest}, {late} sessions behind; {allowed} are allowed",
    )


def vanished(strategy: str, seen: Seen) -> Evaluation:
    """The one evaluation of a strategy that was judged and that the source no longer has."""
    return Evaluation(
        strategy=strategy,
        rule=NO_DATA.id,
        outcome=Outcome.NO_DATA,
        severity=Severity.CRITICAL,
        evidence=Evidence.UNGATED,
        message=f"the source no longer has it; last seen on {seen.last}. It is ended by: "
        f"perf-alerts strategies retire {shlex.quote(strategy)} --from DATE --reason TEXT",
        parts={"last_seen": seen.last.isoformat()},
    )


def newest_run(flags: Flags) -> int:
    """Length of the run of True that the last element ends; 0 where it is False."""
    return len(flags) if flags.all() else int(flags[::-1].argmin())


def _lateness(record: StrategyRecord, context: JudgeContext) -> list[Evaluation]:
    """Info about a newest row that is late within the allowed lateness; never notified."""
    late = context.lateness.get(record.strategy, 0)
    # A sparse book has no row on most days.
    is_stale = late > context.calendars[record.strategy].longest_gap
    newest = f"newest row is of {record.dates[-1]}"
    value, rows = float(late), len(record)
    allowed: Step = (None, float(context.allowed_lateness(record.strategy)))
    stale: Step = (Severity.INFO if is_stale else None, 1.0)
    text = f"{newest}, {late} closed sessions behind"
    return [
        Case(NO_DATA, record, context).judged(value, allowed, newest, observations=rows),
        Case(STALE_DATA, record, context).judged(value, stale, text, observations=rows),
    ]


def repeats(amounts: Floats) -> Flags:
    """The same non-zero P&L as on the row before: a feed that repeats its last row."""
    same: Flags = np.zeros(len(amounts), dtype=bool)
    same[1:] = (amounts[1:] == amounts[:-1]) & (amounts[1:] != 0.0)
    return same


def _run_rule(
    record: StrategyRecord,
    context: JudgeContext,
    rule: Rule,
    flags: Callable[[Floats], Flags],
    *,
    minimum: int,
) -> Evaluation:
    """Breach where the newest live run of flagged rows is longer than any in the backtest.

    Its rate is that of a year of the backtest's own runs: longer than ever happens to one healthy
    strategy of four in a year.
    """
    finals = context.finals(record)
    case, rows = Case(rule, finals, context), _REFERENCE_ROWS
    amounts = finals.pnl if finals.pnl is not None else finals.returns
    live = amounts[finals.live]
    backtest = len(finals) - len(live)
    is_short = backtest < rows
    if is_short or not len(live):
        why = "a run is compared with the backtest's longest"
        return case.lacks(backtest, rows, why, BACKTEST_ROWS if is_short else LIVE_ROWS)
    law = context.once(
        (rule.id, record.strategy, backtest),
        lambda: run_law(flags(amounts[~finals.live])),
        of_session=False,
    )
    run = newest_run(flags(live))
    limit = max(law.longest, minimum - 1)
    year = max(round(context.periods_of(record.strategy)), 1)
    # A run that is no longer than earlier ones has no evidence against it.
    rating = Rating(p_year=law.yearly_share(run, year)) if run > limit else None
    return case.judged(
        float(run),
        (Severity.WARNING if rating else None, float(limit)),
        f"run of {run} sessions, the backtest's longest is {law.longest}",
        observations=backtest,
        required=rows,
        rating=rating,
        parts={"backtest_longest": law.longest},
    )


def _volatility(record: StrategyRecord, context: JudgeContext) -> Evaluation:
    """The size of live moves in the usual one, by its CUSUM since live or a baseline began.

    The value is the mean size since the CUSUM was last 0, the limit the size at which it would be
    rare. As documented, and without a calibration, it is the volatility of the last 63 live rows.
    """
    strategy, finals = record.strategy, context.finals(record)
    case = Case(VOLATILITY_SHIFT, finals, context)
    launch = context.projections_of(strategy).launch
    calibration = context.calibrations.get(strategy)
    if launch is None or calibration is None or calibration.decay is None:
        return _documented_volatility(case, None)
    first = first_counted(finals, launch.baseline_from)
    live = finals.returns[first:]
    if len(live) < _FEWEST_MOVES:
        return case.lacks(len(live), _FEWEST_MOVES, "needs a week of live rows")
    level = context.levels_of(strategy, VOLATILITY_SHIFT.id)[0]
    rare = calibration.badness_at(VOLATILITY_SHIFT.id, level) if level > 0.0 else math.inf
    shift = size_shift(calibration.decay.sizes(np.log1p(live)), rare)
    rating = context.rating(strategy, VOLATILITY_SHIFT, shift.cusum)
    if context.book.is_documented:
        return _documented_volatility(case, rating)
    rows = len(live) - shift.first
    since: date = finals.dates[first + shift.first].astype(object)
    text = (
        f"moves {shift.ratio:.2g} x their usual size since about "
        f"{since.day} {since:%b %Y} (CUSUM {shift.cusum:.1f}"
    )
    if math.isfinite(rare) and max(rare, shift.cusum) > 0.0:
        text += f", {rare:.1f} is rare" if rare > 0.0 else ", any is rare"
    return evaluation_of(
        context,
        strategy,
        VOLATILITY_SHIFT,
        severity=Severity.WARNING if shift.cusum >= rare and shift.cusum > 0.0 else None,
        value=shift.ratio,
        limit=shift.ratio_at(rare, rows) if math.isfinite(rare) else None,
        message=f"{text})",
        observations=len(live),
        required=_FEWEST_MOVES,
        rating=rating,
        parts={"cusum": shift.cusum, "since": str(since), "rows": rows},
    )


def _documented_volatility(case: Case, rating: Rating | None) -> Evaluation:
    """Realised volatility of the last 63 live rows over the backtest's, outside 0.5 to 2."""
    record, context = case.record, case.context
    returns, is_live = record.returns, record.live
    reference, live = returns[~is_live][-756:], returns[is_live][-_VOLATILITY_WINDOW:]
    why = f"needs {_REFERENCE_ROWS} backtest rows as well"
    if len(reference) < _REFERENCE_ROWS:
        return case.lacks(len(reference), _REFERENCE_ROWS, why, BACKTEST_ROWS)
    if len(live) < _VOLATILITY_WINDOW:
        return case.lacks(len(live), _VOLATILITY_WINDOW, why)
    if gaps := case.gaps(_VOLATILITY_WINDOW):
        return gaps
    # An overflowing square gives infinity, which is no volatility.
    with np.errstate(over="ignore", invalid="ignore"):
        before = context.once(
            (VOLATILITY_SHIFT.id, record.strategy, int(is_live.argmax())),
            lambda: float(np.std(reference, ddof=1)),
            of_session=False,
        )
        now = float(np.std(live, ddof=1))
    if not (_TINY <= before < math.inf and now < math.inf):
        why = "the backtest does not vary" if before < _TINY else "a return is beyond numbers"
        return case.lacks(len(live), _VOLATILITY_WINDOW, why)
    ratio = now / before
    limits = context.book.limits_for(record.strategy)
    low, high = limits["volatility_low"], limits["volatility_high"]
    outside = ratio < low * (1 - _TINY) or ratio > high * (1 + _TINY)
    return case.judged(
        ratio,
        (Severity.WARNING if outside else None, low if ratio < 1 else high),
        f"volatility of the last {len(live)} live rows is {ratio:.2f}x the backtest's",
        observations=len(live),
        required=_VOLATILITY_WINDOW,
        rating=rating,
    )
