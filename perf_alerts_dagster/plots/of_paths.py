"""The plots of paths: the drawdown, the Sharpe ratio, trades, the shadow, columns."""

import math
from collections.abc import Mapping
from datetime import date

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from perf_alerts_dagster.core.wording import percent
from perf_alerts_dagster.judging.rules.data_quality import newest_run
from perf_alerts_dagster.judging.rules.mandates import DRAWDOWN as MANDATE
from perf_alerts_dagster.judging.rules.thresholds import SHARPE_DEGRADATION, episode_of
from perf_alerts_dagster.judging.rules.trades import LOSING_RUN, WIN_RATE
from perf_alerts_dagster.plots.judged import (
    MAXIMUM_DATES,
    Judged,
    constant,
    limit_at,
    since_beyond,
    thinned,
)
from perf_alerts_dagster.plots.plot import PERCENT, Kind, Limit, Plot, Role, Series, values_of
from perf_alerts_dagster.projections.projection import first_counted
from perf_alerts_dagster.projections.trade_lives import MAXIMUM, trades_of_backtest
from perf_alerts_dagster.projections.watchers import STATISTICS
from perf_alerts_dagster.statistics.ewma_volatility import WINDOW, usual_sizes
from perf_alerts_dagster.statistics.rolling import SHARPE_WINDOW, drawdown_path, rolling_sharpe
from perf_alerts_dagster.statistics.shadow.pairs import pairs_of
from perf_alerts_dagster.statistics.trades import closed_from, last_closed

# A drawdown's line that is further away is left out: it would hide the drawdown.
_NEAR = 1.6


def drawdown(judged: Judged) -> Plot | None:
    """The live index under its highest value so far, with the line that was passed."""
    path, dates, depth = drawdown_path(judged.live), judged.live_dates, judged.part("line")
    if not len(path):
        return None
    value, limit = float(path[-1]), judged.evaluation.limit
    is_own = isinstance(depth, float) and limit is not None and math.isclose(-limit, depth)
    label = "its own line" if is_own else "documented limit"
    limits = list(judged.limit("mandate" if judged.rule is MANDATE else label))
    if isinstance(depth, float) and not is_own and depth <= _NEAR * max(-value, -(limit or 0.0)):
        limits += limit_at(-depth, "its own line")
    episode = episode_of(judged.rows, path, None).get("episode")
    places = thinned(len(path), int(path.argmin()))
    return judged.plot(
        dates[places],
        Series(name="below its high", values=values_of(path[places])),
        unit=PERCENT,
        limits=limits,
        since=None if episode is None else str(episode),
        value=value,
    )


def sharpe(judged: Judged) -> Plot | None:
    """The rolling Sharpe ratio of live rows, with the documented limit and what is rare."""
    periods = judged.context.periods_of(judged.evaluation.strategy)
    ratios = rolling_sharpe(judged.live, periods_per_year=periods)[SHARPE_WINDOW - 1 :]
    dates = judged.live_dates[SHARPE_WINDOW - 1 :]
    if not len(ratios):
        return None
    limits = list(judged.limit("documented limit"))
    before = judged.part("before")
    if judged.rule is SHARPE_DEGRADATION and isinstance(before, float):
        limits = [
            replaced for each in limits for replaced in limit_at(each.value + before, "limit")
        ]
    limits += _rare(judged, periods)
    places = thinned(len(ratios))
    limit = limits[0].value if limits else -math.inf
    return judged.plot(
        dates[places],
        Series(name=f"last {SHARPE_WINDOW} sessions", values=values_of(ratios[places])),
        limits=limits,
        since=since_beyond(dates, ratios, limit, below=True),
        unit="Sharpe ratio a year",
    )


def _rare(judged: Judged, periods: float) -> tuple[Limit, ...]:
    """The value that is as rare in healthy years as what is notified."""
    calibration = judged.context.calibrations.get(judged.evaluation.strategy)
    level = judged.context.levels_of(judged.evaluation.strategy, judged.rule.id)[0]
    statistic = STATISTICS.get(judged.rule.id)
    if calibration is None or statistic is None or level <= 0.0:
        return ()
    if statistic.rule not in calibration.worst:
        return ()
    # Its badness is the ratio times a factor.
    value = calibration.badness_at(statistic.rule, level) / statistic.badness(1.0, periods)
    return limit_at(value, f"{percent(level)} of years")


