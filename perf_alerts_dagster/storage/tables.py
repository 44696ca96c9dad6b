"""The tables of the alert store; a test compares them with those that the migrations make."""

import sqlalchemy as sa

from perf_alerts_dagster.storage.desk_tables import metadata as metadata
from perf_alerts_dagster.storage.event_tables import events as events
from perf_alerts_dagster.storage.types import JsonText, RowId, UtcDateTime

# Dagster's own tables may live in the same PostgreSQL database, with Alembic's default name.
VERSION_TABLE = "alert_store_version"
# Every schema that this program knows, oldest first; the last one is the one it works with.
REVISIONS = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
    "0013",
    "0014",
)

watermarks = sa.Table(
    "watermarks",
    metadata,
    sa.Column("alert", sa.Text, primary_key=True),
    sa.Column("session", sa.Date, nullable=False),
)

judgements = sa.Table(
    "judgements",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("alert", sa.Text, nullable=False),
    sa.Column("as_of", sa.Date, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("judged_at", UtcDateTime, nullable=False),
    sa.Column("settings_version", sa.Text, nullable=False),
    sa.Column("data_hash", sa.Text, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("provisional", sa.Boolean, nullable=False),
    sa.Column("recorded_only", sa.Boolean, nullable=False),
    sa.Column("restated", sa.Boolean, nullable=False),
    sa.Column("method_version", sa.Text),
    # How many of its strategies and groups are what; see `judging.standings.fold.cells_of`.
    sa.Column("cells", JsonText, nullable=False, server_default=sa.text("'{}'")),
    sa.UniqueConstraint("alert", "as_of", "run_id"),
    sa.Index(None, "alert", "judged_at"),
    sa.Index(None, "alert", "id"),
    sa.Index(None, "as_of"),
    sa.Index(None, "judged_at"),
)

# One row per strategy, rule and projection, in the order in which they were judged.
evaluations = sa.Table(
    "evaluations",
    metadata,
    sa.Column(
        "judgement_id",
        RowId,
        sa.ForeignKey(judgements.c.id, ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("strategy", sa.Text, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("severity", sa.Text),
    sa.Column("value", sa.Double),
    sa.Column("limit", sa.Double),
    sa.Column("observations", sa.BigInteger),
    sa.Column("required", sa.BigInteger),
    sa.Column("evidence", sa.Text),
    sa.Column("p_year", sa.Double),
    sa.Column("false_alarm_rate", sa.Double),
    sa.Column("power", sa.Double),
    sa.Column("days_to_half", sa.Double),
    sa.Column("session", sa.Date),
    sa.Column("projection", sa.Text),
    sa.Column("provisional", sa.Boolean, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("parts", JsonText, nullable=False),
    sa.Column("notifies", sa.Boolean),
    sa.Column("power_126", sa.Double),
    sa.Column("power_252", sa.Double),
    sa.Column("delay_sessions", sa.Double),
    sa.Column("minimal_delay_sessions", sa.Double),
    sa.Column("share_of_limit", sa.Double),
    # Those of one strategy among the tens of thousands of a judgement.
    sa.Index(None, "judgement_id", "strategy"),
)
projections = sa.Table(
    "projections",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("strategy", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("issued_on", sa.Date, nullable=False),
    sa.Column("horizon", sa.Integer, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("settings_version", sa.Text, nullable=False),
    sa.Column("data_hash", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("facts", JsonText, nullable=False),
    sa.Column("arrays", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("kind", "strategy", "issued_on"),
)

month_hashes = sa.Table(
    "month_hashes",
    metadata,
    sa.Column("strategy", sa.Text, primary_key=True),
    sa.Column("month", sa.Text, primary_key=True),
    sa.Column("hash", sa.Text, nullable=False),
)

settings_versions = sa.Table(
    "settings_versions",
    metadata,
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text),
    sa.Column("held_until", UtcDateTime),
    sa.Column("waiter", sa.Text),
    sa.Column("waits_until", UtcDateTime),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("before", JsonText, nullable=False),
    sa.Column("after", JsonText, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    # As the caller named the request, which may be anything, and as this server did.
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("server_request_id", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Index(None, "at"),
    sa.Index(None, "outcome", "at"),
)

# `open_until`: the end of the exclusive lease of a claim without a run.
claims = sa.Table(
    "claims",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("marker", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("open_until", UtcDateTime, nullable=False),
    sa.Index(None, "at"),
)

pauses = sa.Table(
    "pauses",
    metadata,
    sa.Column("alert", sa.Text, primary_key=True),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("until", UtcDateTime),
)

# By alert: its schedule's cron and timezone in force, and since when.
timetables = sa.Table(
    "timetables",
    metadata,
    sa.Column("alert", sa.Text, primary_key=True),
    sa.Column("cron", sa.Text, nullable=False),
    sa.Column("timezone", sa.Text, nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),
)

# Schedules (by alert) and the sensor that are off and that nobody paused through us.
switches = sa.Table(
    "switches",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("off_since", UtcDateTime, nullable=False),
)

# One row: since when the system runs, its last sign of life, the newest time without; `said` once.
uptime = sa.Table(
    "uptime",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("began_at", UtcDateTime, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),
    sa.Column("down_from", UtcDateTime),
    sa.Column("missed", JsonText, nullable=False),
    sa.Column("caught_up", JsonText, nullable=False),
    sa.Column("said", sa.Boolean, nullable=False),
)

threshold_versions = sa.Table(
    "threshold_versions",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("content", JsonText, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
)

revoked_tokens = sa.Table(
    "revoked_tokens",
    metadata,
    sa.Column("token_id", sa.Text, primary_key=True),
    sa.Column("until", UtcDateTime, nullable=False),
    sa.Index(None, "until"),
)

key_uses = sa.Table(
    "key_uses",
    metadata,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
)

# Keys made at run time; those of the environment are in no table. `hash` is SHA-256 in hex.
api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("expires_at", UtcDateTime),
    sa.Column("revoked_at", UtcDateTime),
    sa.Column("revoked_by", sa.Text),
)

# One row per login: of the pages (`kind` page, which may idle out) and of the API (token).
sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("token_id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("began_at", UtcDateTime, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Index(None, "user_id"),
    sa.Index(None, "expires_at"),
)

# `live_key`, unique, is the dedup key until the incident is resolved, then NULL. `owes`: a message
# about it is due, though it may be resolved. `body` is the whole incident; the other columns are
# for queries, except `last_notified_at`, which the outbox writes.
incidents = sa.Table(
    "incidents",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("live_key", sa.Text, unique=True),
    sa.Column("strategy", sa.Text, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("opened_at", UtcDateTime, nullable=False),
    sa.Column("last_seen_at", UtcDateTime, nullable=False),
    sa.Column("last_notified_at", UtcDateTime),
    sa.Column("owes", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    # NULL for those that were over before there were events.
    sa.Column("event_id", sa.Text),
    sa.Index(None, "event_id"),
    sa.Index(None, "opened_at", "id"),
    *(
        sa.Index(None, column, "opened_at", "id")
        for column in ("status", "severity", "strategy", "rule")
    ),
    sa.Index(None, "last_seen_at"),
    sa.Index(None, "owes"),
)

incident_entries = sa.Table(
    "incident_entries",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("incident_id", sa.Text, sa.ForeignKey("incidents.id"), nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("detail", JsonText, nullable=False),
    sa.Index(None, "incident_id"),
    sa.Index(None, "what", "at"),
)

# By alert, the newest judgement that was applied to incidents.
incident_marks = sa.Table(
    "incident_marks",
    metadata,
    sa.Column("alert", sa.Text, primary_key=True),
    sa.Column("judgement_id", sa.BigInteger, nullable=False),
)

silences = sa.Table(
    "silences",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("strategy", sa.Text),
    sa.Column("rule", sa.Text),
    sa.Column("alert", sa.Text),
    sa.Column("severity", sa.Text),
    sa.Column("starts_at", UtcDateTime, nullable=False),
    sa.Column("ends_at", UtcDateTime, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("event", sa.Text),
    sa.Column("up_to", sa.Text),
    sa.Index(None, "ends_at"),
)

notifications = sa.Table(
    "notifications",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("payload", JsonText, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("next_at", UtcDateTime, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("sent_at", UtcDateTime),
    sa.Column("error", sa.Text),
    sa.Index(None, "state", "next_at"),
    sa.Index(None, "sent_at"),
)

notification_items = sa.Table(
    "notification_items",
    metadata,
    sa.Column("notification_id", RowId, sa.ForeignKey("notifications.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("incident_id", sa.Text, nullable=False),
    sa.Column("dedup_key", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Index(None, "incident_id"),
    sa.Index(None, "dedup_key", "notification_id"),
)
