"""All that an execution works with, from the settings."""

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from perf_alerts_dagster.bootstrap.notifications import build_delivering, open_desk
from perf_alerts_dagster.bootstrap.records import open_market, open_source, store_url
from perf_alerts_dagster.control.lease_sql import SqlLeases
from perf_alerts_dagster.control.leases import Turns
from perf_alerts_dagster.executions.execute import Executor
from perf_alerts_dagster.executions.summary_file import SummaryFolder
from perf_alerts_dagster.judging.false_alarms import Budgets
from perf_alerts_dagster.judging.judge import Judge
from perf_alerts_dagster.judging.limits import limit_book
from perf_alerts_dagster.judging.store.sql import open_store
from perf_alerts_dagster.projections.issue import ProjectionIssuer
from perf_alerts_dagster.projections.ports import ProjectionStore
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.settings.views import content

if TYPE_CHECKING:
    from sqlalchemy import Engine


def build_judging(settings: Settings, *, periods_per_year: float | None = None) -> Judge:
    """The judge of these settings."""
    return Judge(
        book=limit_book(settings.thresholds, settings.policy_limits),
        periods_per_year=periods_per_year or settings.periods_per_year,
        max_lag_sessions=settings.max_data_lag_sessions,
        budgets=Budgets(
            warning=settings.false_alarm_warning,
            critical=settings.false_alarm_critical,
            rules=settings.false_alarm_rules.get("default", {}),
            of_strategy=settings.false_alarm_rules.get("strategies", {}),
        ),
        settings_version=settings.settings_version,
    )


def with_thresholds(settings: Settings, engine: "Engine") -> Settings:
    """The settings with the thresholds that were set over REST, where any were."""
    from perf_alerts_dagster.control.sql import SqlThresholds

    found = SqlThresholds(engine).current()
    if found is None:
        return settings
    return settings.model_copy(update={"thresholds": dict(found.content)})


def build_projecting(
    settings: Settings, judging: Judge, store: ProjectionStore | None = None
) -> ProjectionIssuer:
    """What issues projections; into memory where no store is given."""
    from perf_alerts_dagster.projections.memory_store import MemoryProjections

    return ProjectionIssuer(
        store=store or MemoryProjections(),
        paths=settings.projection_paths,
        haircut=settings.backtest_haircut,
        periods_per_year=judging.periods_per_year,
        settings_version=judging.settings_version,
        budget=settings.false_alarm_warning,
        documented=(
            judging.book.limits.rolling_sharpe_warning,
            judging.book.limits.drawdown_warning,
        ),
    )


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
        settings_content=content(settings),
    )


def _now() -> datetime:
    return datetime.now(UTC)
