"""The alert store: what was judged, projected and marked, in SQLite or PostgreSQL."""
