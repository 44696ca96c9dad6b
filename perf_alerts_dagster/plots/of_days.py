"""The plots of single days: their size, their return, exceedances, and which have a row."""

import math

import numpy as np

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_dagster.judging.rules.data_quality import (
    FLAT_RUN,
    REPEATED_PNL,
    newest_run,
    repeats,
)
from perf_alerts_dagster.judging.rules.exceedances import CONSECUTIVE, JOINT, exceedances_of
from perf_alerts_dagster.judging.rules.mandates import DAILY_LOSS, WEEKLY_LOSS
from perf_alerts_dagster.plots.judged import BARS, MAXIMUM_DATES, Judged
from perf_alerts_dagster.plots.plot import (
    FLAGGED,
    NO_ROW,
    PERCENT,
    ROW,
    Kind,
    Plot,
    Series,
    values_of,
)
from perf_alerts_dagster.projections.kernels.watching import RATE_ROWS
from perf_alerts_dagster.records.model import Floats

# Sessions of a calendar, and how many of them before a long run.
_SESSIONS, _BEFORE = 90, 25
_LOWEST = -1.0 + 1e-12


def sizes(judged: Judged) -> Plot | None:
    """Each day in standard deviations of that day, with the worst of the days before."""
    found = exceedances_of(judged.rows.returns, 1)
    if found is None:
        return None
    days = np.concatenate([found.before[1 - BARS :], found.standardised])
    labels = {
        Severity.CRITICAL: "1.5 x the worst before",
        Severity.WARNING: f"worst of {len(found.residuals)} days",
    }
    severity = judged.evaluation.severity
    limits = judged.limit(labels.get(severity, "1 % of days") if severity else "1 % of days")
    return judged.plot(
        judged.rows.dates[-len(days) :],
        Series(name="standard deviations", kind=Kind.BARS, values=values_of(days)),
        limits=limits,
        since=judged.evaluation.session if severity else None,
    )


def sizes_and_hits(known: Floats, newest: int) -> tuple[Floats, Floats]:
    """The newest rows in standard deviations of their day, and 1 where below their 5 % quantile.

    Each year of them against the rows before it; NaN where those are too few.

    Args:
        known: All returns (n).
        newest: How many of them are looked at.
    """
    found = np.full((2, newest), math.nan)
    for first in range(0, newest, MAXIMUM_DATES):
        stop = min(first + MAXIMUM_DATES, newest)
        part = exceedances_of(known[: len(known) - newest + stop], stop - first)
        if part is not None:
            found[:, first:stop] = part.standardised, part.hits
    return found[0], found[1]


def returns(judged: Judged) -> Plot | None:
    """The return of each day."""
    is_joint = judged.rule is JOINT
    value = judged.evaluation.value or 0.0
    return judged.plot(
        judged.rows.dates[-BARS:],
        Series(name="a day", kind=Kind.BARS, values=values_of(judged.rows.returns[-BARS:])),
        unit=PERCENT,
        limits=()
        if is_joint
        else judged.limit("mandate" if judged.rule is DAILY_LOSS else "limit"),
        since=judged.evaluation.session if judged.evaluation.severity else None,
        note=f"{value:.0f} strategies below their 1 % quantile" if is_joint else "",
    )


def periods(judged: Judged) -> Plot | None:
    """The return of the week or the month so far, day by day."""
    is_week = judged.rule is WEEKLY_LOSS
    rows, dates = judged.live[-BARS:], judged.live_dates[-BARS:]
    if not len(rows):
        return None
    # 1970-01-01 was a Thursday: shifted by three days, weeks begin on Monday.
    weeks, months = (dates + np.timedelta64(3, "D")).astype("datetime64[W]"), dates.astype("M8[M]")
    spans = weeks if is_week else months
    logs = np.log1p(np.maximum(rows, _LOWEST)).cumsum()
    firsts = np.searchsorted(spans, spans, side="left")
    so_far = np.expm1(logs - np.concatenate([[0.0], logs])[firsts])
    since = dates[firsts[-1]]
    # The first one may have begun before.
    so_far, dates = so_far[firsts > 0], dates[firsts > 0]
    return judged.plot(
        dates,
        Series(
            name=f"{'week' if is_week else 'month'} so far",
            kind=Kind.BARS,
            values=values_of(so_far),
        ),
        unit=PERCENT,
        limits=judged.limit("mandate"),
        since=since if judged.evaluation.severity else None,
        value=judged.evaluation.value,
    )


def exceedances(judged: Judged) -> Plot | None:
    """The days below the 5 % quantile as ticks, and how many they are."""
    newest = max(1, min(RATE_ROWS, len(judged.live)))
    found = exceedances_of(judged.rows.returns, newest)
    if found is None:
        return None
    hits, dates = found.hits, judged.rows.dates[-newest:]
    is_run = judged.rule is CONSECUTIVE
    counts = (
        np.array([newest_run(hits[:stop]) for stop in range(1, newest + 1)])
        if is_run
        else hits.cumsum()
    )
    first = newest - int(counts[-1]) if is_run else int(hits.argmax())
    return judged.plot(
        dates,
        Series(
            name="below 5 % of days",
            kind=Kind.TICKS,
            values=values_of(np.where(hits, 1.0, math.nan)),
        ),
        Series(name="in a row" if is_run else f"of {newest} sessions", values=values_of(counts)),
        unit="sessions",
        limits=judged.limit("limit", 1.0 if is_run else float(newest)),
        since=dates[first] if judged.evaluation.severity else None,
    )


def calendar(judged: Judged) -> Plot | None:
    """The newest sessions: which have a row, and which belong to the run."""
    rows, found = judged.rows, judged.evaluation
    own = judged.context.calendars[found.strategy]
    sessions = own.sessions(rows.dates, judged.context.as_of)
    amounts = rows.pnl if rows.pnl is not None else rows.returns
    flagged = np.zeros(len(rows), dtype=bool)
    is_run = found.outcome is not Outcome.NO_DATA and judged.rule in (FLAT_RUN, REPEATED_PNL)
    if is_run:
        flagged = (amounts == 0.0) if judged.rule is FLAT_RUN else repeats(amounts)
        flagged &= rows.live
    codes = np.where(
        np.isin(sessions, rows.dates[flagged]),
        FLAGGED,
        np.where(np.isin(sessions, rows.dates), ROW, NO_ROW),
    )
    bad = codes != ROW
    run = newest_run(bad)
    shown = min(max(_SESSIONS, run + _BEFORE), MAXIMUM_DATES)
    value, limit = found.value or 0.0, found.limit or 0.0
    name, note = "", f"{value:,.0f} sessions late, {limit:,.0f} allowed; newest {rows.dates[-1]}"
    if is_run:
        name = "no P&L" if judged.rule is FLAT_RUN else "the same P&L"
        longest = judged.part("backtest_longest")
        note = f"{value:,.0f} sessions in a row; the backtest's longest run is {longest}"
    return judged.plot(
        sessions[-shown:],
        Series(name=name, kind=Kind.CELLS, values=values_of(codes[-shown:])),
        unit="",
        since=sessions[-run] if run else None,
        note=note,
    )
