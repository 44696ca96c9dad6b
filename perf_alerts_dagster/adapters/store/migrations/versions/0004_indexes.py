"""Indexes, so that a long history costs those nothing who ask for what is new."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INDEXES = (
    ("judgements", ["as_of"]),
    ("judgements", ["alert", "id"]),
    ("incidents", ["status", "opened_at", "id"]),
    ("incidents", ["severity", "opened_at", "id"]),
    ("incidents", ["strategy", "opened_at", "id"]),
    ("incidents", ["rule", "opened_at", "id"]),
    ("notifications", ["sent_at"]),
)


def upgrade() -> None:
    for table, columns in _INDEXES:
        op.create_index(_name(table, columns), table, columns)


def downgrade() -> None:
    for table, columns in _INDEXES:
        op.drop_index(_name(table, columns), table)


def _name(table: str, columns: list[str]) -> str:
    return "_".join(["ix", table, *columns])
