"""The alert store over SQL: each method is one transaction, and one call into its concept."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import Engine

from perf_alerts_dagster.adapters.store import (
    judgements,
    restatements,
    settings,
    watermarks,
)
from perf_alerts_dagster.adapters.store import projections as issued
from perf_alerts_dagster.adapters.store.engine import open_engine, reading, writing
from perf_alerts_dagster.adapters.store.versions import require_current
from perf_alerts_dagster.application.judgement import Judgement, StoredProjection
from perf_alerts_dagster.application.ports import AlertStore


def open_store(url: str) -> "SqlAlertStore":
    """The store at `url`, whose schema must be this program's.

    Raises:
        SettingsError: the URL is neither SQLite's nor PostgreSQL's.
        StoreUnavailable: it cannot be reached, was not migrated, or is newer.
    """
    engine = open_engine(url)
    require_current(engine)
    return SqlAlertStore(engine)


class SqlAlertStore(AlertStore):
    """What was judged, projected and marked, in SQLite or PostgreSQL.

    The engine's schema must be current (`open_store` sees to it). Threads may share one.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def close(self) -> None:
        """Let go of all connections; a later call opens new ones."""
        self.engine.dispose()

    def watermark(self, alert: str) -> date | None:
        """See the port."""
        with reading(self.engine) as connection:
            return watermarks.read(connection, alert)

    def record(self, judgement: Judgement, *, watermark: date | None) -> None:
        """See the port."""
        with writing(self.engine) as connection:
            judgements.add(connection, judgement)
            if watermark is not None:
                watermarks.advance(connection, judgement.alert, watermark)

    def judgements(self, *, alert: str | None = None, limit: int = 20) -> Sequence[Judgement]:
        """See the port; each comes with all its evaluations, so ask for few."""
        with reading(self.engine) as connection:
            return judgements.newest(connection, alert=alert, limit=limit)

    def latest(self, alert: str, *, as_of: date | None = None) -> Judgement | None:
        """See the port."""
        with reading(self.engine) as connection:
            return judgements.latest(connection, alert, as_of)

    def save_projections(self, projections: Sequence[StoredProjection]) -> None:
        """See the port; kept means: the same strategy, kind and issue date."""
        with writing(self.engine) as connection:
            issued.add(connection, projections)

    def projections(
        self, *, kind: str, on_or_before: date, strategies: Collection[str] | None = None
    ) -> Mapping[str, StoredProjection]:
        """See the port."""
        with reading(self.engine) as connection:
            return issued.newest(
                connection, kind=kind, on_or_before=on_or_before, strategies=strategies
            )

    def month_hashes(self) -> Mapping[tuple[str, str], str]:
        """See the port."""
        with reading(self.engine) as connection:
            return restatements.read(connection)

    def save_month_hashes(self, hashes: Mapping[tuple[str, str], str]) -> None:
        """See the port."""
        with writing(self.engine) as connection:
            restatements.write(connection, hashes)

    def save_settings_version(self, version: str, content: str, at: datetime) -> None:
        """See the port."""
        with writing(self.engine) as connection:
            settings.keep(connection, version=version, content=content, at=at)
