"""What one cause did is one event; each unresolved incident becomes an event of its own.

Links of messages and the plots of incidents begin empty.
"""

import json
from datetime import date, datetime

import sqlalchemy as sa
from alembic import op


revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    events = op.create_table(
        "events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("live_key", sa.Text()),
        sa.Column("leader", sa.Text(), nullable=False),
        sa.Column("first_session", sa.Date(), nullable=False),
        sa.Column("last_session", sa.Date(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("escalation_step", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.UniqueConstraint("live_key", name="uq_events_live_key"),
    )
    op.create_index("ix_events_opened_at_id", "events", ["opened_at", "id"])
    for column in ("status", "severity", "leader"):
        op.create_index(f"ix_events_{column}_opened_at_id", "events", [column, "opened_at", "id"])
    op.create_table(
        "links",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_links"),
    )
    op.create_index("ix_links_expires_at", "links", ["expires_at"])
    op.create_table(
        "incident_plots",
        sa.Column("incident_id", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("incident_id", name="pk_incident_plots"),
    )
    op.add_column("incidents", sa.Column("event_id", sa.Text()))
    op.create_index("ix_incidents_event_id", "incidents", ["event_id"])
    op.add_column("silences", sa.Column("event", sa.Text()))
    op.add_column("silences", sa.Column("up_to", sa.Text()))
    _begin_events(events)


def _begin_events(events: sa.Table) -> None:
    """An event for each unresolved incident, or one with a message to come, under its id."""
    connection = op.get_bind()
    incidents = sa.table(
        "incidents",
        *(sa.column(name) for name in ("id", "live_key", "status", "severity", "owes", "body")),
        sa.column("opened_at", sa.DateTime(timezone=True)),
        sa.column("event_id"),
    )
    wanted = sa.or_(incidents.c.status != "resolved", incidents.c.owes == sa.true())
    rows = connection.execute(sa.select(incidents).where(wanted)).mappings().all()
    for row in rows:
        body = json.loads(row["body"])
        day = body.get("session") or body.get("first_as_of") or body.get("as_of")
        resolved = body.get("resolved")
        connection.execute(
            sa.insert(events).values(
                id=row["id"],
                live_key=None if row["status"] == "resolved" else row["id"],
                leader=body.get("strategy") or body["dedup_key"],
                first_session=_day(day, row["opened_at"]),
                last_session=_day(day, row["opened_at"]),
                opened_at=row["opened_at"],
                status=row["status"],
                severity=row["severity"],
                escalation_step=body.get("escalation_step", 0),
                outcome=resolved["outcome"] if resolved else None,
                version=0,
            )
        )
    connection.execute(sa.update(incidents).where(wanted).values(event_id=incidents.c.id))


def _day(day: str | None, opened_at: datetime) -> date:
    return date.fromisoformat(day) if day else opened_at.date()


def downgrade() -> None:
    op.drop_column("silences", "up_to")
    op.drop_column("silences", "event")
    op.drop_index("ix_incidents_event_id", "incidents")
    op.drop_column("incidents", "event_id")
    for table in ("incident_plots", "links", "events"):
        op.drop_table(table)