def volatility(judged: Judged) -> Plot | None:
    """The size of each move in the usual one, and its mean since the shift began."""
    strategy, since = judged.evaluation.strategy, judged.part("since")
    launch = judged.context.projections_of(strategy).launch
    calibration = judged.context.calibrations.get(strategy)
    if since is None or launch is None or calibration is None or calibration.decay is None:
        return _rolling_volatility(judged)
    first = first_counted(judged.rows, launch.baseline_from)
    sizes = calibration.decay.sizes(np.log1p(judged.rows.returns[first:]))
    sizes, dates = sizes / usual_sizes(sizes), judged.rows.dates[first:]
    sizes, dates = sizes[-MAXIMUM_DATES:], dates[-MAXIMUM_DATES:]
    mean = np.where(dates >= np.datetime64(since), judged.evaluation.value or math.nan, math.nan)
    return judged.plot(
        dates,
        Series(name="each move", kind=Kind.BARS, role=Role.INNER_RANGE, values=values_of(sizes)),
        Series(name="mean since", values=values_of(mean)),
        unit="times the usual move",
        limits=judged.limit("limit"),
        since=since,
        value=judged.evaluation.value,
    )


def _rolling_volatility(judged: Judged) -> Plot | None:
    """The volatility of 63 live rows over the backtest's, as documented."""
    reference, live = judged.rows.returns[~judged.rows.live][-WINDOW:], judged.live
    rows = SHARPE_WINDOW
    if len(live) < rows or len(reference) < 2:
        return None
    ratios = sliding_window_view(live, rows).std(axis=1, ddof=1) / float(reference.std(ddof=1))
    dates, places = judged.live_dates[rows - 1 :], thinned(len(ratios))
    limits = judged.context.book.limits_for(judged.evaluation.strategy)
    low, high = limits["volatility_low"], limits["volatility_high"]
    is_low = ratios[-1] < 1.0
    bounds = [*limit_at(low, "lower limit"), *limit_at(high, "upper limit")]
    return judged.plot(
        dates[places],
        Series(name=f"last {rows} sessions", values=values_of(ratios[places])),
        unit="times the backtest's volatility",
        limits=bounds if is_low else bounds[::-1],
        since=since_beyond(dates, ratios, low if is_low else high, below=bool(is_low)),
    )


def trades(judged: Judged) -> Plot | None:
    """Closed live trades one after another, beside what the backtest's rate expects of them."""
    if judged.rows.trades is None or not len(judged.live):
        return None
    before = trades_of_backtest(judged.rows, judged.rows.trades)
    first: date = judged.live_dates[0].astype(object)
    live = last_closed(closed_from(judged.rows.trades, first), MAXIMUM)
    count = np.arange(1.0, len(live) + 1.0)
    if not len(live) or not len(before):
        return None
    if judged.rule is LOSING_RUN:
        losses = live.pnl < 0.0
        runs = np.array([newest_run(losses[:stop]) for stop in range(1, len(live) + 1)], float)
        longest = int(runs.argmax())
        return judged.plot(
            live.exits,
            Series(name="longest run", kind=Kind.BARS, values=values_of(runs)),
            unit="losses in a row",
            limits=judged.limit("backtest's longest"),
            since=live.exits[longest - int(runs[longest]) + 1] if runs[longest] else None,
            value=judged.evaluation.value,
        )
    is_rate = judged.rule is WIN_RATE
    values = (live.pnl > 0.0).astype(float) if is_rate else live.pnl
    rate = float(((before.pnl > 0.0).astype(float) if is_rate else before.pnl).mean())
    return judged.plot(
        live.exits,
        Series(name="won" if is_rate else "earned", values=values_of(values.cumsum())),
        unit="trades won" if is_rate else f"P&L {judged.rows.currency or ''}".strip(),
        limits=limit_at(rate * len(live), "at backtest's rate", values_of(rate * count)),
        note=_numbers(judged),
    )


def _numbers(judged: Judged) -> str:
    """Value and limit of a rule that measures in another unit than its plot."""
    value, limit = judged.evaluation.value, judged.evaluation.limit
    against = "" if limit is None else f", limit {limit:.3g}"
    return f"{judged.rule.title}: {value:.3g}{against}"


