"""From settings to what really stands behind a proxy."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from zoneinfo import ZoneInfo

from perf_alerts_dagster.api.strategies.records_cache import Records
from perf_alerts_dagster.bootstrap.notifications import (
    build_outage,
    build_tending,
    open_all_channels,
)
from perf_alerts_dagster.bootstrap.records import open_source, store_url
from perf_alerts_dagster.control.lease_sql import Probe, SqlLeases
from perf_alerts_dagster.control.sql import SqlAudit, SqlThresholds
from perf_alerts_dagster.identity.key_usage import SqlKeyUse
from perf_alerts_dagster.identity.revocations import SqlRevocations
from perf_alerts_dagster.judging.store.history import SqlHistory
from perf_alerts_dagster.judging.store.sql import open_store
from perf_alerts_dagster.scheduler.graphql.client import GraphQLClient
from perf_alerts_dagster.scheduler.graphql.scheduler import GraphQLScheduler
from perf_alerts_dagster.scheduler.sql import SqlClaims, SqlPauses, SqlWaitingRuns
from perf_alerts_dagster.server.access import Tables
from perf_alerts_dagster.server.parts import Parts
from perf_alerts_dagster.settings import Settings


@asynccontextmanager
async def open_parts(settings: Settings) -> AsyncIterator[Parts]:
    """Dagster's webserver on this machine, and the settings' alert store and record.

    Raises:
        StoreUnavailable: the store cannot be reached, or was not migrated.
    """
    store = await asyncio.to_thread(open_store, store_url(settings))
    tending = build_tending(settings, store.engine, owner=f"proxy:{uuid.uuid4().hex}")
    client = GraphQLClient(f"http://127.0.0.1:{settings.webserver_port}")
    try:
        yield Parts(
            scheduler=GraphQLScheduler(client),
            store=store,
            history=SqlHistory(store.engine),
            leases=SqlLeases(store.engine),
            claims=SqlClaims(store.engine),
            waiting=SqlWaitingRuns(store.engine),
            pauses=SqlPauses(store.engine),
            tables=Tables(
                audit=SqlAudit(store.engine),
                thresholds=SqlThresholds(store.engine),
                revocations=SqlRevocations(store.engine),
                key_use=SqlKeyUse(store.engine),
            ),
            records=Records(lambda: open_source(settings), ZoneInfo(settings.timezone)),
            desk=tending.desk,
            probe=Probe(store_url(settings)),
            channels=open_all_channels(settings),
            tending=tending,
            outage=build_outage(settings),
        )
    finally:
        await client.close()
        store.close()
