"""Leases in the alert store, and the probe that writes one."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, select, update

from perf_alerts_dagster.control.leases import Leases, LeaseState, Line, Slot
from perf_alerts_dagster.storage import upsert
from perf_alerts_dagster.storage.engine import open_engine, writing
from perf_alerts_dagster.storage.tables import leases


class SqlLeases(Leases):
    """The leases of all alerts, in SQLite or PostgreSQL; the schema must be current."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def acquire(self, name: str, owner: str, now: datetime, ttl: timedelta) -> LeaseState:
        """See the port."""
        with self._locked(name) as (connection, line):
            after, state = line.asked(owner, now, ttl)
            _write(connection, name, after)
        return state

    def renew(self, name: str, owner: str, now: datetime, ttl: timedelta) -> bool:
        """See the port."""
        with self._locked(name) as (connection, line):
            after = line.renewed(owner, now, ttl)
            if after is not None:
                _write(connection, name, after)
        return after is not None

    def release(self, name: str, owner: str) -> bool:
        """See the port."""
        with self._locked(name) as (connection, line):
            after = line.left(owner)
            if after is not None:
                _write(connection, name, after)
        return after is not None

    @contextmanager
    def _locked(self, name: str) -> Iterator[tuple[Connection, Line]]:
        with writing(self.engine) as connection:
            # The row has to be there before PostgreSQL can lock it; SQLite locks the whole file.
            connection.execute(
                upsert.insert(connection, leases).on_conflict_do_nothing(
                    index_elements=[leases.c.name]
                ),
                {"name": name},
            )
            row = connection.execute(
                select(leases).where(leases.c.name == name).with_for_update()
            ).one()
            yield (
                connection,
                Line(
                    holder=_slot(row.holder, row.held_until),
                    waiter=_slot(row.waiter, row.waits_until),
                ),
            )


def _slot(owner: str | None, until: datetime | None) -> Slot | None:
    return None if owner is None or until is None else Slot(owner=owner, until=until)


def _write(connection: Connection, name: str, line: Line) -> None:
    connection.execute(
        update(leases)
        .where(leases.c.name == name)
        .values(
            holder=line.holder.owner if line.holder else None,
            held_until=line.holder.until if line.holder else None,
            waiter=line.waiter.owner if line.waiter else None,
            waits_until=line.waiter.until if line.waiter else None,
        )
    )


_LEASE = "probe"
_TTL = timedelta(seconds=5)


class Probe:
    """Writes a row and takes it back, through a connection of its own each time.

    Who has opened a file goes on writing to it after its folder was made read-only, while no
    execution that begins then can: the connections that are open prove nothing.
    """

    def __init__(self, url: str) -> None:
        self._leases = SqlLeases(open_engine(url, pooled=False))
        self._owner = uuid.uuid4().hex

    def __call__(self, now: datetime) -> None:
        """Write at `now`, aware.

        Raises:
            StoreUnavailable: the store cannot be written.
        """
        self._leases.acquire(_LEASE, self._owner, now, _TTL)
        self._leases.release(_LEASE, self._owner)
