"""The tables of incidents: their lives and timelines, silences, the outbox."""

import sqlalchemy as sa
from alembic import op


revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# A revision is history: it repeats the types as they were and imports nothing of the program.
_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("live_key", sa.Text()),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("last_seen_at", _TIME, nullable=False),
        sa.Column("last_notified_at", _TIME),
        sa.Column("owes", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_incidents"),
        sa.UniqueConstraint("live_key", name="uq_incidents_live_key"),
    )
    op.create_index("ix_incidents_opened_at_id", "incidents", ["opened_at", "id"])
    op.create_index("ix_incidents_last_seen_at", "incidents", ["last_seen_at"])
    op.create_index("ix_incidents_owes", "incidents", ["owes"])
    op.create_table(
        "incident_entries",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("incident_id", sa.Text(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_incident_entries"),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name="fk_incident_entries_incident_id"
        ),
    )
    op.create_index("ix_incident_entries_incident_id", "incident_entries", ["incident_id"])
    op.create_index("ix_incident_entries_what_at", "incident_entries", ["what", "at"])
    op.create_table(
        "incident_marks",
        sa.Column("alert", sa.Text(), nullable=False),
        sa.Column("judgement_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("alert", name="pk_incident_marks"),
    )
    # What was judged before there were incidents opens none: what still holds is told by the
    # next execution, and nobody is woken by last year's.
    op.execute(
        "INSERT INTO incident_marks (alert, judgement_id) "
        "SELECT alert, max(id) FROM judgements GROUP BY alert"
    )
    op.create_table(
        "silences",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text()),
        sa.Column("rule", sa.Text()),
        sa.Column("alert", sa.Text()),
        sa.Column("severity", sa.Text()),
        sa.Column("starts_at", _TIME, nullable=False),
        sa.Column("ends_at", _TIME, nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_silences"),
    )
    op.create_index("ix_silences_ends_at", "silences", ["ends_at"])
    _outbox()


def _outbox() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("next_at", _TIME, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_until", _TIME),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("sent_at", _TIME),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
        sa.UniqueConstraint("key", name="uq_notifications_key"),
    )
    op.create_index("ix_notifications_state_next_at", "notifications", ["state", "next_at"])
    op.create_table(
        "notification_items",
        sa.Column("notification_id", _ROW_ID, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("incident_id", sa.Text(), nullable=False),
        sa.Column("dedup_key", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("notification_id", "position", name="pk_notification_items"),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["notifications.id"],
            name="fk_notification_items_notification_id",
        ),
    )
    op.create_index("ix_notification_items_incident_id", "notification_items", ["incident_id"])
    op.create_index("ix_notification_items_dedup_key", "notification_items", ["dedup_key"])


def downgrade() -> None:
    for name in (
        "notification_items",
        "notifications",
        "silences",
        "incident_marks",
        "incident_entries",
        "incidents",
    ):
        op.drop_table(name)
