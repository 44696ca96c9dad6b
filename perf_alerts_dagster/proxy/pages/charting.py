"""The band and the live path of an incident's strategy, as a drawing."""

import asyncio

from perf_alerts_dagster.application.charts import chart_of
from perf_alerts_dagster.application.drawing import svg
from perf_alerts_dagster.application.outlooks import LAUNCH, in_force
from perf_alerts_dagster.domain.errors import RecordsInvalid, RecordsUnavailable
from perf_alerts_dagster.domain.incidents.state import Incident
from perf_alerts_dagster.proxy.resources import Resources


async def drawing_of(resources: Resources, incident: Incident) -> str | None:
    """The drawing as SVG; None where nothing was projected, or the record cannot be read.

    It stands on the newest row, and on the launch projection that was in force when the
    incident was seen last.
    """
    now = resources.now()
    try:
        record = await resources.parts.records.of(incident.strategy, now)
    except (RecordsUnavailable, RecordsInvalid):
        return None
    if record is None:
        return None
    day = incident.as_of or resources.parts.records.today(now)
    found = await asyncio.to_thread(
        resources.parts.store.projections,
        kind=LAUNCH,
        on_or_before=day,
        strategies=[incident.strategy],
    )
    force = in_force(found.get(incident.strategy))
    if force is None:
        return None
    return svg(chart_of(record, force, resources.parts.records.today(now)))
