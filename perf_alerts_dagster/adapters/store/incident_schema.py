"""The tables of incidents, silences and the outbox.

They belong to the same MetaData as those of `schema.py`.
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text

from perf_alerts_dagster.adapters.store.columns import JsonText, RowId, UtcDateTime
from perf_alerts_dagster.adapters.store.schema import metadata

# `live_key` is the dedup key until the incident is over, then NULL: of a key, one is live.
# `owes`: a message is owed about it, though it may be over. `body` is the whole incident; the
# other columns are those that are searched by, and `last_notified_at`, which the outbox owns.
incidents = Table(
    "incidents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("live_key", Text, unique=True),
    Column("strategy", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
    Column("last_notified_at", UtcDateTime),
    Column("owes", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Index(None, "opened_at", "id"),
    *(Index(None, one, "opened_at", "id") for one in ("status", "severity", "strategy", "rule")),
    Index(None, "last_seen_at"),
    Index(None, "owes"),
)

incident_entries = Table(
    "incident_entries",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("incident_id", Text, ForeignKey("incidents.id"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("what", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("detail", JsonText, nullable=False),
    Index(None, "incident_id"),
    Index(None, "what", "at"),
)

# Up to which judgement an alert's incidents know of its judgements.
incident_marks = Table(
    "incident_marks",
    metadata,
    Column("alert", Text, primary_key=True),
    Column("judgement_id", BigInteger, nullable=False),
)

silences = Table(
    "silences",
    metadata,
    Column("id", Text, primary_key=True),
    Column("strategy", Text),
    Column("rule", Text),
    Column("alert", Text),
    Column("severity", Text),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index(None, "ends_at"),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("payload", JsonText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", UtcDateTime),
    Column("fence", Integer, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("error", Text),
    Index(None, "state", "next_at"),
    Index(None, "sent_at"),
)

notification_items = Table(
    "notification_items",
    metadata,
    Column("notification_id", RowId, ForeignKey("notifications.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("incident_id", Text, nullable=False),
    Column("dedup_key", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Index(None, "incident_id"),
    Index(None, "dedup_key", "notification_id"),
)
