"""Plots of incidents in SQLite or PostgreSQL."""

import json
import logging
from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Engine, select

from perf_alerts_dagster.plots.plot import Plot, plot_from_json
from perf_alerts_dagster.plots.store import PlotStore
from perf_alerts_dagster.storage.desk_tables import incident_plots
from perf_alerts_dagster.storage.engine import reading, upsert, writing

_LOG = logging.getLogger(__name__)


class SqlPlots(PlotStore):
    """Plots as JSON, one row an incident."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def save(self, plots: Mapping[str, Plot], at: datetime) -> None:
        """One statement, in one transaction."""
        if not plots:
            return
        rows = [
            {
                "incident_id": incident_id,
                "made_at": at,
                "body": json.dumps(plot.to_json(), allow_nan=False, separators=(",", ":")),
            }
            for incident_id, plot in plots.items()
        ]
        with writing(self._engine) as connection:
            insert = upsert(connection, incident_plots)
            insert = insert.on_conflict_do_update(
                index_elements=["incident_id"],
                set_={"made_at": insert.excluded.made_at, "body": insert.excluded.body},
            )
            connection.execute(insert, rows)

    def plots(self, incident_ids: Collection[str]) -> Mapping[str, Plot]:
        """One query; a damaged plot is a warning in the log."""
        column = incident_plots.c
        query = select(column.incident_id, column.body).where(
            column.incident_id.in_(sorted(incident_ids))
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        found: dict[str, Plot] = {}
        for incident_id, body in rows:
            try:
                found[incident_id] = plot_from_json(json.loads(body))
            except ValueError as error:
                _LOG.warning("the plot of incident %s: %s", incident_id, error)
        return found
