"""Data rules: late rows, repeated P&L, runs of flat days, changed volatility."""

import math
import shlex
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.wording import counted, day_words
from perf_alerts_dagster.judging.context import (
    BACKTEST_ROWS,
    LIVE_ROWS,
    Case,
    JudgeContext,
    Rating,
    evaluation_of,
)
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome, headed
from perf_alerts_dagster.judging.rule import CRUMB, Rule, Step, Unit
from perf_alerts_dagster.projections.projection import first_counted
from perf_alerts_dagster.records.desk import Seen
from perf_alerts_dagster.records.model import Flags, Floats, RecordFault, StrategyRecord
from perf_alerts_dagster.statistics.ewma_volatility import size_shift
from perf_alerts_dagster.statistics.runs import run_law

_rule = partial(Rule, family=Family.DATA, unit=Unit.SESSION, plot="calendar")
FLAT_RUN = _rule(
    id="flat_run",
    title="flat run",
    gated=True,
    weight=CRUMB,
    hint="is the book closed, or does the feed repeat zeros?",
)
REPEATED_PNL = _rule(
    id="repeated_pnl",
    title="repeated P&L",
    gated=True,
    weight=CRUMB,
    hint="compare the last rows with the broker's statement: the feed may repeat its last one.",
)
VOLATILITY_SHIFT = _rule(
    id="volatility_shift",
    title="volatility shift",
    unit=Unit.TIMES,
    plot="volatility",
    whole_life=True,
    gated=True,
    weight=0.05,
    calibrated=True,
    limits={"volatility_low": 0.5, "volatility_high": 2.0},
    hint="compare the sizes and the leverage of the positions with those meant; then the market's "
    "own volatility.",
)
NO_DATA = _rule(
    id="no_data",
    title="no recent data",
    newest_row=True,
    hint="ask the job that writes the record: every judgement waits for it.",
)
STALE_DATA = _rule(
    id="stale_data",
    title="stale data",
    newest_row=True,
    hint="wait for the next row; if none comes, ask the job that writes the record.",
)
RECORD_ERROR = _rule(
    id="record_error",
    title="the record cannot be read",
    unit=Unit.NUMBER,
    optional=True,
    hint="fix the rows that are named: nothing is judged from them until then.",
)
_RUNS = {
    FLAT_RUN.id: ("flat", "without P&L in a row"),
    REPEATED_PNL.id: ("same P&L again", "in a row with the P&L of the one before"),
}
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
    rows = [f" in row {fault.row}" for fault in faults if fault.row is not None]
    headline = f"{counted(len(faults), 'fault')} in its rows, the first{''.join(rows[:1])}"
    return Evaluation(
        strategy=strategy,
        rule=RECORD_ERROR.id,
        outcome=Outcome.ERROR,
        severity=Severity.CRITICAL,
        evidence=Evidence.UNGATED,
        message="; ".join(listed[:_SHOWN_FAULTS] + [f"and {rest} more"] * (rest > 0)),
        parts={"faults": [*listed], **headed(headline)},
    )


def no_data(
    strategy: str,
    rule: Rule,
    *,
    late: int,
    allowed: int,
    newest: str,
    severity: Severity = Severity.CRITICAL,
) -> Evaluation:
    """A rule's evaluation of a strategy whose newest row, of the day `newest`, is late."""
    since = f"no rows since {newest}"
    own = headed(_late(since, late)) if rule is NO_DATA else {}
    return Evaluation(
        strategy=strategy,
        rule=rule.id,
        outcome=Outcome.NO_DATA,
        kind=rule.kind,
        severity=severity if rule is NO_DATA else None,
        evidence=Evidence.UNGATED if rule is NO_DATA else None,
        value=float(late),
        limit=float(allowed),
        message=f"{since}: {counted(late, 'session')} late, {allowed} allowed",
        parts=own,
    )


def _late(since: str, late: int) -> str:
    return f"{since} ({counted(late, 'session')} late)"


