"""The authenticated REST proxy over Dagster and the alert store."""
