"""From settings to the real adapters behind the proxy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import Engine

from perf_alerts_dagster.bootstrap.records import store_url
from perf_alerts_dagster.control.sql import SqlAudit, SqlLeases
from perf_alerts_dagster.identity.store import IdentityStores, SqlKeyUse, SqlRevocations
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.judging.store.sql import SqlAlertStore, open_store
from perf_alerts_dagster.proxy.resources import ProxyParts
from perf_alerts_dagster.scheduler.graphql.client import connected
from perf_alerts_dagster.scheduler.graphql.scheduler import GraphQLScheduler
from perf_alerts_dagster.scheduler.sql import SqlSchedulerStore
from perf_alerts_dagster.settings import Settings


@asynccontextmanager
async def open_parts(settings: Settings) -> AsyncIterator[ProxyParts]:
    """Dagster's webserver on this machine, and the settings' alert store.

    Raises:
        StoreUnavailable: the store cannot be reached, or was not migrated.
    """
    store = await asyncio.to_thread(open_store, store_url(settings))
    try:
        async with parts_over(settings, store.engine) as parts:
            yield parts
    finally:
        store.close()


@asynccontextmanager
async def parts_over(settings: Settings, engine: Engine) -> AsyncIterator[ProxyParts]:
    """Dagster's webserver on this machine, and a store that is open already."""
    async with connected(settings.webserver_port) as client:
        yield ProxyParts(
            scheduler=GraphQLScheduler(client),
            history=SqlAlertStore(engine),
            leases=SqlLeases(engine),
            store=SqlSchedulerStore(engine),
            identity=IdentityStores(
                audit=SqlAudit(engine),
                revocations=SqlRevocations(engine),
                key_use=SqlKeyUse(engine),
            ),
            incidents=SqlIncidents(engine),
            outbox=SqlOutbox(engine),
        )