def vanished(strategy: str, seen: Seen, as_of: date) -> Evaluation:
    """The one evaluation of a strategy that was judged and that the source no longer has."""
    last = day_words(seen.last, beside=as_of)
    return Evaluation(
        strategy=strategy,
        rule=NO_DATA.id,
        outcome=Outcome.NO_DATA,
        severity=Severity.CRITICAL,
        evidence=Evidence.UNGATED,
        message=f"the source no longer has it, its newest row was of {last}; to end it: "
        f"perf-alerts strategies retire {shlex.quote(strategy)} --from DATE --reason TEXT",
        parts={"last_seen": seen.last.isoformat(), **headed(f"no rows since {last}, none at all")},
    )


def newest_run(flags: Flags) -> int:
    """Length of the run of True that the last element ends; 0 where it is False."""
    return len(flags) if flags.all() else int(flags[::-1].argmin())


def _lateness(record: StrategyRecord, context: JudgeContext) -> list[Evaluation]:
    """Info about a newest row that is late within the allowed lateness; never notified."""
    late = context.lateness.get(record.strategy, 0)
    # A sparse book has no row on most days.
    is_stale = late > context.calendars[record.strategy].longest_gap
    newest = context.day(record.dates[-1])
    value, rows = float(late), len(record)
    allowed: Step = (None, float(context.allowed_lateness(record.strategy)))
    stale: Step = (Severity.INFO if is_stale else None, 1.0)
    text = f"no rows since {newest}: {counted(late, 'session')} late"
    more = {"observations": rows, "headline": _late(f"no rows since {newest}", late)}
    plain = f"newest row of {newest}"
    return [
        Case(NO_DATA, record, context).judged(value, allowed, plain, observations=rows),
        Case(STALE_DATA, record, context).judged(value, stale, text if late else plain, **more),
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
    since = f"{_RUNS[rule.id][0]} since {context.day(finals.dates[-run])}" if run else ""
    said = f"{counted(run, 'session')} {_RUNS[rule.id][1]}; the backtest never had more than "
    # A run that is no longer than earlier ones has no evidence against it.
    rating = Rating(p_year=law.yearly_share(run, year)) if run > limit else None
    return case.judged(
        float(run),
        (Severity.WARNING if rating else None, float(limit)),
        f"{since}{': ' if since else ''}{said}{law.longest}",
        headline=f"{since} ({counted(run, 'session')})",
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
        return case.lacks(len(live), _FEWEST_MOVES)
    level = context.levels_of(strategy, VOLATILITY_SHIFT.id)[0]
    rare = calibration.badness_at(VOLATILITY_SHIFT.id, level) if level > 0.0 else math.inf
    shift = size_shift(calibration.decay.sizes(np.log1p(live)), rare)
    rating = context.rating(strategy, VOLATILITY_SHIFT, shift.cusum)
    if context.book.is_documented:
        return _documented_volatility(case, rating)
    rows = len(live) - shift.first
    since: date = finals.dates[first + shift.first].astype(object)
    text = (
        f"volatility {shift.ratio:.2g} x its usual since about {context.day(since, weekday=False)}"
    )
    rarely = ""
    if math.isfinite(rare) and max(rare, shift.cusum) > 0.0:
        rarely = f", rare from {rare:.1f} on" if rare > 0.0 else ", any is rare"
    return evaluation_of(
        context,
        strategy,
        VOLATILITY_SHIFT,
        severity=Severity.WARNING if shift.cusum >= rare and shift.cusum > 0.0 else None,
        value=shift.ratio,
        limit=shift.ratio_at(rare, rows) if math.isfinite(rare) else None,
        message=f"{text} (CUSUM {shift.cusum:.1f}{rarely})",
        headline=text,
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
    if len(reference) < _REFERENCE_ROWS:
        return case.lacks(len(reference), _REFERENCE_ROWS, lacking=BACKTEST_ROWS)
    if len(live) < _VOLATILITY_WINDOW:
        return case.lacks(len(live), _VOLATILITY_WINDOW)
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
    limit = low if ratio < 1 else high
    text = f"volatility {ratio:.2f} x its backtest's since {context.day(record.dates[-len(live)])}"
    return case.judged(
        ratio,
        (Severity.WARNING if outside else None, limit),
        f"{text}, the last {len(live)} sessions; limit {limit:g} x",
        headline=text,
        observations=len(live),
        required=_VOLATILITY_WINDOW,
        rating=rating,
    )
