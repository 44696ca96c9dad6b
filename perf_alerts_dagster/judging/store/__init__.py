"""Judgements, watermarks and month hashes in SQLite or PostgreSQL."""
