"""The openings of a year in SQLite or PostgreSQL, for the ledger of false alarms."""

import json
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.ledger import Opening, opening_of, year_before
from perf_alerts_dagster.storage.engine import reading
from perf_alerts_dagster.storage.tables import incidents


def openings_of(engine: sa.Engine, now: datetime) -> Sequence[Opening]:
    """What was opened in the year before `now`, oldest first; the schema must be current.

    Raises:
        StoreUnavailable: the store cannot be read, or an incident is damaged.
    """
    row = incidents.c
    query = (
        sa.select(row.id, row.strategy, row.rule, row.severity, row.body)
        .where(row.opened_at >= year_before(now), row.opened_at <= now, row.strategy != "")
        .order_by(row.opened_at, row.id)
    )
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    found = []
    for incident_id, strategy, rule, severity, body in rows:
        try:
            # Not validated as a whole, which takes ten times as long.
            content = json.loads(body)
            evidence, p_year = content.get("evidence"), content.get("p_year")
            opening = opening_of(strategy, rule, Severity(severity), evidence, p_year)
        except (ValueError, AttributeError) as error:
            raise StoreUnavailable(
                f"the alert store's incident {incident_id} is damaged"
            ) from error
        if opening is not None:
            found.append(opening)
    return found
