"""Claims of requests and pauses of schedules in the alert store."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, delete, select, tuple_, update

from perf_alerts_dagster.scheduler import port
from perf_alerts_dagster.storage.engine import reading, upsert, writing
from perf_alerts_dagster.storage.tables import claims, pauses


class SqlSchedulerStore(port.SchedulerStore):
    """Claims and pauses in SQLite or PostgreSQL; the schema must be current."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def claim(self, request: port.TriggerRequest, now: datetime) -> port.Claim:
        """Lock or insert the row, then decide."""
        marker = uuid.uuid4().hex
        with writing(self.engine) as connection:
            row = _locked(connection, request, marker, now)
            if row.marker == marker:
                _prune(connection, now)
                return port.Claim(status=port.ClaimStatus.NEW, marker=marker)
            return _existing(connection, row, request, marker, now)

    def settle(self, request: port.TriggerRequest, marker: str, run_id: str) -> None:
        """Set the run, only where the claim still has this marker."""
        with writing(self.engine) as connection:
            connection.execute(
                update(claims).where(_is(request), claims.c.marker == marker).values(run_id=run_id)
            )

    def release(self, request: port.TriggerRequest, marker: str) -> None:
        """Delete the claim, only where it still has this marker and no run."""
        with writing(self.engine) as connection:
            connection.execute(
                delete(claims).where(
                    _is(request), claims.c.marker == marker, claims.c.run_id.is_(None)
                )
            )

    def pauses(self) -> Mapping[str, port.Pause]:
        """One query, in the order of the alerts' names."""
        query = select(pauses).order_by(pauses.c.alert)
        with reading(self.engine) as connection:
            return {row["alert"]: port.Pause(**row) for row in connection.execute(query).mappings()}

    def keep_pause(self, pause: port.Pause) -> None:
        """One upsert."""
        with writing(self.engine) as connection:
            insert = upsert(connection, pauses)
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=[pauses.c.alert],
                    set_={
                        name: insert.excluded[name] for name in ("by", "since", "reason", "until")
                    },
                ),
                asdict(pause),
            )

    def drop_pause(self, alert: str) -> None:
        """One delete."""
        with writing(self.engine) as connection:
            connection.execute(delete(pauses).where(pauses.c.alert == alert))


def _is(request: port.TriggerRequest) -> ColumnElement[bool]:
    return and_(claims.c.scope == request.scope, claims.c.key == request.claim_key)


def _fresh(request: port.TriggerRequest, marker: str, now: datetime) -> dict[str, object]:
    return {
        "fingerprint": request.fingerprint,
        "marker": marker,
        "run_id": None,
        "at": now,
        "open_until": now + request.lease,
    }


def _locked(
    connection: Connection, request: port.TriggerRequest, marker: str, now: datetime
) -> Row[Any]:
    """The claim's row, locked; inserted where there was none."""
    insert = upsert(connection, claims)
    return connection.execute(
        insert.on_conflict_do_update(
            index_elements=[claims.c.scope, claims.c.key],
            # Changes nothing; it locks and returns the row.
            set_={"marker": claims.c.marker},
        ).returning(*claims.c),
        {"scope": request.scope, "key": request.claim_key, **_fresh(request, marker, now)},
    ).one()


def _prune(connection: Connection, now: datetime) -> None:
    """Delete void claims, so that the table holds those of one day."""
    old = (
        select(claims.c.scope, claims.c.key)
        .where(claims.c.at < now - port.KEEP)
        # Two concurrent prunings would wait for each other's rows.
        .with_for_update(skip_locked=True)
    )
    connection.execute(delete(claims).where(tuple_(claims.c.scope, claims.c.key).in_(old)))


def _existing(
    connection: Connection, row: Row[Any], request: port.TriggerRequest, marker: str, now: datetime
) -> port.Claim:
    if now - row.at > request.keep:
        connection.execute(update(claims).where(_is(request)).values(_fresh(request, marker, now)))
        return port.Claim(status=port.ClaimStatus.NEW, marker=marker)
    if row.fingerprint != request.fingerprint:
        return port.Claim(status=port.ClaimStatus.OTHER)
    if row.run_id is not None:
        return port.Claim(status=port.ClaimStatus.DONE, marker=row.marker, run_id=row.run_id)
    if row.open_until > now:
        return port.Claim(status=port.ClaimStatus.OPEN, marker=row.marker)
    connection.execute(update(claims).where(_is(request)).values(open_until=now + request.lease))
    return port.Claim(status=port.ClaimStatus.RESUMED, marker=row.marker)
