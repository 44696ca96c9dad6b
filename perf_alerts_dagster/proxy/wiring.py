"""From settings to what really stands behind a proxy."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from zoneinfo import ZoneInfo

from perf_alerts_dagster.adapters.graphql.client import GraphQLClient
from perf_alerts_dagster.adapters.graphql.scheduler import GraphQLScheduler
from perf_alerts_dagster.adapters.store.audit import SqlAudit
from perf_alerts_dagster.adapters.store.history import SqlHistory
from perf_alerts_dagster.adapters.store.idempotency import SqlClaims
from perf_alerts_dagster.adapters.store.keys import SqlKeyUse
from perf_alerts_dagster.adapters.store.leases import SqlLeases
from perf_alerts_dagster.adapters.store.probe import Probe
from perf_alerts_dagster.adapters.store.revocations import SqlRevocations
from perf_alerts_dagster.adapters.store.store import open_store
from perf_alerts_dagster.adapters.store.thresholds import SqlThresholds
from perf_alerts_dagster.adapters.store.toggles import SqlPauses
from perf_alerts_dagster.adapters.store.waiting import SqlWaitingRuns
from perf_alerts_dagster.bootstrap.channels import open_all_channels
from perf_alerts_dagster.bootstrap.incidents import build_outage, build_tending
from perf_alerts_dagster.bootstrap.records import open_source
from perf_alerts_dagster.bootstrap.store import store_url
from perf_alerts_dagster.proxy.control import Tables
from perf_alerts_dagster.proxy.records import Records
from perf_alerts_dagster.proxy.resources import Parts
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
