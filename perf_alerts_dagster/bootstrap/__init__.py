"""Builds records, store, channels and executions from the settings."""
