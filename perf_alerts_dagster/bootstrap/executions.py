"""Builds the executor of alerts, and the notifier that needs no alert store."""

import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from perf_alerts_dagster.bootstrap.notifications import (
    build_budgets,
    build_deliverer,
    build_wording,
    open_channels,
    open_incidents,
)
from perf_alerts_dagster.bootstrap.records import open_market, open_source, store_url
from perf_alerts_dagster.control.leases import LeaseManager
from perf_alerts_dagster.control.sql import SqlLeases, SqlThresholds
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.executions.execute import Executor
from perf_alerts_dagster.executions.session_judge import SessionJudge
from perf_alerts_dagster.executions.without_store import Direct
from perf_alerts_dagster.judging.judge import Judge
from perf_alerts_dagster.judging.limits import limit_book, settings_of
from perf_alerts_dagster.judging.store.sql import open_store
from perf_alerts_dagster.notifications.outage import Outage
from perf_alerts_dagster.plots.sql import SqlPlots
from perf_alerts_dagster.projections.calibration import METHOD
from perf_alerts_dagster.projections.issue import CALIBRATION, ProjectionIssuer
from perf_alerts_dagster.projections.ports import MemoryProjections, ProjectionStore
from perf_alerts_dagster.records.desk import Kept
from perf_alerts_dagster.records.series.sql import SqlSeries
from perf_alerts_dagster.records.sql import SqlDesk
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.storage.engine import open_engine

# An execution waits no longer than this for slow channels; the sweep sends the rest.
_DRAIN_SECONDS = 20.0
# How long to wait for a locked store where people are notified without it, in seconds.
_OUTAGE_WAIT = 1.0


def build_session_judge(settings: Settings, store: ProjectionStore | None = None) -> SessionJudge:
    """The judge of these settings; without a store its projections are kept in memory."""
    book = replace(
        limit_book(settings.thresholds, settings.policy_limits),
        is_documented=settings.rule_preset == "documented",
    )
    budgets = build_budgets(settings)
    version = budgets.version({"": book.limits, **book.limits_of})
    return SessionJudge(
        judge=Judge(
            book=book,
            max_lag_sessions=settings.max_data_lag_sessions,
            budgets=budgets,
            settings_version=settings.settings_version,
            method_version=f"{METHOD}-{version}",
        ),
        issuer=ProjectionIssuer(
            store=store or MemoryProjections(),
            paths=settings.projection_paths,
            haircut=settings.backtest_haircut,
            settings_version=settings.settings_version,
            calibrations=f"{CALIBRATION}-{version}",
            weights=budgets.weights_of,
            limits=book.limits_for,
            whole_life=store is not None,
        ),
    )


def with_thresholds(settings: Settings, engine: Engine) -> Settings:
    """The settings, with the thresholds and mandates that were set over REST, if any."""
    stored = SqlThresholds(engine).current()
    if stored is None:
        return settings
    return settings.model_copy(update=settings_of(stored.content))


def build_services(settings: Settings) -> Executor:
    """The executor of a run, over the real records, store and channels.

    Raises:
        StoreUnavailable: the store cannot be reached, or is not at this version.
        RecordsUnavailable: there is nothing at the records URL.
    """
    store = open_store(store_url(settings))
    settings = with_thresholds(settings, store.engine)
    incidents = open_incidents(settings, store.engine)
    deliverer = build_deliverer(settings, incidents, store.engine, owner=f"run:{uuid.uuid4().hex}")
    return Executor(
        records=open_source(settings),
        store=store,
        desk=SqlDesk(store.engine),
        state_dir=settings.state_dir,
        session_judge=build_session_judge(settings, store),
        leases=LeaseManager(leases=SqlLeases(store.engine), clock=lambda: datetime.now(UTC)),
        lifecycle=incidents.lifecycle,
        deliver=lambda: deliverer.drain(_DRAIN_SECONDS),
        market=open_market(settings),
        timezone=ZoneInfo(settings.timezone),
        catch_up=settings.catchup_sessions,
        gate=settings.rule_preset == "evidence",
        settings_content=settings.statistical_text,
        plots=SqlPlots(store.engine),
        series=SqlSeries(store.engine),
    )


def build_direct(settings: Settings) -> Direct:
    """The notifier that is used while the alert store cannot be read or written.

    Thresholds that were set over REST count where the store can still be read, as on a full disk.
    """
    engine = open_engine(store_url(settings), wait=_OUTAGE_WAIT)
    kept = Kept()
    try:
        with suppress(StoreUnavailable):
            settings = with_thresholds(settings, engine)
            kept = SqlDesk(engine).kept()
    finally:
        engine.dispose()
    return Direct(
        records=open_source(settings),
        market=open_market(settings),
        session_judge=build_session_judge(settings),
        channels=open_channels(settings)[0],
        timezone=ZoneInfo(settings.timezone),
        gate=settings.rule_preset == "evidence",
        observe_only=settings.observe_only,
        wording=build_wording(settings),
        kept=kept,
    )


def build_outage(settings: Settings) -> Outage:
    """The handling of an outage of the alert store in a long-running process."""
    return Outage(
        channels=() if settings.observe_only else open_channels(settings)[0],
        open_judge=lambda: build_direct(settings),
        wording=build_wording(settings),
    )
