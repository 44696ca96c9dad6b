"""The openings of a year in SQLite or PostgreSQL, for the ledger of false alarms."""

import json
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.ledger import Opening, of_event, opening_of, year_before
from perf_alerts_dagster.storage.engine import reading
from perf_alerts_dagster.storage.event_tables import events
from perf_alerts_dagster.storage.tables import incidents


def openings_of(engine: sa.Engine, now: datetime) -> Sequence[Opening]:
    """The events opened in the year before `now`, oldest first; the schema must be current.

    An incident that was over before there were events is its own.

    Raises:
        StoreUnavailable: the store cannot be read, or an incident is damaged.
    """
    row, since = incidents.c, year_before(now)
    leader = sa.func.coalesce(events.c.leader, row.strategy)
    query = (
        sa.select(row.id, row.rule, row.severity, row.body, row.event_id, leader)
        .join_from(incidents, events, events.c.id == row.event_id, isouter=True)
        .where(row.opened_at >= since, row.opened_at <= now, row.strategy != "")
        .where(sa.func.coalesce(events.c.opened_at, row.opened_at) >= since)
        # The incidents of one execution are opened at once, the leader's first.
        .order_by(row.opened_at, row.strategy != leader, row.id)
    )
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    found: dict[str, tuple[str, list[Opening]]] = {}
    for incident_id, rule, severity, body, event_id, name in rows:
        try:
            # Not validated as a whole, which takes ten times as long.
            content = json.loads(body)
            evidence, p_year = content.get("evidence"), content.get("p_year")
            opening = opening_of(name, rule, Severity(severity), evidence, p_year)
        except (ValueError, AttributeError) as error:
            raise StoreUnavailable(
                f"the alert store's incident {incident_id} is damaged"
            ) from error
        if opening is not None:
            found.setdefault(event_id or incident_id, (name, []))[1].append(opening)
    return [of_event(*each) for each in found.values()]
