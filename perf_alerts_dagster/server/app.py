"""The server as an ASGI application: proxy, API and pages, with the watchdog beside them."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from threading import Event

from fastapi import FastAPI
from sqlalchemy import Engine

from perf_alerts_dagster.api import documents
from perf_alerts_dagster.api.admin import access as access_routes
from perf_alerts_dagster.api.admin import routes as admin_routes
from perf_alerts_dagster.api.alerts import routes as alert_routes
from perf_alerts_dagster.api.budget import routes as budget_routes
from perf_alerts_dagster.api.desk import routes as desk_routes
from perf_alerts_dagster.api.events import routes as event_routes
from perf_alerts_dagster.api.incidents import routes as incident_routes
from perf_alerts_dagster.api.operations import routes as operation_routes
from perf_alerts_dagster.api.operations.examination import Examination, examined
from perf_alerts_dagster.api.operations.health import Health
from perf_alerts_dagster.api.operations.metrics import Metrics
from perf_alerts_dagster.api.operations.schemas import FindingData
from perf_alerts_dagster.api.resources import ApiParts, ApiResources, Control, Records
from perf_alerts_dagster.api.rules import routes as rule_routes
from perf_alerts_dagster.api.silences import routes as silence_routes
from perf_alerts_dagster.api.strategies import routes as strategy_routes
from perf_alerts_dagster.bootstrap.executions import (
    build_outage,
    build_session_judge,
    with_thresholds,
)
from perf_alerts_dagster.bootstrap.ledger import read_ledger, read_totals
from perf_alerts_dagster.bootstrap.notifications import (
    build_links,
    build_outgoing,
    build_sweeper,
    open_all_channels,
)
from perf_alerts_dagster.bootstrap.records import read_records, store_url
from perf_alerts_dagster.control.sql import Probe, SqlThresholds
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.http.app import new_app
from perf_alerts_dagster.http.middleware import AccessLog
from perf_alerts_dagster.identity.middleware import Authentication, open_identity
from perf_alerts_dagster.incidents.store.desk import SqlDeskNews
from perf_alerts_dagster.incidents.store.overview import SqlDeliveries
from perf_alerts_dagster.judging.store.overview import SqlOverview
from perf_alerts_dagster.judging.store.sql import open_store
from perf_alerts_dagster.judging.store.standings import SqlStandings
from perf_alerts_dagster.notifications.outage import Outage
from perf_alerts_dagster.notifications.sweeper import Sweeper
from perf_alerts_dagster.pages import link as link_page
from perf_alerts_dagster.pages import login
from perf_alerts_dagster.pages import routes as pages
from perf_alerts_dagster.plots.sql import SqlPlots
from perf_alerts_dagster.proxy.app import ROUTERS, parts_over
from perf_alerts_dagster.proxy.resources import ProxyParts, Resources, open_proxy
from perf_alerts_dagster.proxy.schemas import FalseAlarms
from perf_alerts_dagster.records.series.sql import SqlSeries
from perf_alerts_dagster.records.sql import SqlDesk
from perf_alerts_dagster.scheduler.port import switched_off_words
from perf_alerts_dagster.server.watchdog import Watchdog
from perf_alerts_dagster.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The adapters of proxy and API, and the watchdog's own.

    `sweeper` sends messages while Dagster's sensor does not; None runs no watchdog. `outage`
    notifies people while the alert store cannot be written, which `probe` finds patiently.
    `examine` asks the doctor.
    """

    proxy: ProxyParts
    api: ApiParts
    sweeper: Sweeper | None = None
    outage: Outage | None = None
    probe: Callable[[datetime], None] = lambda now: None
    examine: Callable[[Settings], Sequence[FindingData]] = examined

    async def schedules_on(self, now: datetime) -> str | None:
        """The schedules that somebody switched off outside of this system; None without one."""
        history = self.sweeper.history if self.sweeper else None
        if history is None:
            return None
        try:
            return switched_off_words(await asyncio.to_thread(history.switched_off, now))
        except StoreUnavailable:
            return "unknown: the store cannot be used"


