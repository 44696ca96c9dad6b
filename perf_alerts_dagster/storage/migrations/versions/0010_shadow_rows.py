"""When each row of a model's own P&L was first read."""

import sqlalchemy as sa
from alembic import op


revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shadow_rows",
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("rows", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("strategy", "month", name="pk_shadow_rows"),
    )


def downgrade() -> None:
    op.drop_table("shadow_rows")
