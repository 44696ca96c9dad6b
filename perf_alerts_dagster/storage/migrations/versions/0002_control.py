"""The tables of control: audit, claims, pauses, thresholds, revoked tokens, uses of keys."""

import sqlalchemy as sa
from alembic import op


revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A revision is history: it repeats the types as they were and imports nothing of the program.
_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_index("ix_audit_outcome_at", "audit", ["outcome", "at"])
    op.create_table(
        "claims",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("marker", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text()),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("open_until", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name="pk_claims"),
    )
    op.create_index("ix_claims_at", "claims", ["at"])
    op.create_table(
        "pauses",
        sa.Column("alert", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("until", _TIME),
        sa.PrimaryKeyConstraint("alert", name="pk_pauses"),
    )
    op.create_table(
        "threshold_versions",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_threshold_versions"),
    )
    op.create_table(
        "revoked_tokens",
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("token_id", name="pk_revoked_tokens"),
    )
    op.create_index("ix_revoked_tokens_until", "revoked_tokens", ["until"])
    op.create_table(
        "key_uses",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_key_uses"),
    )


def downgrade() -> None:
    for name in (
        "key_uses",
        "revoked_tokens",
        "threshold_versions",
        "pauses",
        "claims",
        "audit",
    ):
        op.drop_table(name)
