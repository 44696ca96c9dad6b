"""The database of the alert store: engine, tables, migrations, backup."""
