"""Run by Alembic: the revisions, inside the transaction that the caller holds."""

from alembic import context

from perf_alerts_dagster.storage.tables import VERSION_TABLE, audit, incidents

context.configure(
    connection=context.config.attributes["connection"],
    # One MetaData holds the tables of all modules, once they are imported.
    target_metadata=[*{audit.metadata, incidents.metadata}],
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
