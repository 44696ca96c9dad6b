"""The tables of control: who changed what, claims, pauses, thresholds, tokens and keys.

They belong to the same MetaData as those of `schema.py`.
"""

from sqlalchemy import Column, Index, Integer, Table, Text

from perf_alerts_dagster.adapters.store.columns import JsonText, RowId, UtcDateTime
from perf_alerts_dagster.adapters.store.schema import metadata

audit = Table(
    "audit",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("before", JsonText, nullable=False),
    Column("after", JsonText, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Index(None, "at"),
    Index(None, "outcome", "at"),
)

# `open_until` is the end of the lease of whoever works on a claim that has no run yet.
claims = Table(
    "claims",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("marker", Text, nullable=False),
    Column("run_id", Text),
    Column("at", UtcDateTime, nullable=False),
    Column("open_until", UtcDateTime, nullable=False),
    Index(None, "at"),
)

pauses = Table(
    "pauses",
    metadata,
    Column("alert", Text, primary_key=True),
    Column("by", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("reason", Text),
    Column("until", UtcDateTime),
)

threshold_versions = Table(
    "threshold_versions",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("content", JsonText, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
)

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("until", UtcDateTime, nullable=False),
    Index(None, "until"),
)

key_uses = Table(
    "key_uses",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
)
