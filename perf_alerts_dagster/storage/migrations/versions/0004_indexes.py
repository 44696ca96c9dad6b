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
    ("notification_items", ["dedup_key", "notification_id"]),
)
# Taken over by the longer one of these columns.
_SHORTER = ("notification_items", ["dedup_key"])


def upgrade() -> None:
    for table, columns in _INDEXES:
        op.create_index(_name(table, columns), table, columns)
    op.drop_index(_name(*_SHORTER), _SHORTER[0])


def downgrade() -> None:
    for table, columns in _INDEXES:
        op.drop_index(_name(table, columns), table)
    op.create_index(_name(*_SHORTER), *_SHORTER)


def _name(table: str, columns: list[str]) -> str:
    return "_".join(["ix", table, *columns])
