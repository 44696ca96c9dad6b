"""The store of judgements over SQL: each method is one transaction."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, Select, func, insert, select, tuple_

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import (
    WORTH,
    Evaluation,
    Evidence,
    Judgement,
    Kind,
    Outcome,
)
from perf_alerts_dagster.judging.ports import (
    AlertStore,
    HistoryFilter,
    HistoryPage,
    Period,
    StoredEvaluation,
)
from perf_alerts_dagster.judging.standings.model import Member
from perf_alerts_dagster.judging.store import standings
from perf_alerts_dagster.projections.ports import StoredProjection
from perf_alerts_dagster.projections.store import sql as issued
from perf_alerts_dagster.storage.engine import open_engine, reading, upsert, writing
from perf_alerts_dagster.storage.migrate import require_current
from perf_alerts_dagster.storage.tables import evaluations as evaluation_rows
from perf_alerts_dagster.storage.tables import (
    judgements,
    month_hashes,
    settings_versions,
    watermarks,
)

FIELDS = tuple(part.name for part in fields(Evaluation))
_JUDGEMENT = tuple(part.name for part in fields(Judgement) if part.name != "evaluations")
_NUMBERS = ("value", "limit", "p_year", "false_alarm_rate", *WORTH)
_COUNTS = ("observations", "required")


def to_row(evaluation: Evaluation) -> dict[str, Any]:
    """The columns of an evaluation; numbers of numpy become Python's.

    A negative zero becomes zero, because SQLite does not keep its sign.

    Raises:
        ValueError: a number is NaN, which SQLite would store as NULL.
    """
    row: dict[str, Any] = {name: getattr(evaluation, name) for name in FIELDS}
    for name in (name for name in _NUMBERS if row[name] is not None):
        row[name] = float(row[name]) + 0.0
        if math.isnan(row[name]):
            where = f"{name} of {evaluation.strategy}, {evaluation.rule}"
            raise ValueError(f"{where} is NaN; a number or None is accepted")
    for name in (name for name in _COUNTS if row[name] is not None):
        row[name] = int(row[name])
    row["parts"] = dict(evaluation.parts)
    return row


def from_row(row: RowMapping) -> Evaluation:
    """The evaluation that a row holds.

    Raises:
        ValueError: it holds an unknown outcome, severity or kind.
    """
    severity, evidence = row["severity"], row["evidence"]
    words = {
        "outcome": Outcome(row["outcome"]),
        "kind": Kind(row["kind"]),
        "severity": None if severity is None else Severity(severity),
        "evidence": None if evidence is None else Evidence(evidence),
    }
    return Evaluation(**({name: row[name] for name in FIELDS} | words))


def stored_after(connection: Connection, alert: str, row_id: int) -> list[tuple[int, Judgement]]:
    """The judgements of an alert stored after row `row_id`, with their ids."""
    query = (
        select(judgements)
        .where(judgements.c.alert == alert, judgements.c.id > row_id)
        .order_by(judgements.c.id)
    )
    rows = connection.execute(query).mappings().all()
    return [(row["id"], _judgement(connection, row)) for row in rows]


def _judgement(connection: Connection, row: RowMapping) -> Judgement:
    query = (
        select(evaluation_rows)
        .where(evaluation_rows.c.judgement_id == row["id"])
        .order_by(evaluation_rows.c.position)
    )
    try:
        evaluations = tuple(
            from_row(stored) for stored in connection.execute(query).mappings().all()
        )
    except ValueError as exc:
        raise StoreUnavailable(
            f"the alert store's judgement of {row['alert']} at {row['as_of']} "
            f"(run {row['run_id']}) is damaged: {exc}"
        ) from exc
    return Judgement(**{name: row[name] for name in _JUDGEMENT}, evaluations=evaluations)


def _add(connection: Connection, judgement: Judgement) -> bool:
    """Whether it is new."""
    # The proxy alone reads this store, and loads no rules.
    from perf_alerts_dagster.judging.standings.fold import cells_of

    row: dict[str, Any] = {name: getattr(judgement, name) for name in _JUDGEMENT}
    row["seed"] = int(row["seed"])
    row["cells"] = dict(Counter(map(str, cells_of(judgement).values())))
    once = upsert(connection, judgements).on_conflict_do_nothing(
        index_elements=["alert", "as_of", "run_id"]
    )
    added = connection.scalar(once.returning(judgements.c.id), row)
    rows = [
        {"judgement_id": added, "position": position, **to_row(evaluation)}
        for position, evaluation in enumerate(judgement.evaluations)
    ]
    if added is not None and rows:
        connection.execute(insert(evaluation_rows), rows)
    return added is not None


def _advance_watermark(connection: Connection, alert: str, session: date) -> None:
    advance = upsert(connection, watermarks)
    advance = advance.on_conflict_do_update(
        index_elements=["alert"],
        set_={"session": advance.excluded.session},
        # In the statement itself: two processes may advance it at the same time.
        where=advance.excluded.session > watermarks.c.session,
    )
    connection.execute(advance, {"alert": alert, "session": session})


def _newest_evaluations(
    alert: str,
    strategy: str | None,
    rule: str | None,
    strategies: Collection[str] | None,
    as_of: date | None,
) -> Select[Any]:
    """The evaluations of an alert's last judgement of its newest date, at or before `as_of`."""
    newest = _of_newest_date(select(judgements.c.id), alert)
    if as_of is not None:
        newest = newest.where(judgements.c.as_of <= as_of)
    last = newest.scalar_subquery()
    wanted = ((evaluation_rows.c.strategy, strategy), (evaluation_rows.c.rule, rule))
    query = (
        select(evaluation_rows, judgements.c.alert, judgements.c.as_of, judgements.c.judged_at)
        .join(judgements, evaluation_rows.c.judgement_id == judgements.c.id)
        .where(judgements.c.id == last)
        .where(*(column == value for column, value in wanted if value is not None))
        .order_by(evaluation_rows.c.position)
    )
    return query if strategies is None else query.where(evaluation_rows.c.strategy.in_(strategies))


