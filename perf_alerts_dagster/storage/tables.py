"""The tables of the alert store. What the migrations make is compared with this by a test."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from perf_alerts_dagster.storage.types import JsonText, RowId, UtcDateTime

# Dagster's own tables may live in the same PostgreSQL database, with Alembic's default name.
VERSION_TABLE = "alert_store_version"
# Every schema that this program knows, oldest first; the last one is the one it works with.
REVISIONS = ("0001", "0002", "0003", "0004")

# Names are explicit rules, because an unnamed constraint cannot be altered by a later migration.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("alert", Text, primary_key=True),
    Column("session", Date, nullable=False),
)

judgements = Table(
    "judgements",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("alert", Text, nullable=False),
    Column("as_of", Date, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("judged_at", UtcDateTime, nullable=False),
    Column("settings_version", Text, nullable=False),
    Column("data_hash", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("provisional", Boolean, nullable=False),
    Column("recorded_only", Boolean, nullable=False),
    Column("restated", Boolean, nullable=False),
    UniqueConstraint("alert", "as_of", "run_id"),
    Index(None, "alert", "judged_at"),
    Index(None, "alert", "id"),
    Index(None, "as_of"),
    Index(None, "judged_at"),
)

# One row per strategy, rule and projection, in the order in which they were judged.
evaluations = Table(
    "evaluations",
    metadata,
    Column(
        "judgement_id",
        RowId,
        ForeignKey(judgements.c.id, ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("strategy", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("severity", Text),
    Column("value", Double),
    Column("limit", Double),
    Column("observations", BigInteger),
    Column("required", BigInteger),
    Column("evidence", Text),
    Column("p_year", Double),
    Column("false_alarm_rate", Double),
    Column("power", Double),
    Column("days_to_half", Double),
    Column("session", Date),
    Column("projection", Text),
    Column("provisional", Boolean, nullable=False),
    Column("message", Text, nullable=False),
    Column("parts", JsonText, nullable=False),
)
projections = Table(
    "projections",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("strategy", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("issued_on", Date, nullable=False),
    Column("horizon", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("settings_version", Text, nullable=False),
    Column("data_hash", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("facts", JsonText, nullable=False),
    Column("arrays", LargeBinary, nullable=False),
    UniqueConstraint("kind", "strategy", "issued_on"),
)

month_hashes = Table(
    "month_hashes",
    metadata,
    Column("strategy", Text, primary_key=True),
    Column("month", Text, primary_key=True),
    Column("hash", Text, nullable=False),
)

settings_versions = Table(
    "settings_versions",
    metadata,
    Column("version", Text, primary_key=True),
    Column("content", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text),
    Column("held_until", UtcDateTime),
    Column("waiter", Text),
    Column("waits_until", UtcDateTime),
)

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
