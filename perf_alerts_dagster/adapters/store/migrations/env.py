"""What Alembic runs: the revisions, inside the transaction that the caller holds."""

from alembic import context

from perf_alerts_dagster.adapters.store.control_schema import audit
from perf_alerts_dagster.adapters.store.incident_schema import incidents
from perf_alerts_dagster.adapters.store.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    # One MetaData holds the tables of all modules, once they are imported.
    target_metadata=[*{audit.metadata, incidents.metadata}],
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
