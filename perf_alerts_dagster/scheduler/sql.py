"""Claims of requests, pauses of schedules, and the system's own history in the alert store."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, delete, select, tuple_, update

from perf_alerts_dagster.control import sql as audit
from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.scheduler import limits, port
from perf_alerts_dagster.storage.engine import insert_new, reading, upsert, writing
from perf_alerts_dagster.storage.tables import claims, pauses, switches, timetables, uptime


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


class SqlHistory:
    """Since when schedules are in force, what is switched off outside us, and when the system ran.

    Every method is one transaction. `grace` is how long somebody may have a schedule off.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    def __init__(self, engine: Engine, *, grace: timedelta = timedelta(minutes=15)) -> None:
        self.engine = engine
        self.grace = grace

    def in_force(
        self, current: Mapping[str, port.Timetable], now: datetime
    ) -> Mapping[str, datetime]:
        """By alert, since when the timetable of the running definitions is in force.

        One that was not seen before, or differs from the one before, is in force from now on.
        """
        with reading(self.engine) as connection:
            rows = connection.execute(select(timetables)).all()
        known = {row.alert: row for row in rows}
        since = {}
        for alert, timetable in current.items():
            row = known.get(alert)
            is_same = row is not None and (row.cron, row.timezone) == timetable
            # A time in the future is that of a clock which has been set back since.
            since[alert] = row.since if row is not None and is_same and row.since <= now else now
        changed = [
            {"alert": alert, "cron": timetable.cron, "timezone": timetable.timezone, "since": now}
            for alert, timetable in current.items()
            if since[alert] == now
        ]
        if changed:
            with writing(self.engine) as connection:
                insert = upsert(connection, timetables)
                update_ = {name: insert.excluded[name] for name in ("cron", "timezone", "since")}
                connection.execute(
                    insert.on_conflict_do_update(index_elements=["alert"], set_=update_), changed
                )
        return since

    def record_switches(
        self, off: Collection[str], sure: Collection[str], now: datetime
    ) -> Collection[str]:
        """Record which of `off` nobody paused, new ones of `sure` only; returns the recorded.

        Each switch is recorded in the audit once, with the web UI as its actor.
        """
        with reading(self.engine) as connection:
            paused = set(connection.scalars(select(pauses.c.alert)))
            known = set(connection.scalars(select(switches.c.name)))
        new, ended = set(sure) - paused - known, known - (set(off) - paused)
        if new or ended:
            with writing(self.engine) as connection:
                for name in sorted(new):
                    if insert_new(connection, switches, {"name": name, "off_since": now}):
                        audit.add(connection, _switch("disable", name, now))
                for name in sorted(ended):
                    gone = delete(switches).where(switches.c.name == name)
                    # Where it is off by a pause now, that has an audit row of its own.
                    if connection.execute(gone).rowcount and name not in off:
                        audit.add(connection, _switch("enable", name, now))
        return (known | new) - ended

    def switched_off(self, now: datetime) -> Mapping[str, datetime]:
        """The schedules, by alert, and the sensor that are off for longer than the grace.

        Readiness, `doctor` and the dead man's switch ask here: one answer for all.
        """
        with reading(self.engine) as connection:
            rows = connection.execute(select(switches).order_by(switches.c.name)).all()
        # The clock may have been set back since.
        return {row.name: row.off_since for row in rows if abs(now - row.off_since) >= self.grace}

    def alive(self, now: datetime) -> datetime:
        """Note a sign of life, and return since when the system has given them."""
        with writing(self.engine) as connection:
            started: dict[str, Any] = {"id": 1, "began_at": now, "seen_at": now, "said": True}
            started |= {"down_from": None, "missed": None, "caught_up": []}
            insert_new(connection, uptime, started)
            row = connection.execute(select(uptime).with_for_update()).one()
            values = started
            if -limits.SKEW <= now - row.seen_at <= limits.DOWN:
                values = {"began_at": row.began_at, "seen_at": max(now, row.seen_at)}
            elif now > row.seen_at:
                is_one = row.down_from and row.seen_at - row.began_at < limits.REMEMBERED
                values["down_from"] = row.down_from if is_one else row.seen_at
                values["said"] = False
            connection.execute(update(uptime).values(values))
            began_at: datetime = values["began_at"]
        return began_at

    def downtime(self, now: datetime) -> port.Downtime | None:
        """The newest time without a sign of life, None where none ended in the last week."""
        with reading(self.engine) as connection:
            row = connection.execute(select(uptime)).one_or_none()
        return _downtime(row, now)

    def keep_downtime(self, downtime: port.Downtime) -> None:
        """Store what was missed and caught up, unless another downtime has ended since."""
        with writing(self.engine) as connection:
            connection.execute(
                update(uptime)
                .where(uptime.c.began_at == downtime.until)
                .values(missed=downtime.missed, caught_up=list(downtime.caught_up))
            )

    def take_downtime(self, now: datetime) -> port.Downtime | None:
        """The newest downtime for a digest, once, and not before it is known what was missed."""
        with writing(self.engine) as connection:
            row = connection.execute(select(uptime).with_for_update()).one_or_none()
            downtime = _downtime(row, now)
            if row is None or row.said or downtime is None or downtime.missed is None:
                return None
            connection.execute(update(uptime).values(said=True))
            return downtime


def _downtime(row: Row[Any] | None, now: datetime) -> port.Downtime | None:
    if row is None or row.down_from is None or now - row.began_at > port.LOOK_BACK:
        return None
    return port.Downtime(
        since=row.down_from, until=row.began_at, missed=row.missed, caught_up=tuple(row.caught_up)
    )


def _switch(action: str, name: str, now: datetime) -> Change:
    return Change(
        at=now,
        actor="web UI",
        key_id="",
        address="",
        action=action,
        target=name,
        request_id=uuid.uuid4().hex,
        after={"enabled": action == "enable", "reason": "switched outside perf-alerts"},
    )


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
