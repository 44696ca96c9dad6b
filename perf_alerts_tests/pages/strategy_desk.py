"""A proxy whose store holds strategies that were read and judged, as executions do it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np

from perf_alerts_dagster.bootstrap.executions import build_session_judge
from perf_alerts_dagster.core.alerts import ALERTS, DAILY_PNL_CHECK
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.judging.standings.figures import members_of
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.projections.projection import launch_days
from perf_alerts_dagster.records.model import StrategyRecord, TrackRecords
from perf_alerts_dagster.records.reading import read
from perf_alerts_dagster.records.series.sql import SqlSeries
from perf_alerts_tests.builders import MARKET, a_record, noise, trades
from perf_alerts_tests.fakes import FakeRecordsSource
from perf_alerts_tests.server.apps import Proxy

BACKTEST, LIVE = 400, 290
NAME = "fading"


def fading(name: str = NAME, *, live: int = LIVE) -> StrategyRecord:
    """One that earned well and loses in its last 60 sessions, with capital and trades."""
    rows = BACKTEST + live
    returns = noise(rows, seed=3, mean=0.0012)
    returns[-60:] -= 0.011
    record = a_record(
        returns[BACKTEST:],
        backtest=returns[:BACKTEST],
        strategy=name,
        pnl=1e6 * returns,
        capital=np.full(rows, 1e6),
        currency="EUR",
        group="equity",
        owner="Ada",
    )
    return replace(record, trades=trades((1e6 * returns).tolist(), record.dates))


def desk_of(*records: StrategyRecord, sessions: int = 6) -> Proxy:
    """Judged by each alert as of its newest session, by the daily check as of some before too."""
    proxy = Proxy()
    newest: date = max(each.dates[-1] for each in records).astype(object)
    proxy.time.now = datetime.combine(newest, datetime.min.time(), tzinfo=UTC).replace(hour=20)
    source = TrackRecords(source="test", strategies={each.strategy: each for each in records})
    reading = read(
        FakeRecordsSource(source),
        MARKET,
        as_of=None,
        now=proxy.time.now,
        timezone=ZoneInfo("UTC"),
    )
    store = SqlAlertStore(proxy.database.engine)
    proxy.store = store  # type: ignore[assignment] # the real one in place of the fake
    days: Sequence[date] = records[0].dates[-sessions:].astype(object).tolist()
    judge = build_session_judge(proxy.settings, store)
    judge = replace(judge, issuer=replace(judge.issuer, lives=500, paths=400))
    judge = judge.for_sessions(days)
    launches = [launch_days(each, newest, None, date.min, 9) for each in records]
    for alert in ALERTS:
        for day in days if alert is DAILY_PNL_CHECK else days[-1:]:
            issue_on = sorted({day, *(each for found in launches for each in found)})
            judgement, outlook = judge.judge_session(
                alert, reading, day, issue_on=issue_on, run_id="run", now=proxy.time.now
            )
            context = judge.judge.context(reading, day, outlook, provisional=False)
            store.record(judgement, watermark=day, members=members_of(context))
            proxy.incidents.add_judgement(judgement)
        Lifecycle(
            store=proxy.incidents, settings=NotificationSettings(channels=("mail",))
        ).apply_judgements(alert.name, run_id="run", now=proxy.time.now)
    SqlSeries(proxy.database.engine).keep(reading, at=proxy.time.now, bounded=lambda name: ())
    return proxy
