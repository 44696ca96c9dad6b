"""All that an execution works with, from the settings."""

import uuid
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from perf_alerts_dagster.bootstrap.judging import build_judging, build_projecting, with_thresholds
from perf_alerts_dagster.bootstrap.notifications import build_delivering, open_desk
from perf_alerts_dagster.bootstrap.records import open_market, open_source, store_url
from perf_alerts_dagster.control.lease_sql import SqlLeases
from perf_alerts_dagster.control.leases import Turns
from perf_alerts_dagster.executions.execute import Executor
from perf_alerts_dagster.executions.summary_file import SummaryFolder
from perf_alerts_dagster.judging.store.sql import open_store
from perf_alerts_dagster.settings import Settings

# The longest that an execution's end waits for slow channels; the sweep sends what is left.
_DRAIN_SECONDS = 20.0


def build_services(settings: Settings) -> Executor:
    """All that an execution works with.

    Raises:
        StoreUnavailable: the store cannot be reached, or is not at this version.
        RecordsUnavailable: there is nothing at the records URL.
    """
    store = open_store(store_url(settings))
    settings = with_thresholds(settings, store.engine)
    judging = build_judging(settings)
    desk = open_desk(settings, store.engine)
    delivering = build_delivering(settings, desk, owner=f"run:{uuid.uuid4().hex}")
    return Executor(
        records=open_source(settings),
        store=store,
        summaries=SummaryFolder(settings.state_dir),
        judging=judging,
        projections_issuer=build_projecting(settings, judging, store),
        turns=Turns(leases=SqlLeases(store.engine), clock=_now),
        lifecycle=desk.lifecycle,
        deliver=lambda: delivering.drain(_DRAIN_SECONDS),
        market=open_market(settings),
        timezone=ZoneInfo(settings.timezone),
        catch_up=settings.catchup_sessions,
        gate=settings.rule_preset == "evidence",
        settings_content=settings.statistical_text,
    )


def _now() -> datetime:
    return datetime.now(UTC)
