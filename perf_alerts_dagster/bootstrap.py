"""From settings to real adapters; the only wiring.

Heavy libraries are imported by the adapters' own functions, so that importing this is cheap.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from perf_alerts_dagster.adapters.calendars import open_calendar
from perf_alerts_dagster.application.execution import Executor
from perf_alerts_dagster.application.judging import Judging
from perf_alerts_dagster.application.ports import ProjectionStore, RecordsSource
from perf_alerts_dagster.application.projecting import Projecting
from perf_alerts_dagster.application.reading import Market
from perf_alerts_dagster.application.turns import Turns
from perf_alerts_dagster.domain.budgets import Budgets
from perf_alerts_dagster.domain.limits import limit_book
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.settings.views import content

if TYPE_CHECKING:
    from sqlalchemy import Engine


def open_source(settings: Settings, *, records_url: str | None = None) -> RecordsSource:
    """The records of the settings, or of another URL; nothing is read yet.

    Raises:
        SettingsError: the URL cannot be a source.
        RecordsUnavailable: there is nothing at the URL.
    """
    from perf_alerts_dagster.adapters.records.sample import SampleSource
    from perf_alerts_dagster.adapters.records.source import TableNames, open_records
    from perf_alerts_dagster.domain.errors import UsageError
    from perf_alerts_dagster.settings.sources import records_fault
    from perf_alerts_dagster.settings.views import masked_url

    url = records_url or settings.records_url
    if not url:
        return SampleSource(settings.state_dir)
    fault = records_fault(url)
    if fault:
        raise UsageError(f"{masked_url(url)}: {fault}")
    return open_records(
        url,
        shown=masked_url(url),
        tables=TableNames(
            daily=settings.records_table,
            trades=settings.trades_table,
            strategies=settings.strategies_table,
            trials=settings.trials_table,
        ),
        columns=settings.records_columns,
    )


def open_market(settings: Settings, *, own_days: bool = False) -> Market:
    """Which days are sessions; `own_days` where no market calendar fits the record's rhythm."""
    if own_days:
        return Market(
            calendar=open_calendar("weekdays", close_time=settings.close_time), own_days=True
        )
    return Market(
        calendar=open_calendar(settings.calendar, close_time=settings.close_time),
        own_days=settings.calendar == "record",
    )


def build_judging(settings: Settings, *, periods_per_year: float | None = None) -> Judging:
    """The judge of these settings."""
    return Judging(
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
    from perf_alerts_dagster.adapters.store.thresholds import SqlThresholds

    found = SqlThresholds(engine).current()
    if found is None:
        return settings
    return settings.model_copy(update={"thresholds": dict(found.content)})


def build_projecting(
    settings: Settings, judging: Judging, store: ProjectionStore | None = None
) -> Projecting:
    """What issues projections; into memory where no store is given."""
    from perf_alerts_dagster.adapters.memory import MemoryProjections

    return Projecting(
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


def store_url(settings: Settings) -> str:
    """The alert store's URL: PostgreSQL where set, else a SQLite file in the state folder."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return f"sqlite:///{settings.state_dir / 'perf_alerts.db'}"


def migrate_store(settings: Settings) -> None:
    """Bring the alert store to this version; two starters do not collide.

    Raises:
        StoreUnavailable: the store cannot be reached or written.
    """
    from perf_alerts_dagster.adapters.store.engine import open_engine
    from perf_alerts_dagster.adapters.store.versions import migrate

    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = open_engine(store_url(settings))
    try:
        migrate(engine)
    finally:
        engine.dispose()


def build_services(settings: Settings) -> Executor:
    """All that an execution works with.

    Raises:
        StoreUnavailable: the store cannot be reached, or is not at this version.
        RecordsUnavailable: there is nothing at the records URL.
    """
    from perf_alerts_dagster.adapters.store.leases import SqlLeases
    from perf_alerts_dagster.adapters.store.store import open_store
    from perf_alerts_dagster.adapters.summaries import SummaryFolder

    store = open_store(store_url(settings))
    settings = with_thresholds(settings, store.engine)
    judging = build_judging(settings)
    return Executor(
        records=open_source(settings),
        store=store,
        summaries=SummaryFolder(settings.state_dir),
        judging=judging,
        projecting=build_projecting(settings, judging, store),
        turns=Turns(leases=SqlLeases(store.engine), clock=lambda: datetime.now(UTC)),
        market=open_market(settings),
        timezone=ZoneInfo(settings.timezone),
        catch_up=settings.catchup_sessions,
        gate=settings.rule_preset == "evidence",
        settings_content=content(settings),
    )
