"""How many strategies of a judgement were what, so that a bar of sessions reads no evaluations.

Of what was judged before, too little data is one only where a strategy had nothing else.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# The worst last.
_WORDS = (
    "insufficient_data", "ok", "info", "weak", "partial", "warning", "no_data", "error", "critical",
)  # fmt: skip


def upgrade() -> None:
    op.add_column(
        "judgements", sa.Column("cells", sa.Text(), nullable=False, server_default=sa.text("'{}'"))
    )
    names = ("judgement_id", "strategy", "outcome", "severity", "evidence", "notifies")
    rows = sa.table("evaluations", *map(sa.column, names))
    columns = [rows.c[name] for name in names]
    query = sa.select(*columns).distinct().order_by(rows.c.judgement_id)
    connection = op.get_bind()
    found: dict[int, dict[str, str]] = {}
    for judgement_id, strategy, *seen in connection.execute(query):
        words = found.setdefault(judgement_id, {})
        words[strategy] = max(words.get(strategy, _WORDS[0]), _word(*seen), key=_WORDS.index)
    judgements = sa.table("judgements", sa.column("id"), sa.column("cells", sa.Text))
    put = (
        sa.update(judgements)
        .where(judgements.c.id == sa.bindparam("of"))
        .values(cells=sa.bindparam("counted"))
    )
    counted = [
        {"of": judgement_id, "counted": json.dumps(_counts(words))}
        for judgement_id, words in found.items()
    ]
    if counted:
        connection.execute(put, counted)


def _counts(words: dict[str, str]) -> dict[str, int]:
    found = list(words.values())
    return {word: found.count(word) for word in _WORDS if word in found}


def _word(outcome: str, severity: str | None, evidence: str | None, notifies: object) -> str:
    if outcome != "breach":
        return outcome
    if severity == "info":
        return "info"
    if evidence in ("weak", "unrated") and not notifies:
        return "weak"
    return "critical" if severity in ("critical", "emergency") else "warning"


def downgrade() -> None:
    op.drop_column("judgements", "cells")
