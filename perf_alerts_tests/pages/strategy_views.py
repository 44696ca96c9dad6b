"""What the page of a strategy is made of, from lives that were really judged."""

from dataclasses import replace
from datetime import UTC, date, datetime

from perf_alerts_dagster.api.strategies.stored import DataCard, StrategyView, TradeSummary
from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_dagster.judging.ports import StoredEvaluation
from perf_alerts_dagster.judging.standings.figures import members_of
from perf_alerts_dagster.judging.standings.fold import fold
from perf_alerts_dagster.judging.standings.model import Standing
from perf_alerts_dagster.records.series.model import Restated
from perf_alerts_tests.plots.lives import Life, life

AT = datetime(2026, 11, 30, 17, tzinfo=UTC)
# What is found today has been found for so many sessions of the last 90.
FOUND = 20


def standing_of(one: Life, sessions: int = 90) -> Standing | None:
    """The standing after so many sessions, of which the newest look like the last one."""
    name = one.record.strategy
    kept: dict[str, Standing] = {}
    days: list[date] = one.record.dates[-sessions:].astype(object).tolist()
    members = members_of(one.context)
    for place, day in enumerate(days):
        for judgement in one.judgements:
            evaluations = judgement.evaluations
            if place < len(days) - FOUND:
                evaluations = tuple(
                    replace(each, outcome=Outcome.OK, severity=None, notifies=False)
                    for each in evaluations
                )
            then = replace(judgement, as_of=day, evaluations=evaluations)
            kept = fold(kept, then, members)
    return kept.get(name)


def view_of(name: str) -> StrategyView:
    """The view of a life, see `plots.lives.life`."""
    one = life(name)
    newest: dict[str, StoredEvaluation] = {}
    for judgement in one.judgements:
        for each in judgement.evaluations:
            newest[each.dedup_key] = StoredEvaluation(
                alert=judgement.alert, as_of=judgement.as_of, judged_at=AT, evaluation=each
            )
    return StrategyView(
        strategy=one.record.strategy,
        as_of=one.context.as_of,
        standing=standing_of(one),
        record=one.record,
        context=one.context,
        evaluations=list(newest.values()),
        launches=one.launches,
        card=card_of(one),
    )


def card_of(one: Life) -> DataCard:
    record, trades = one.record, one.record.trades
    days: list[date] = record.dates.astype(object).tolist()
    live = int(record.live.sum())
    return DataCard(
        rows=len(record),
        backtest_rows=len(record) - live,
        live_rows=live,
        first=days[0],
        last=days[-1],
        live_since=days[-live] if live else None,
        gaps=2,
        newest_gaps=days[3:5],
        late=0,
        calendar=one.context.calendars[record.strategy],
        content_hash=record.content_hash(),
        restated=[Restated(seen_at=AT, count=2, days={days[5]: "changed", days[6]: "added"})],
        trades=None
        if trades is None
        else TradeSummary(
            count=len(trades),
            wins=int((trades.pnl > 0.0).sum()),
            pnl=float(trades.pnl.sum()),
            cost=float(trades.cost.sum()),
            left_out=7,
            newest=trades.rows(len(trades) - 20, None),
        ),
        read_at=AT,
        is_gone=False,
    )
