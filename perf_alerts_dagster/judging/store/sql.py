"""The store of judgements over SQL: each method is one transaction."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import Connection, Engine, select

from perf_alerts_dagster.judging.evaluation import Judgement
from perf_alerts_dagster.judging.ports import AlertStore, Period, StoredEvaluation
from perf_alerts_dagster.judging.store import judgements
from perf_alerts_dagster.projections import sql as issued
from perf_alerts_dagster.projections.ports import StoredProjection
from perf_alerts_dagster.storage.engine import open_engine, reading, upsert, writing
from perf_alerts_dagster.storage.migrate import require_current
from perf_alerts_dagster.storage.tables import month_hashes, settings_versions, watermarks


def read_month_hashes(connection: Connection) -> dict[tuple[str, str], str]:
    """Every hash by (strategy, month)."""
    rows = connection.execute(
        select(month_hashes.c.strategy, month_hashes.c.month, month_hashes.c.hash)
    )
    return {(strategy, month): content_hash for strategy, month, content_hash in rows}


def write_month_hashes(connection: Connection, hashes: Mapping[tuple[str, str], str]) -> None:
    """Replace the given hashes and leave the others."""
    if not hashes:
        return
    insert = upsert(connection, month_hashes)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=[month_hashes.c.strategy, month_hashes.c.month],
            set_={"hash": insert.excluded.hash},
            # A row that would be rewritten as it is costs as much as a changed one.
            where=insert.excluded.hash != month_hashes.c.hash,
        ),
        [
            # In one order everywhere, so that two writers cannot block each other on PostgreSQL.
            {"strategy": strategy, "month": month, "hash": content_hash}
            for (strategy, month), content_hash in sorted(hashes.items())
        ],
    )


def keep_settings_version(
    connection: Connection, *, version: str, content: str, at: datetime
) -> None:
    """Keep the content of a settings version; one that is kept already stays as it was."""
    connection.execute(
        upsert(connection, settings_versions).on_conflict_do_nothing(
            index_elements=[settings_versions.c.version]
        ),
        {"version": version, "content": content, "at": at},
    )


def read_watermark(connection: Connection, alert: str) -> date | None:
    """The alert's watermark; None before its first execution."""
    session: date | None = connection.scalar(
        select(watermarks.c.session).where(watermarks.c.alert == alert)
    )
    return session


def advance_watermark(connection: Connection, alert: str, session: date) -> None:
    """Move the alert's watermark to `session`, unless it is there or further already."""
    insert = upsert(connection, watermarks)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=[watermarks.c.alert],
            set_={"session": insert.excluded.session},
            # In the statement itself: two processes may advance it at the same time.
            where=insert.excluded.session > watermarks.c.session,
        ),
        {"alert": alert, "session": session},
    )


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
    """The alert store in SQLite or PostgreSQL.

    The engine's schema must be current (`open_store` sees to it). Threads may share one.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def close(self) -> None:
        """Close all connections; a later call opens new ones."""
        self.engine.dispose()

    def watermark(self, alert: str) -> date | None:
        """Read from the row of the alert."""
        with reading(self.engine) as connection:
            return read_watermark(connection, alert)

    def record(self, judgement: Judgement, *, watermark: date | None) -> None:
        """The judgement and the watermark in one transaction."""
        with writing(self.engine) as connection:
            judgements.add(connection, judgement)
            if watermark is not None:
                advance_watermark(connection, judgement.alert, watermark)

    def judgements(self, *, alert: str | None = None, limit: int = 20) -> Sequence[Judgement]:
        """Each comes with all its evaluations, so ask for few."""
        with reading(self.engine) as connection:
            return judgements.newest(connection, alert=alert, limit=limit)

    def latest(self, alert: str, *, as_of: date | None = None) -> Judgement | None:
        """One query for the judgement, one for its evaluations."""
        with reading(self.engine) as connection:
            return judgements.latest(connection, alert, as_of)

    def save_projections(self, projections: Sequence[StoredProjection]) -> None:
        """Kept already means: of the same strategy, kind and day of issue."""
        with writing(self.engine) as connection:
            issued.add(connection, projections)

    def projections(
        self, *, kind: str, on_or_before: date, strategies: Collection[str] | None = None
    ) -> Mapping[str, StoredProjection]:
        """Names beyond the limit of one statement are asked for in batches."""
        with reading(self.engine) as connection:
            return issued.newest(
                connection, kind=kind, on_or_before=on_or_before, strategies=strategies
            )

    def month_hashes(self) -> Mapping[tuple[str, str], str]:
        """All of them in one query."""
        with reading(self.engine) as connection:
            return read_month_hashes(connection)

    def save_month_hashes(self, hashes: Mapping[tuple[str, str], str]) -> None:
        """Rows that would not change are not rewritten."""
        with writing(self.engine) as connection:
            write_month_hashes(connection, hashes)

    def save_settings_version(self, version: str, content: str, at: datetime) -> None:
        """The first content of a version stays."""
        with writing(self.engine) as connection:
            keep_settings_version(connection, version=version, content=content, at=at)

    def period(self, start: datetime, end: datetime) -> Period:
        """One query, which groups by strategy and outcome."""
        with reading(self.engine) as connection:
            return judgements.period(connection, start, end)

    def current(
        self, *, strategy: str | None = None, rule: str | None = None
    ) -> Sequence[StoredEvaluation]:
        """One query per alert."""
        with reading(self.engine) as connection:
            return judgements.current(connection, strategy=strategy, rule=rule)
