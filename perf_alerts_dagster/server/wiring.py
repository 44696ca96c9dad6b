"""From settings to the real adapters behind the server."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from zoneinfo import ZoneInfo

from perf_alerts_dagster.api.resources import ApiParts, Records
from perf_alerts_dagster.bootstrap.executions import build_outage
from perf_alerts_dagster.bootstrap.notifications import build_sweeper, open_all_channels
from perf_alerts_dagster.bootstrap.records import open_source, store_url
from perf_alerts_dagster.control.sql import Probe, SqlThresholds
from perf_alerts_dagster.judging.store.sql import open_store
from perf_alerts_dagster.proxy.wiring import parts_over
from perf_alerts_dagster.server.app import Parts
from perf_alerts_dagster.settings import Settings


@asynccontextmanager
async def open_parts(settings: Settings) -> AsyncIterator[Parts]:
    """Dagster's webserver on this machine, and the settings' alert store and record.

    Raises:
        StoreUnavailable: the store cannot be reached, or was not migrated.
    """
    store = await asyncio.to_thread(open_store, store_url(settings))
    sweeper = build_sweeper(settings, store.engine, owner=f"proxy:{uuid.uuid4().hex}")
    try:
        async with parts_over(settings, store.engine) as proxy:
            yield Parts(
                proxy=proxy,
                api=ApiParts(
                    store=store,
                    thresholds=SqlThresholds(store.engine),
                    records=Records(lambda: open_source(settings), ZoneInfo(settings.timezone)),
                    incidents=sweeper.incidents,
                    probe=Probe(store_url(settings)),
                    channels=open_all_channels(settings),
                ),
                sweeper=sweeper,
                outage=build_outage(settings),
            )
    finally:
        store.close()
