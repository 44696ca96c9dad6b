"""What the endpoints beside the documented ones work with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from perf_alerts_dagster.api.operations.health import Health
from perf_alerts_dagster.api.operations.metrics import Metrics
from perf_alerts_dagster.api.strategies.records_cache import Records
from perf_alerts_dagster.control.sql import SqlThresholds
from perf_alerts_dagster.incidents.lifecycle import Desk
from perf_alerts_dagster.judging.ports import AlertStore
from perf_alerts_dagster.notifications.delivery import Channel
from perf_alerts_dagster.proxy.resources import Resources
from perf_alerts_dagster.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParts:
    """What stands behind them: real adapters, or a test's own.

    `probe` raises StoreUnavailable while the alert store cannot be written.
    """

    store: AlertStore
    thresholds: SqlThresholds
    records: Records
    desk: Desk
    probe: Callable[[datetime], None]
    channels: Sequence[Channel] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResources:
    """What the endpoints work with; `proxy` is what the documented ones work with."""

    proxy: Resources
    parts: ApiParts
    health: Health
    metrics: Metrics

    @property
    def settings(self) -> Settings:
        """What the server runs with."""
        return self.proxy.settings

    def now(self) -> datetime:
        """The time, aware."""
        return self.proxy.now()


def api_of(request: Request) -> ApiResources:
    """What the server owns for these endpoints; its lifespan put it there."""
    found: ApiResources = request.state.api
    return found