class BudgetTotals:
    """The totals of the false-alarm budget, as the status shows them; see `read_totals`.

    They are read once a minute at most: the status is asked for all the time, and the openings are
    those of a year.
    """

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings, self._engine = settings, engine
        self._read: tuple[datetime, FalseAlarms] | None = None

    def __call__(self, now: datetime) -> FalseAlarms:
        """The totals of the minute of `now`.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        minute, read = now.replace(second=0, microsecond=0), self._read
        if read is None or read[0] != minute:
            totals = read_totals(self._settings, self._engine, now)
            read = self._read = (minute, FalseAlarms.model_validate(totals))
        return read[1]


@asynccontextmanager
async def open_parts(settings: Settings) -> AsyncIterator[Parts]:
    """Dagster's webserver on this machine, and the settings' alert store and record.

    Raises:
        StoreUnavailable: the store cannot be reached, or was not migrated.
    """
    store = await asyncio.to_thread(open_store, store_url(settings))
    desk = SqlDesk(store.engine)
    sweeper = build_sweeper(settings, store.engine, owner=f"proxy:{uuid.uuid4().hex}")
    try:
        async with parts_over(settings, store.engine) as proxy:
            yield Parts(
                proxy=replace(proxy, false_alarms=BudgetTotals(settings, store.engine)),
                api=ApiParts(
                    store=store,
                    standings=SqlStandings(store.engine),
                    series=SqlSeries(store.engine),
                    judge=lambda: build_session_judge(
                        with_thresholds(settings, store.engine), store
                    ),
                    news=SqlDeskNews(store.engine),
                    desk=desk,
                    thresholds=SqlThresholds(store.engine),
                    records=Records(lambda now: read_records(settings, now=now, kept=desk.kept())),
                    incidents=sweeper.incidents,
                    links=build_links(settings, store.engine),
                    # Readiness must not wait behind a writer.
                    probe=Probe(store_url(settings), wait=1.0),
                    ledger=partial(read_ledger, settings, store.engine),
                    overview=SqlOverview(store.engine),
                    deliveries=SqlDeliveries(store.engine),
                    plots=SqlPlots(store.engine),
                    channels=open_all_channels(settings),
                ),
                sweeper=sweeper,
                outage=build_outage(settings),
                probe=Probe(store_url(settings)),
            )
    finally:
        store.close()


_ROUTERS = (
    *ROUTERS,
    desk_routes.router,
    strategy_routes.router,
    budget_routes.router,
    event_routes.router,
    incident_routes.router,
    silence_routes.router,
    alert_routes.router,
    rule_routes.router,
    operation_routes.router,
    admin_routes.config,
    admin_routes.router,
    access_routes.keys,
    access_routes.sessions,
    operation_routes.admin,
    documents.router,
)


def create_app(
    settings: Settings,
    *,
    open_parts: Callable[[Settings], AbstractAsyncContextManager[Parts]] = open_parts,
) -> FastAPI:
    """The ASGI application of the server; its lifespan opens and closes its resources.

    Args:
        settings: The settings of the server.
        open_parts: Opens the adapters; replaced in tests.
    """
    metrics = Metrics()
    # Set when the server stops, so that no request waits further for a run's end.
    stopping = Event()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        async with open_parts(settings) as parts:
            proxy, clock, seconds = parts.proxy, parts.proxy.clock, parts.proxy.seconds
            control = Control(
                identity=proxy.identity,
                thresholds=parts.api.thresholds,
                configured=settings.thresholds,
                mandates=settings.policy_limits,
                clock=clock,
            )
            async with (
                open_identity(
                    app, settings, proxy.identity, clock=clock, seconds=seconds, pause=proxy.pause
                ),
                open_proxy(settings, proxy, stopping, metrics.count_status_query) as resources,
            ):
                health = Health(
                    status=resources.fresh_status,
                    probe=parts.api.probe,
                    outbox=proxy.outbox,
                    location=proxy.location,
                    others={"schedules_on": parts.schedules_on},
                    seconds=seconds,
                )
                api = ApiResources(
                    proxy=resources,
                    parts=parts.api,
                    health=health,
                    examination=Examination(
                        examine=partial(parts.examine, settings), seconds=seconds
                    ),
                    metrics=metrics,
                )
                try:
                    async with _watchdog(parts, resources, health):
                        yield {"proxy": resources, "api": api, "control": control}
                finally:
                    await health.close()

    app = new_app(lifespan, _ROUTERS, key_header=settings.api_key_header)
    # The default paths of probes and scrapers.
    app.include_router(operation_routes.router, include_in_schema=False)
    app.state.stopping = stopping
    for router in (*pages.ROUTERS, link_page.router):
        app.include_router(router)
    app.state.error_page = login.error_page
    app.add_middleware(Authentication)
    app.add_middleware(AccessLog, count_answer=metrics.count_answer)
    return app


@asynccontextmanager
async def _watchdog(parts: Parts, resources: Resources, health: Health) -> AsyncIterator[None]:
    """Run the watchdog in this context, if there is a sweeper."""
    if parts.sweeper is None:
        yield
        return
    url = resources.settings.heartbeat_url
    watchdog = Watchdog(
        sweeper=parts.sweeper,
        status=resources.fresh_status,
        checks=health.checks,
        probe=parts.probe,
        heartbeat_url=url.get_secret_value() if url else None,
        outgoing=build_outgoing(resources.settings),
        clock=parts.proxy.clock,
        outage=parts.outage,
    )
    over = asyncio.Event()
    rounds = asyncio.create_task(watchdog.run(over))
    try:
        yield
    finally:
        # Not cancelled: a started change must be recorded.
        over.set()
        await rounds