def shadow(judged: Judged) -> Plot | None:
    """Live minus the model's own P&L, added up."""
    if judged.rows.shadow is None or not len(judged.rows.shadow):
        return None
    pairs = pairs_of(judged.rows, judged.rows.shadow)
    if not len(pairs):
        return None
    gap = (pairs.differences - float(pairs.scales.offset[0, 0])).cumsum()
    places = thinned(len(gap))
    found, limit = judged.evaluation.value or 0.0, judged.evaluation.limit
    against = "" if limit is None or not math.isfinite(limit) else f"; limit {percent(limit)}"
    return judged.plot(
        pairs.dates[places],
        Series(name="as its model", role=Role.EXPECTED, values=constant(0.0, len(places))),
        Series(name="live minus model", values=values_of(gap[places])),
        unit=PERCENT,
        since=judged.part("fault_since"),
        note=f"{percent(found)} of healthy years differ as much{against}",
    )


def column(judged: Judged) -> Plot | None:
    """A further column with the bounds of its mandate."""
    name = str(judged.part("column"))
    numbers = judged.rows.extras.get(name)
    if numbers is None:
        return None
    numbers, dates = numbers[-MAXIMUM_DATES:], judged.rows.dates[-MAXIMUM_DATES:]
    limit, newest = judged.evaluation.limit, float(numbers[-1])
    bounds = [judged.part("min"), judged.part("max")]
    bounds.sort(key=lambda each: each != limit)
    limits = [one for each in bounds if each is not None for one in limit_at(each, "mandate")]
    return judged.plot(
        dates,
        Series(name=name, values=values_of(numbers)),
        unit=name,
        limits=limits,
        since=None
        if limit is None
        else since_beyond(dates, numbers, limit, below=newest < limit)
        if newest != limit
        else None,
    )


def expectations(judged: Judged) -> Plot | None:
    """The month that the earlier projection expected, and the one that the newest expects."""
    before, now = (judged.part(f"expected_monthly_return{each}") for each in ("_before", ""))
    days = [judged.part("issued_before"), judged.evaluation.session]
    limit = judged.evaluation.limit
    if None in (before, now, limit, *days):
        return None
    return judged.plot(
        np.array(days, dtype="datetime64[D]"),
        Series(name="expected a month", kind=Kind.BARS, values=(before, now)),
        unit=PERCENT,
        limits=limit_at(before + (limit or 0.0) * abs(before), "limit"),
        since=days[1],
    )


def folds(judged: Judged) -> Plot | None:
    """What each fold of a walk-forward test returned a year, beside what came before it."""
    found = judged.part("folds")
    if not isinstance(found, list) or not found:
        return None
    rows: list[Mapping[str, float]] = found
    return judged.plot(
        np.array([row["last"] for row in rows], dtype="datetime64[D]"),
        Series(
            name="in sample",
            role=Role.EXPECTED,
            values=values_of([row["in_sample_annual_return"] for row in rows]),
        ),
        Series(
            name="out of sample, a year",
            kind=Kind.BARS,
            values=values_of([row["out_of_sample_annual_return"] for row in rows]),
        ),
        unit=PERCENT,
        note=_numbers(judged),
    )


def sharpe_ratios(judged: Judged) -> Plot | None:
    """The rolling Sharpe ratio of all rows, beside those of the backtest and of live."""
    periods = judged.context.periods_of(judged.evaluation.strategy)
    ratios = rolling_sharpe(judged.rows.returns, periods_per_year=periods)[SHARPE_WINDOW - 1 :]
    if not len(ratios):
        return None
    places = thinned(len(ratios))
    in_sample = judged.part("in_sample_sharpe_ratio")
    rows = [Series(name=f"last {SHARPE_WINDOW} sessions", values=values_of(ratios[places]))]
    if in_sample is not None:
        values = constant(in_sample, len(places))
        rows.insert(0, Series(name="of the backtest", role=Role.EXPECTED, values=values))
    live = judged.live_dates
    return judged.plot(
        judged.rows.dates[SHARPE_WINDOW - 1 :][places],
        *rows,
        unit="Sharpe ratio a year",
        since=live[0] if len(live) else None,
        note=_numbers(judged),
    )
