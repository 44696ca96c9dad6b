"""The first tables: judgements, projections, marks, leases."""

import sqlalchemy as sa
from alembic import op


revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# A revision is history: it repeats the types as they were and imports nothing of the program.
_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "watermarks",
        sa.Column("alert", sa.Text(), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("alert", name="pk_watermarks"),
    )
    op.create_table(
        "judgements",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("alert", sa.Text(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("judged_at", _TIME, nullable=False),
        sa.Column("settings_version", sa.Text(), nullable=False),
        sa.Column("data_hash", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("recorded_only", sa.Boolean(), nullable=False),
        sa.Column("restated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_judgements"),
        sa.UniqueConstraint("alert", "as_of", "run_id", name="uq_judgements_alert_as_of_run_id"),
    )
    op.create_index("ix_judgements_alert_judged_at", "judgements", ["alert", "judged_at"])
    op.create_index("ix_judgements_judged_at", "judgements", ["judged_at"])
    op.create_table(
        "evaluations",
        sa.Column("judgement_id", _ROW_ID, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text()),
        sa.Column("value", sa.Double()),
        sa.Column("limit", sa.Double()),
        sa.Column("observations", sa.BigInteger()),
        sa.Column("required", sa.BigInteger()),
        sa.Column("evidence", sa.Text()),
        sa.Column("p_year", sa.Double()),
        sa.Column("false_alarm_rate", sa.Double()),
        sa.Column("power", sa.Double()),
        sa.Column("days_to_half", sa.Double()),
        sa.Column("session", sa.Date()),
        sa.Column("projection", sa.Text()),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("parts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("judgement_id", "position", name="pk_evaluations"),
        sa.ForeignKeyConstraint(
            ["judgement_id"],
            ["judgements.id"],
            name="fk_evaluations_judgement_id",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "projections",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("horizon", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("settings_version", sa.Text(), nullable=False),
        sa.Column("data_hash", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("arrays", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_projections"),
        sa.UniqueConstraint(
            "kind", "strategy", "issued_on", name="uq_projections_kind_strategy_issued_on"
        ),
    )
    op.create_table(
        "month_hashes",
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("strategy", "month", name="pk_month_hashes"),
    )
    op.create_table(
        "settings_versions",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_settings_versions"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text()),
        sa.Column("held_until", _TIME),
        sa.Column("waiter", sa.Text()),
        sa.Column("waits_until", _TIME),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )


def downgrade() -> None:
    for name in (
        "leases",
        "settings_versions",
        "month_hashes",
        "projections",
        "evaluations",
        "judgements",
        "watermarks",
    ):
        op.drop_table(name)
