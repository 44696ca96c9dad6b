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

from perf_alerts_dagster.adapters.store.columns import JsonText, RowId, UtcDateTime

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
