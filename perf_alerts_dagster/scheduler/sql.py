"""Claims of requests, pauses and waiting runs in the alert store."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, delete, select, tuple_, update

from perf_alerts_dagster.scheduler.idempotency import (
    KEEP,
    LEASE,
    Claimed,
    Claims,
    Place,
    WaitingRuns,
    Wanted,
)
from perf_alerts_dagster.scheduler.pauses import Pause, Pauses
from perf_alerts_dagster.storage import upsert
from perf_alerts_dagster.storage.engine import reading, writing
from perf_alerts_dagster.storage.tables import claims, leases, pauses


class SqlClaims(Claims):
    """The claims in SQLite or PostgreSQL; the schema must be current."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def claim(self, wanted: Wanted, now: datetime) -> Claimed:
        """See the port."""
        marker = uuid.uuid4().hex
        with writing(self.engine) as connection:
            row = _locked(connection, wanted, marker, now)
            if row.marker == marker:
                _prune(connection, now)
                return Claimed(place=Place.NEW, marker=marker)
            return _asked(connection, row, wanted, marker, now)

    def settle(self, wanted: Wanted, marker: str, run_id: str, now: datetime) -> None:
        """See the port."""
        with writing(self.engine) as connection:
            connection.execute(
                update(claims).where(_is(wanted), claims.c.marker == marker).values(run_id=run_id)
            )

    def release(self, wanted: Wanted, marker: str) -> None:
        """See the port."""
        with writing(self.engine) as connection:
            connection.execute(
                delete(claims).where(
                    _is(wanted), claims.c.marker == marker, claims.c.run_id.is_(None)
                )
            )


def _is(wanted: Wanted) -> ColumnElement[bool]:
    return and_(claims.c.scope == wanted.scope, claims.c.key == wanted.claim_key)


def _fresh(wanted: Wanted, marker: str, now: datetime) -> dict[str, object]:
    return {
        "fingerprint": wanted.fingerprint,
        "marker": marker,
        "run_id": None,
        "at": now,
        "open_until": now + LEASE,
    }


def _locked(connection: Connection, wanted: Wanted, marker: str, now: datetime) -> Row[Any]:
    """The claim's row, made here where there was none; nobody else changes it meanwhile."""
    insert = upsert.insert(connection, claims)
    return connection.execute(
        insert.on_conflict_do_update(
            index_elements=[claims.c.scope, claims.c.key],
            # Changes nothing; it locks the row, and has it returned.
            set_={"marker": claims.c.marker},
        ).returning(*claims.c),
        {"scope": wanted.scope, "key": wanted.claim_key, **_fresh(wanted, marker, now)},
    ).one()


def _prune(connection: Connection, now: datetime) -> None:
    """What counts for nobody any more goes, so that the table is as long as a day."""
    old = (
        select(claims.c.scope, claims.c.key)
        .where(claims.c.at < now - KEEP)
        # Two that prune at once would wait for each other's rows.
        .with_for_update(skip_locked=True)
    )
    connection.execute(delete(claims).where(tuple_(claims.c.scope, claims.c.key).in_(old)))


def _asked(
    connection: Connection, row: Row[Any], wanted: Wanted, marker: str, now: datetime
) -> Claimed:
    if now - row.at > wanted.keep:
        connection.execute(update(claims).where(_is(wanted)).values(_fresh(wanted, marker, now)))
        return Claimed(place=Place.NEW, marker=marker)
    if row.fingerprint != wanted.fingerprint:
        return Claimed(place=Place.OTHER)
    if row.run_id is not None:
        return Claimed(place=Place.DONE, marker=row.marker, run_id=row.run_id)
    if row.open_until > now:
        return Claimed(place=Place.OPEN, marker=row.marker)
    connection.execute(update(claims).where(_is(wanted)).values(open_until=now + LEASE))
    return Claimed(place=Place.RESUMED, marker=row.marker)


class SqlPauses(Pauses):
    """The pauses in SQLite or PostgreSQL; the schema must be current."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def pauses(self) -> Mapping[str, Pause]:
        """See the port."""
        query = select(pauses).order_by(pauses.c.alert)
        with reading(self.engine) as connection:
            return {row["alert"]: Pause(**row) for row in connection.execute(query).mappings()}

    def keep(self, pause: Pause) -> None:
        """See the port."""
        with writing(self.engine) as connection:
            insert = upsert.insert(connection, pauses)
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=[pauses.c.alert],
                    set_={
                        name: insert.excluded[name] for name in ("by", "since", "reason", "until")
                    },
                ),
                asdict(pause),
            )

    def drop(self, alert: str) -> None:
        """See the port."""
        with writing(self.engine) as connection:
            connection.execute(delete(pauses).where(pauses.c.alert == alert))


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
