"""All that is stored of one strategy: how it stands, its rows, and what judged it.

Nothing is read from the source, and nothing is asked of Dagster: a page opens while both are down.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from fastapi import Request

from perf_alerts_dagster.api.resources import ApiParts, api_of
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.ports import StoredEvaluation
from perf_alerts_dagster.judging.standings.model import Standing
from perf_alerts_dagster.projections.ports import (
    JUDGING,
    LAUNCH,
    ProjectionStore,
    StoredProjection,
    kind_of,
)
from perf_alerts_dagster.projections.projection import InForce
from perf_alerts_dagster.projections.stored import in_force
from perf_alerts_dagster.records.calendars import StrategyCalendar
from perf_alerts_dagster.records.model import StrategyRecord, TrackRecords, Trades
from perf_alerts_dagster.records.reading import Market, Reading
from perf_alerts_dagster.records.series.model import Restated, Series
from perf_alerts_dagster.records.sessions import WEEKDAYS, missing, open_calendar

# Shown of gaps and of trades, the newest.
GAPS, TRADES = 20, 200
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeSummary:
    """The closed trades that are kept: how many, of which won, and their sums, net of costs.

    `newest` are at most 200 of them, oldest first; `left_out` counts those that are not kept.
    """

    count: int
    wins: int
    pnl: float
    cost: float
    left_out: int
    newest: Trades


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCard:
    """What the rows up to the as-of date are like.

    `gaps` are the sessions without a row between the first and the last one, `newest_gaps` at most
    20 of them, rising. `late` are the closed sessions that the newest row is behind. `content_hash`
    is `StrategyRecord.content_hash` of the rows that are kept. `trades` is None where the source
    has no table of them. `read_at` is when the rows were last read; `is_gone`: later readings had
    the strategy no more, or not readable.
    """

    rows: int
    backtest_rows: int
    live_rows: int
    first: date
    last: date
    live_since: date | None
    gaps: int
    newest_gaps: Sequence[date]
    late: int
    calendar: StrategyCalendar
    content_hash: str
    restated: Sequence[Restated]
    trades: TradeSummary | None
    read_at: datetime
    is_gone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyView:
    """What is stored of one strategy or group as of a date.

    `record` are its rows up to `as_of`, at least one, with the further columns that a mandate
    bounds, without trials, and without trades where not all of them are kept. `context` is that by
    which executions judge it on `as_of`: `plot_of` and the levels give the judged limits.
    `record`, `context` and `card` are None together: this version has not read its rows yet (after
    an upgrade, until the next execution), its rows never could be read, or it has none of its own
    (the rule of joint exceedances judges `ALL` where several currencies make no such group).

    `standing` is always the newest one; None where it is not judged any more, or not yet by this
    version. `evaluations` are the newest of each rule as of `as_of`, sorted by rule and projection;
    a strategy that the source has no more has none. `launches` are all launch projections until
    then, oldest first.
    """

    strategy: str
    as_of: date | None
    standing: Standing | None
    record: StrategyRecord | None
    context: JudgeContext | None
    evaluations: Sequence[StoredEvaluation]
    launches: Sequence[InForce]
    card: DataCard | None


async def strategy_view(request: Request, name: str, as_of: date | None = None) -> StrategyView:
    """All that is stored of a strategy or group.

    Args:
        request: The request, of a server with the API's resources.
        name: The strategy's or group's.
        as_of: Rows, projections and evaluations of this date or before; all where None.

    Raises:
        UnknownStrategy: it was neither read nor judged.
        InputError: the name is none, or `as_of` is before the first row.
        StoreUnavailable: the store cannot be read, or what it has of the strategy is damaged.
    """
    strategy = inputs.strategy_name(name)
    return await asyncio.to_thread(read_view, api_of(request).parts, strategy, as_of)


def read_view(parts: ApiParts, strategy: str, as_of: date | None = None) -> StrategyView:
    """See `strategy_view`, for a thread."""
    standing = parts.standings.one(strategy)
    series = parts.series.series([strategy]).get(strategy)
    evaluations = parts.store.current(strategy=strategy, as_of=as_of)
    if series is None and standing is None and not evaluations:
        raise inputs.UnknownStrategy
    if series is None:
        launches = OfOne(parts.store, strategy).launches(as_of or date.max, ())
        return StrategyView(
            strategy=strategy,
            as_of=as_of,
            standing=standing,
            record=None,
            context=None,
            evaluations=evaluations,
            launches=_unpacked(launches),
            card=None,
        )
    day = min(as_of or date.max, series.desk.as_of)
    rows = series.record.until(day)
    if not len(rows):
        first = series.record.dates[0]
        raise inputs.InputError("as_of", f"a date from the first row on, {first}")
    store = OfOne(parts.store, strategy)
    launches = store.launches(day, rows.baselines)
    context = _context(parts, store, replace(series, record=rows), day)
    return StrategyView(
        strategy=strategy,
        as_of=day,
        standing=standing,
        record=rows,
        context=context,
        evaluations=evaluations,
        launches=_unpacked(launches),
        card=_card(series, rows, context.lateness.get(strategy, 0)),
    )


class OfOne(ProjectionStore):
    """The projections of one strategy, whoever is asked for; it reads no others."""

    def __init__(self, store: ProjectionStore, strategy: str) -> None:
        self._store, self._strategy = store, strategy

    def save_projections(self, projections: Sequence[StoredProjection]) -> None:
        """Into the whole store."""
        self._store.save_projections(projections)

    def issued(
        self, *, kind: str, first: date, last: date, strategies: Collection[str] | None = None
    ) -> Sequence[StoredProjection]:
        """Of the one."""
        names = [self._strategy]
        return self._store.issued(kind=kind, first=first, last=last, strategies=names)

    def launches(self, last: date, baselines: Sequence[object]) -> list[StoredProjection]:
        """All launch projections until a day, oldest first, those for baselines among them."""
        kinds = [kind_of(LAUNCH, number) for number in range(len(baselines) + 1)]
        found = [
            each for kind in kinds for each in self.issued(kind=kind, first=date.min, last=last)
        ]
        return sorted(found, key=lambda each: each.issued_on)


def projections_of(parts: ApiParts, strategy: str) -> list[StoredProjection]:
    """All launch and judging projections that are stored of a strategy, the newest first."""
    series = parts.series.series([strategy]).get(strategy)
    kept = () if series is None else series.record.baselines
    store = OfOne(parts.store, strategy)
    judging = store.issued(kind=JUDGING, first=date.min, last=date.max)
    found = [*store.launches(date.max, kept), *judging]
    return sorted(found, key=lambda each: each.issued_on, reverse=True)


def _unpacked(stored: Sequence[StoredProjection]) -> list[InForce]:
    return [launch for each in stored if (launch := in_force(each)) is not None]


def _context(parts: ApiParts, store: OfOne, series: Series, day: date) -> JudgeContext:
    """The context of one strategy, as executions make that of all."""
    judge, record, desk = parts.judge(), series.record, series.desk
    strategy = record.strategy
    issuer = replace(judge.issuer, store=store)
    outlook = issuer.outlook(
        day,
        {strategy: series.calendar.periods_per_year},
        {strategy: record.baselines},
        monthly=False,
    )
    calibration = outlook.calibrations.get(strategy)
    hedge = None if calibration is None else calibration.hedge
    others = _others(parts, () if hedge is None else hedge.loadings)
    known = {**others, strategy: series}
    reading = Reading(
        records=TrackRecords(
            source="stored", strategies={name: each.record for name, each in known.items()}
        ),
        market=Market(calendar=open_calendar(WEEKDAYS), own_days=True),
        calendars={name: each.calendar for name, each in known.items()},
        sessions=(),
        as_of=desk.as_of,
        last_final=desk.last_final,
        counted_at=desk.read_at,
    )
    context = judge.judge.context(
        reading, day, outlook, provisional=desk.last_final is None or day > desk.last_final
    )
    return replace(context, desk_size=desk.judged_on(day))


def _others(parts: ApiParts, names: Collection[str]) -> Mapping[str, Series]:
    """The strategies whose rows a hedge takes off; without them it has no plot."""
    if not names:
        return {}
    try:
        return parts.series.series(names)
    except StoreUnavailable as error:
        _LOG.warning("the rows that hedge a strategy: %s", error)
        return {}


def _card(series: Series, rows: StrategyRecord, late: int) -> DataCard:
    gaps = missing(rows.dates, series.calendar.days)
    live = rows.dates[rows.live]
    last: date = rows.dates[-1].astype(object)
    return DataCard(
        rows=len(rows),
        backtest_rows=len(rows) - len(live),
        live_rows=len(live),
        first=rows.dates[0].astype(object),
        last=last,
        live_since=live[0].astype(object) if len(live) else None,
        gaps=len(gaps),
        newest_gaps=gaps[-GAPS:].astype(object).tolist(),
        late=late,
        calendar=series.calendar,
        content_hash=rows.content_hash(),
        restated=series.restated,
        trades=_summary(series, last),
        read_at=series.read_at,
        is_gone=series.is_gone,
    )


def _summary(series: Series, last: date) -> TradeSummary | None:
    if series.trades is None:
        return None
    trades = series.trades.until(last)
    return TradeSummary(
        count=len(trades),
        wins=int((trades.pnl > 0.0).sum()),
        pnl=float(trades.pnl.sum()),
        cost=float(trades.cost.sum()),
        left_out=series.trades_left_out,
        newest=trades.rows(max(len(trades) - TRADES, 0), None),
    )
