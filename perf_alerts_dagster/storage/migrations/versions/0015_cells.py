"""How many results of a judgement were what, so that a bar of sessions reads no evaluations."""

import json

import sqlalchemy as sa
from alembic import op


revision = "0015"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "judgements", sa.Column("cells", sa.Text(), nullable=False, server_default=sa.text("'{}'"))
    )
    names = ("outcome", "severity", "evidence", "notifies")
    rows = sa.table("evaluations", sa.column("judgement_id"), *map(sa.column, names))
    columns = [rows.c.judgement_id, *(rows.c[name] for name in names)]
    query = sa.select(*columns, sa.func.count()).group_by(*columns).order_by(rows.c.judgement_id)
    connection = op.get_bind()
    judgements = sa.table("judgements", sa.column("id"), sa.column("cells", sa.Text))
    found: dict[int, dict[str, int]] = {}
    for row in connection.execute(query):
        cells = found.setdefault(row[0], {})
        word = _word(row[1], row[2], row[3], notifies=bool(row[4]))
        cells[word] = cells.get(word, 0) + row[5]
    if found:
        connection.execute(
            sa.update(judgements)
            .where(judgements.c.id == sa.bindparam("of"))
            .values(cells=sa.bindparam("counted")),
            [{"of": each, "counted": json.dumps(cells)} for each, cells in found.items()],
        )


def _word(outcome: str, severity: str | None, evidence: str | None, *, notifies: bool) -> str:
    if outcome != "breach":
        return outcome
    if severity == "info":
        return "info"
    if evidence in ("weak", "unrated") and not notifies:
        return "weak"
    return "critical" if severity in ("critical", "emergency") else "warning"


def downgrade() -> None:
    op.drop_column("judgements", "cells")
