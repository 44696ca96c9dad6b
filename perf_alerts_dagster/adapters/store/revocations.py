"""Tokens that were ended before their time."""

from datetime import datetime

from sqlalchemy import Engine, delete, exists, select

from perf_alerts_dagster.adapters.store import audit, once
from perf_alerts_dagster.adapters.store.control_schema import revoked_tokens
from perf_alerts_dagster.adapters.store.engine import reading, writing
from perf_alerts_dagster.application.control import Change
from perf_alerts_dagster.application.identity import Revocations


class SqlRevocations(Revocations):
    """The revoked tokens in SQLite or PostgreSQL; the schema must be current."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def revoke(self, token_id: str, until: datetime, change: Change) -> None:
        """See the port."""
        with writing(self.engine) as connection:
            connection.execute(
                once.insert(connection, revoked_tokens).on_conflict_do_nothing(
                    index_elements=[revoked_tokens.c.token_id]
                ),
                {"token_id": token_id, "until": until},
            )
            audit.add(connection, change)

    def is_revoked(self, token_id: str) -> bool:
        """See the port."""
        query = select(exists().where(revoked_tokens.c.token_id == token_id))
        with reading(self.engine) as connection:
            return connection.execute(query).scalar_one()

    def prune(self, now: datetime) -> int:
        """See the port."""
        with writing(self.engine) as connection:
            return connection.execute(
                delete(revoked_tokens).where(revoked_tokens.c.until <= now)
            ).rowcount
