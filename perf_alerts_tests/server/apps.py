"""A whole proxy in this process over fakes, and callers of each role."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from perf_alerts_dagster.api.client import AlertsClient
from perf_alerts_dagster.api.operations.schemas import FindingData
from perf_alerts_dagster.api.resources import ApiParts, Records
from perf_alerts_dagster.bootstrap.executions import build_session_judge
from perf_alerts_dagster.bootstrap.ledger import read_ledger
from perf_alerts_dagster.control.principal import ROLE_PERMISSIONS
from perf_alerts_dagster.control.sql import SqlThresholds
from perf_alerts_dagster.http.paths import BASE
from perf_alerts_dagster.identity.store import identity_stores
from perf_alerts_dagster.incidents.lifecycle import Incidents, Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.store.desk import SqlDeskNews
from perf_alerts_dagster.incidents.store.links import SqlLinks
from perf_alerts_dagster.incidents.store.overview import SqlDeliveries
from perf_alerts_dagster.judging.store.overview import SqlOverview
from perf_alerts_dagster.judging.store.standings import SqlStandings
from perf_alerts_dagster.notifications.delivery import Channel
from perf_alerts_dagster.notifications.links import Links
from perf_alerts_dagster.plots.sql import SqlPlots
from perf_alerts_dagster.proxy.resources import ProxyParts
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_dagster.records.series.sql import SqlSeries
from perf_alerts_dagster.records.sql import SqlDesk
from perf_alerts_dagster.server.app import BudgetTotals, Parts, create_app
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_tests.builders import a_record, noise, reader
from perf_alerts_tests.fakes import FakeAlertStore, FakeLeases, FakeRecordsSource
from perf_alerts_tests.incidents.memory import MemoryIncidents
from perf_alerts_tests.server.fakes import (
    Database,
    FakeHistory,
    FakeScheduler,
    FakeSchedulerStore,
    ReadableAudit,
    Time,
)

KEYS = {role: f"{role}-key-of-the-tests-0123456789abcdef" for role in ROLE_PERMISSIONS}
SECRETS = {
    **{f"ALERT_{role.upper()}_API_KEY": key for role, key in KEYS.items()},
    "ALERT_JWT_SECRET": "only-for-the-tests-0123456789-abcdefghijklmnop",
}


class Proxy:
    """One proxy's parts, changeable by a test, and calls of its endpoints."""

    def __init__(self, other: "Proxy | None" = None, **settings: str) -> None:
        self.time: Time = other.time if other else Time()
        self.scheduler: FakeScheduler = other.scheduler if other else FakeScheduler(clock=self.time)
        self.store: FakeAlertStore = other.store if other else FakeAlertStore()
        self.history: FakeHistory = other.history if other else FakeHistory()
        self.leases: FakeLeases = other.leases if other else FakeLeases()
        self.scheduled: FakeSchedulerStore = other.scheduled if other else FakeSchedulerStore()
        self.database: Database = other.database if other else Database()
        self.desk = SqlDesk(self.database.engine)
        self.audit = ReadableAudit(self.database.engine)
        self.incidents: MemoryIncidents = other.incidents if other else MemoryIncidents()
        self.channels: list[Channel] = []
        self.findings: list[FindingData] = []
        self.settings = load_settings({**SECRETS, **settings}, dotenv=None)
        self.links = Links(
            store=SqlLinks(self.database.engine),
            public_url=self.settings.public_url,
            secret=lambda: b"only for the tests",
            clock=self.time,
        )
        self.source = FakeRecordsSource(
            TrackRecords(source="test", strategies={"other": a_record(noise(9), strategy="other")})
        )
        self.app: FastAPI = create_app(self.settings, open_parts=self.opened)

    @asynccontextmanager
    async def opened(self, settings: Settings) -> AsyncIterator[Parts]:
        yield Parts(
            proxy=ProxyParts(
                scheduler=self.scheduler,
                history=self.history,
                leases=self.leases,
                store=self.scheduled,
                identity=replace(identity_stores(self.database.engine), audit=self.audit),
                incidents=self.incidents,
                outbox=self.incidents,
                false_alarms=BudgetTotals(settings, self.database.engine),
                clock=self.time,
                seconds=self.time.seconds,
                pause=self.time.pause,
            ),
            examine=lambda settings: self.findings,
            api=ApiParts(
                store=self.store,
                standings=SqlStandings(self.database.engine),
                series=SqlSeries(self.database.engine),
                judge=lambda: build_session_judge(settings, self.store),
                news=SqlDeskNews(self.database.engine),
                desk=self.desk,
                thresholds=SqlThresholds(self.database.engine),
                records=Records(reader(self.source)),
                incidents=Incidents(
                    store=self.incidents,
                    outbox=self.incidents,
                    lifecycle=Lifecycle(
                        store=self.incidents, settings=NotificationSettings(channels=("mail",))
                    ),
                ),
                links=self.links,
                probe=lambda now: None,
                ledger=partial(read_ledger, settings, self.database.engine),
                overview=SqlOverview(self.database.engine),
                deliveries=SqlDeliveries(self.database.engine),
                plots=SqlPlots(self.database.engine),
                channels=self.channels,
            ),
        )


@asynccontextmanager
async def serving(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    """Calls of a proxy that runs, as an admin unless the header X-Role says otherwise."""

    async def with_key(request: httpx.Request) -> None:
        role = request.headers.pop("X-Role", "admin")
        if role != "nobody":
            request.headers["X-Alert-API-Key"] = KEYS[role]

    async with (
        transport_of(proxy) as transport,
        httpx.AsyncClient(
            transport=transport,
            base_url=f"http://test{BASE}",
            headers={"X-Request-ID": "req-1"},
            event_hooks={"request": [with_key]},
        ) as client,
    ):
        yield client


@asynccontextmanager
async def client_of(proxy: Proxy, role: str = "admin") -> AsyncIterator[AlertsClient]:
    """The typed client of a proxy that runs."""
    async with (
        transport_of(proxy) as transport,
        AlertsClient("http://test", api_key=KEYS[role], transport=transport) as client,
    ):
        yield client


@asynccontextmanager
async def transport_of(proxy: Proxy) -> AsyncIterator[httpx.AsyncBaseTransport]:
    """A way to a proxy that runs, without a socket; it begins and ends with the context."""
    async with proxy.app.router.lifespan_context(proxy.app) as state:
        yield httpx.ASGITransport(app=Stated(proxy.app, dict(state or {})))


@dataclass(frozen=True)
class Stated:
    """Gives each request its own copy of the lifespan's state, as servers do."""

    app: ASGIApp
    state: dict[str, Any]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope, "state": dict(self.state)}, receive, send)
