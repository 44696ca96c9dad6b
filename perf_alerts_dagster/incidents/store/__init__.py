"""Incidents, silences and the outbox in SQLite or PostgreSQL."""
