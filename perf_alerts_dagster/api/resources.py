"""The resources of the API's endpoints."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fastapi import Request

from perf_alerts_dagster.api.operations.examination import Examination
from perf_alerts_dagster.api.operations.health import Health
from perf_alerts_dagster.api.operations.metrics import Metrics
from perf_alerts_dagster.control.sql import SqlThresholds
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.executions.session_judge import SessionJudge
from perf_alerts_dagster.identity.store import IdentityStores
from perf_alerts_dagster.incidents.ledger import Ledger
from perf_alerts_dagster.incidents.lifecycle import Incidents
from perf_alerts_dagster.incidents.store.desk import SqlDeskNews
from perf_alerts_dagster.incidents.store.overview import SqlDeliveries
from perf_alerts_dagster.judging.ports import AlertStore
from perf_alerts_dagster.judging.standings.ports import StandingStore
from perf_alerts_dagster.judging.store.overview import SqlOverview
from perf_alerts_dagster.notifications.delivery import Channel
from perf_alerts_dagster.notifications.links import Links
from perf_alerts_dagster.plots.store import PlotStore
from perf_alerts_dagster.proxy.resources import Resources
from perf_alerts_dagster.records.desk import Desk
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.records.reading import Reading
from perf_alerts_dagster.records.series.ports import SeriesStore
from perf_alerts_dagster.settings import Settings

_FRESH_SECONDS = 60.0


class Records:
    """Reads the track records in a thread, and caches them for a minute."""

    def __init__(self, load: Callable[[datetime], Reading]) -> None:
        """Read with `load` at the first request: the proxy starts without a source."""
        self._load = load
        self._lock = asyncio.Lock()
        self._cached: tuple[datetime, Reading] | None = None

    async def record_of(self, strategy: str, now: datetime) -> StrategyRecord | None:
        """A strategy's or group's rows up to today; None where the source has none.

        See `reading` for the errors.
        """
        return (await self.reading(now)).records.strategies.get(strategy)

    async def reading(self, now: datetime) -> Reading:
        """The source as of at most a minute ago.

        Raises:
            RecordsUnavailable: the source cannot be read.
            RecordsInvalid: it is no track record.
        """
        async with self._lock:
            cached = self._cached
            if cached is None or (now - cached[0]).total_seconds() > _FRESH_SECONDS:
                reading = await asyncio.to_thread(self._load, now)
                cached = self._cached = (now.astimezone(UTC), reading)
        return cached[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParts:
    """The adapters behind the API.

    `probe` raises StoreUnavailable while the alert store cannot be written. `ledger` is that of
    false alarms; it takes the rows by which limits of losses are counted. `judge` opens what
    executions judge by, under the settings in force.
    """

    store: AlertStore
    standings: StandingStore
    series: SeriesStore
    judge: Callable[[], SessionJudge]
    news: SqlDeskNews
    desk: Desk
    thresholds: SqlThresholds
    records: Records
    incidents: Incidents
    links: Links
    probe: Callable[[datetime], None]
    ledger: Callable[[datetime, Mapping[str, StrategyRecord]], Ledger]
    overview: SqlOverview
    deliveries: SqlDeliveries
    plots: PlotStore
    channels: Sequence[Channel] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResources:
    """The state of the running API; `proxy` holds that of the documented endpoints."""

    proxy: Resources
    parts: ApiParts
    health: Health
    examination: Examination
    metrics: Metrics

    @property
    def settings(self) -> Settings:
        """The settings that the server runs with."""
        return self.proxy.settings

    def now(self) -> datetime:
        """The time, aware."""
        return self.proxy.now()


def api_of(request: Request) -> ApiResources:
    """The API's resources, which the server's lifespan set."""
    resources: ApiResources = request.state.api
    return resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Identity and limits.

    `configured`, ALERT_THRESHOLDS, and `mandates`, ALERT_POLICY_LIMITS, are in force until others
    are set.
    """

    identity: IdentityStores
    thresholds: SqlThresholds
    configured: Mapping[str, Json]
    clock: Callable[[], datetime]
    mandates: Mapping[str, Json] = field(default_factory=dict)


def control_of(request: Request) -> Control:
    """The resources of administration, which the server's lifespan set."""
    control: Control = request.state.control
    return control