def _of_newest_date(query: Select[Any], alert: str) -> Select[Any]:
    return (
        query.where(judgements.c.alert == alert)
        .order_by(judgements.c.as_of.desc(), judgements.c.judged_at.desc(), judgements.c.id.desc())
        .limit(1)
    )


def _latest(connection: Connection, alert: str, as_of: date | None = None) -> Judgement | None:
    query = _of_newest_date(select(judgements), alert)
    if as_of is not None:
        query = query.where(judgements.c.as_of == as_of)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _judgement(connection, row)


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

    The engine's schema must be current (`open_store` checks it). Threads may share a store.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def close(self) -> None:
        """Close all connections; a later call opens new ones."""
        self.engine.dispose()

    def watermark(self, alert: str) -> date | None:
        """Read from the row of the alert."""
        query = select(watermarks.c.session).where(watermarks.c.alert == alert)
        with reading(self.engine) as connection:
            session: date | None = connection.scalar(query)
        return session

    def record(
        self,
        judgement: Judgement,
        *,
        watermark: date | None,
        members: Mapping[str, Member] | None = None,
    ) -> None:
        """The judgement, the standings and the watermark in one transaction."""
        with writing(self.engine) as connection:
            if _add(connection, judgement):
                others = (
                    _latest(connection, alert.name)
                    for alert in ALERTS
                    if alert.name != judgement.alert
                )
                standings.keep(connection, judgement, members or {}, (one for one in others if one))
            if watermark is not None:
                _advance_watermark(connection, judgement.alert, watermark)

    def judgements(self, *, alert: str | None = None, limit: int = 20) -> Sequence[Judgement]:
        """Read the judgements with all evaluations; of equal times the last stored comes first."""
        query = select(judgements).order_by(judgements.c.judged_at.desc(), judgements.c.id.desc())
        if alert is not None:
            query = query.where(judgements.c.alert == alert)
        with reading(self.engine) as connection:
            rows = connection.execute(query.limit(max(limit, 0))).mappings().all()
            return [_judgement(connection, row) for row in rows]

    def latest(self, alert: str, *, as_of: date | None = None) -> Judgement | None:
        """One query for the judgement, one for its evaluations."""
        with reading(self.engine) as connection:
            return _latest(connection, alert, as_of)

    def save_projections(self, projections: Sequence[StoredProjection]) -> None:
        """Insert those whose strategy, kind and day of issue are new."""
        with writing(self.engine) as connection:
            issued.add(connection, projections)

    def issued(
        self, *, kind: str, first: date, last: date, strategies: Collection[str] | None = None
    ) -> Sequence[StoredProjection]:
        """Query the strategies in batches within the limit of one statement."""
        with reading(self.engine) as connection:
            return issued.within(
                connection, kind=kind, first=first, last=last, strategies=strategies
            )

    def month_hashes(self) -> Mapping[tuple[str, str], str]:
        """Read all hashes in one query."""
        query = select(month_hashes.c.strategy, month_hashes.c.month, month_hashes.c.hash)
        with reading(self.engine) as connection:
            rows = connection.execute(query)
            return {(strategy, month): content_hash for strategy, month, content_hash in rows}

    def save_month_hashes(self, hashes: Mapping[tuple[str, str], str]) -> None:
        """Other pairs keep their hashes; rows that would not change are not rewritten."""
        if not hashes:
            return
        # Always in the same order, so that two writers cannot deadlock on PostgreSQL.
        rows = [
            {"strategy": strategy, "month": month, "hash": content_hash}
            for (strategy, month), content_hash in sorted(hashes.items())
        ]
        with writing(self.engine) as connection:
            replace = upsert(connection, month_hashes)
            replace = replace.on_conflict_do_update(
                index_elements=["strategy", "month"],
                set_={"hash": replace.excluded.hash},
                # Rewriting an unchanged row costs as much as a change.
                where=replace.excluded.hash != month_hashes.c.hash,
            )
            connection.execute(replace, rows)

    def save_settings_version(self, version: str, content: str, at: datetime) -> None:
        """Insert the version, unless it is stored already."""
        row = {"version": version, "content": content, "at": at}
        with writing(self.engine) as connection:
            once = upsert(connection, settings_versions)
            connection.execute(once.on_conflict_do_nothing(index_elements=["version"]), row)

    def period(self, start: datetime, end: datetime) -> Period:
        """One query, which groups by strategy and outcome."""
        query = (
            select(evaluation_rows.c.strategy, evaluation_rows.c.outcome, func.count())
            .join(judgements, evaluation_rows.c.judgement_id == judgements.c.id)
            .where(
                judgements.c.judged_at >= start,
                judgements.c.judged_at < end,
                judgements.c.recorded_only.is_(False),
            )
            .group_by(evaluation_rows.c.strategy, evaluation_rows.c.outcome)
        )
        with reading(self.engine) as connection:
            rows = connection.execute(query)
            return Period(
                counts={(strategy, Outcome(outcome)): count for strategy, outcome, count in rows}
            )

    def judged_names(self) -> Sequence[str]:
        """One query, of the last judgement of each alert."""
        newest = [
            _of_newest_date(select(judgements.c.id), alert.name).scalar_subquery()
            for alert in ALERTS
        ]
        query = (
            select(evaluation_rows.c.strategy)
            .where(evaluation_rows.c.judgement_id.in_(newest))
            .distinct()
        )
        with reading(self.engine) as connection:
            return sorted(connection.scalars(query))

    def current(
        self,
        *,
        strategy: str | None = None,
        rule: str | None = None,
        strategies: Collection[str] | None = None,
        as_of: date | None = None,
    ) -> Sequence[StoredEvaluation]:
        """One query per alert; the evaluation judged last wins."""
        queries = [
            _newest_evaluations(alert.name, strategy, rule, strategies, as_of) for alert in ALERTS
        ]
        with reading(self.engine) as connection:
            rows = [row for query in queries for row in connection.execute(query).mappings()]
        newest: dict[tuple[str, str, str], StoredEvaluation] = {}
        for row in sorted(rows, key=lambda row: (row["as_of"], row["judged_at"])):
            newest[row["strategy"], row["rule"], row["projection"] or ""] = _stored(row)
        return [newest[key] for key in sorted(newest)]

    def history(self, wanted: HistoryFilter, *, limit: int) -> HistoryPage:
        """One query, by the index of judgements' dates and that of their strategies."""
        place = (judgements.c.as_of, judgements.c.id, evaluation_rows.c.position)
        query = (
            select(evaluation_rows, judgements.c.alert, judgements.c.as_of, judgements.c.judged_at)
            .join(judgements, evaluation_rows.c.judgement_id == judgements.c.id)
            .where(evaluation_rows.c.strategy == wanted.strategy)
            .order_by(*(column.desc() for column in place))
            .limit(limit + 1)
        )
        if wanted.rule is not None:
            query = query.where(evaluation_rows.c.rule == wanted.rule)
        if wanted.first is not None:
            query = query.where(judgements.c.as_of >= wanted.first)
        if wanted.last is not None:
            query = query.where(judgements.c.as_of <= wanted.last)
        if wanted.before is not None:
            query = query.where(judgements.c.as_of <= wanted.before[0])
            query = query.where(tuple_(*place) < tuple_(*wanted.before))
        with reading(self.engine) as connection:
            rows = connection.execute(query).mappings().all()
        last = rows[limit - 1] if len(rows) > limit else None
        return HistoryPage(
            evaluations=[_stored(row) for row in rows[:limit]],
            last=None if last is None else (last["as_of"], last["judgement_id"], last["position"]),
        )


def _stored(row: RowMapping) -> StoredEvaluation:
    of = {name: row[name] for name in ("alert", "as_of", "judged_at")}
    try:
        return StoredEvaluation(**of, evaluation=from_row(row))
    except ValueError as exc:
        raise StoreUnavailable(f"the alert store holds a damaged evaluation: {exc}") from exc
