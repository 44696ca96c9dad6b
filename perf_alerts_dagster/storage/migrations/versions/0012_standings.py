"""How each strategy stands, and its rows as they were last read, for the pages.

Both begin empty: the next execution of each alert fills them. And an index of the evaluations of
one strategy.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "standings",
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("is_group", sa.Boolean(), nullable=False),
        sa.Column("group", sa.Text()),
        sa.Column("owner", sa.Text()),
        sa.Column("cell", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("late", sa.Integer(), nullable=False),
        *(
            sa.Column(name, sa.Double())
            for name in (
                "last_return", "last_pnl", "month_return", "live_return", "drawdown", "band",
                "p_year",
            )
        ),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("strategy", name="pk_standings"),
    )
    op.create_table(
        "series",
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("strategy", "year", name="pk_series"),
    )
    op.create_index(
        "ix_evaluations_judgement_id_strategy", "evaluations", ["judgement_id", "strategy"]
    )


def downgrade() -> None:
    op.drop_index("ix_evaluations_judgement_id_strategy", "evaluations")
    op.drop_table("series")
    op.drop_table("standings")
