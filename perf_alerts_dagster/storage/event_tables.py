"""The tables of events, and of links: those in messages about events, and those that log in."""

import sqlalchemy as sa

from perf_alerts_dagster.storage.desk_tables import metadata
from perf_alerts_dagster.storage.types import UtcDateTime

# `live_key`, unique, is set until the event is resolved, then NULL.
events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("live_key", sa.Text, unique=True),
    sa.Column("leader", sa.Text, nullable=False),
    sa.Column("first_session", sa.Date, nullable=False),
    sa.Column("last_session", sa.Date, nullable=False),
    sa.Column("opened_at", UtcDateTime, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("escalation_step", sa.Integer, nullable=False),
    sa.Column("outcome", sa.Text),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Index(None, "opened_at", "id"),
    *(sa.Index(None, column, "opened_at", "id") for column in ("status", "severity", "leader")),
)

# The links of messages, by the SHA-256 of their token.
links = sa.Table(
    "links",
    metadata,
    sa.Column("token_hash", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Index(None, "expires_at"),
)

# The links that log somebody in once, by the SHA-256 of their token; a used one is deleted.
login_links = sa.Table(
    "login_links",
    metadata,
    sa.Column("token_hash", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
)
