"""The method that a judgement's evidence was calibrated by."""

import sqlalchemy as sa
from alembic import op


revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("judgements", sa.Column("method_version", sa.Text()))


def downgrade() -> None:
    op.drop_column("judgements", "method_version")
