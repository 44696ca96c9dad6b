"""What ends pauses of schedules, over Dagster's webserver."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Engine

from perf_alerts_dagster.adapters.store.audit import SqlAudit
from perf_alerts_dagster.adapters.store.leases import SqlLeases
from perf_alerts_dagster.adapters.store.toggles import SqlPauses
from perf_alerts_dagster.application.resuming import Resuming
from perf_alerts_dagster.application.toggles import Toggles
from perf_alerts_dagster.settings import Settings


def build_resume(settings: Settings, engine: Engine) -> Callable[[], None]:
    """Switches schedules on whose pause is over; asks Dagster only while something is paused."""
    pauses = SqlPauses(engine)

    async def resumed() -> None:
        from perf_alerts_dagster.adapters.graphql.client import GraphQLClient
        from perf_alerts_dagster.adapters.graphql.scheduler import GraphQLScheduler

        client = GraphQLClient(f"http://127.0.0.1:{settings.webserver_port}")
        try:
            await Resuming(
                toggles=Toggles(
                    scheduler=GraphQLScheduler(client),
                    pauses=pauses,
                    leases=SqlLeases(engine),
                    clock=_now,
                ),
                audit=SqlAudit(engine),
                clock=_now,
            ).resume()
        finally:
            await client.close()

    def resume() -> None:
        if pauses.pauses():
            asyncio.run(resumed())

    return resume


def _now() -> datetime:
    return datetime.now(UTC)
