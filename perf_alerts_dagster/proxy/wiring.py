"""From settings to what really stands behind the proxy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import Engine

from perf_alerts_dagster.bootstrap.records import store_url
from perf_alerts_dagster.control.lease_sql import SqlLeases
from perf_alerts_dagster.control.sql import SqlAudit
from perf_alerts_dagster.identity.access import IdentityStores
from perf_alerts_dagster.identity.key_usage import SqlKeyUse
from perf_alerts_dagster.identity.revocations import SqlRevocations
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents, SqlSilences
from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.judging.store.sql import SqlAlertStore, open_store
from perf_alerts_dagster.proxy.resources import ProxyParts
from perf_alerts_dagster.scheduler.graphql.client import GraphQLClient
from perf_alerts_dagster.scheduler.graphql.scheduler import GraphQLScheduler
from perf_alerts_dagster.scheduler.sql import SqlClaims, SqlPauses, SqlWaitingRuns
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
    client = GraphQLClient(f"http://127.0.0.1:{settings.webserver_port}")
    try:
        yield ProxyParts(
            scheduler=GraphQLScheduler(client),
            history=SqlAlertStore(engine),
            leases=SqlLeases(engine),
            claims=SqlClaims(engine),
            waiting=SqlWaitingRuns(engine),
            pauses=SqlPauses(engine),
            identity=IdentityStores(
                audit=SqlAudit(engine),
                revocations=SqlRevocations(engine),
                key_use=SqlKeyUse(engine),
            ),
            incidents=SqlIncidents(engine),
            silences=SqlSilences(engine),
            outbox=SqlOutbox(engine),
        )
    finally:
        await client.close()
