"""The judge, and who issues projections, from the settings."""

from typing import TYPE_CHECKING

from perf_alerts_dagster.judging.false_alarms import Budgets
from perf_alerts_dagster.judging.judge import Judge
from perf_alerts_dagster.judging.limits import limit_book
from perf_alerts_dagster.projections.issue import ProjectionIssuer
from perf_alerts_dagster.projections.ports import ProjectionStore
from perf_alerts_dagster.settings import Settings

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
        limits=judging.book.limits,
    )
