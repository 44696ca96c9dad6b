"""The content hash of each strategy's final rows per month, by which a restatement is noticed."""

from collections.abc import Mapping

from sqlalchemy import Connection, select

from perf_alerts_dagster.adapters.store import once
from perf_alerts_dagster.adapters.store.schema import month_hashes


def read(connection: Connection) -> dict[tuple[str, str], str]:
    """Every hash by (strategy, month)."""
    rows = connection.execute(
        select(month_hashes.c.strategy, month_hashes.c.month, month_hashes.c.hash)
    )
    return {(strategy, month): found for strategy, month, found in rows}


def write(connection: Connection, hashes: Mapping[tuple[str, str], str]) -> None:
    """Replace the given hashes and leave the others."""
    if not hashes:
        return
    insert = once.insert(connection, month_hashes)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=[month_hashes.c.strategy, month_hashes.c.month],
            set_={"hash": insert.excluded.hash},
            # A row that would be rewritten as it is costs as much as a changed one.
            where=insert.excluded.hash != month_hashes.c.hash,
        ),
        [
            # In one order everywhere, so that two writers cannot block each other on PostgreSQL.
            {"strategy": strategy, "month": month, "hash": found}
            for (strategy, month), found in sorted(hashes.items())
        ],
    )
