"""What a rule is worth beside what is possible, what notifies, and what evidence was made by.

Rows that are there keep NULL: what their rules were worth is not known any more.
"""

import sqlalchemy as sa
from alembic import op


revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NUMBERS = (
    "power_126",
    "power_252",
    "delay_sessions",
    "minimal_delay_sessions",
    "share_of_limit",
)


def upgrade() -> None:
    op.add_column("judgements", sa.Column("method_version", sa.Text()))
    op.add_column("evaluations", sa.Column("notifies", sa.Boolean()))
    for name in _NUMBERS:
        op.add_column("evaluations", sa.Column(name, sa.Double()))


def downgrade() -> None:
    for name in (*_NUMBERS, "notifies"):
        op.drop_column("evaluations", name)
    op.drop_column("judgements", "method_version")
