"""What Alembic runs: the revisions, inside the transaction that the caller holds."""

from alembic import context

from perf_alerts_dagster.adapters.store.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
