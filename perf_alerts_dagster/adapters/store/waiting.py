"""Which run of an alert waits behind the one that works, read from the alerts' leases."""

from datetime import datetime

from sqlalchemy import Engine, select

from perf_alerts_dagster.adapters.store.engine import reading
from perf_alerts_dagster.adapters.store.schema import leases
from perf_alerts_dagster.application.triggering import WaitingRuns


class SqlWaitingRuns(WaitingRuns):
    """The lines in SQLite or PostgreSQL; a lease is named by its alert, its owner is a run id."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def waiting_run(self, alert: str, now: datetime) -> str | None:
        """See the port."""
        # A waiter whose time ran out has crashed; only behind a live holder does one wait.
        query = select(leases.c.waiter).where(
            leases.c.name == alert, leases.c.held_until > now, leases.c.waits_until > now
        )
        with reading(self.engine) as connection:
            found: str | None = connection.scalar(query)
        return found
