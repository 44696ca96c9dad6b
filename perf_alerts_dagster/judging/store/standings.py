"""Standings in SQLite or PostgreSQL: one row each, with columns for what is sorted and filtered."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, Connection, Engine, case, delete, func, or_, select, text

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.judging.evaluation import Judgement
from perf_alerts_dagster.judging.standings.model import LACKING, Cell, Member, Standing
from perf_alerts_dagster.judging.standings.ports import (
    Sort,
    StandingFilter,
    StandingPage,
    StandingStore,
    StandingTotals,
)
from perf_alerts_dagster.storage.desk_tables import standings
from perf_alerts_dagster.storage.engine import reading, upsert

_BODY = TypeAdapter(Standing)
_OWN_COLUMNS = tuple(column.name for column in standings.columns if column.name != "strategy")
# The number of PostgreSQL's lock on all standings: a judgement reads and writes them.
_LOCK = 0x5354414E
_BATCH = 500
_COLUMNS: dict[Sort, ColumnElement[Any]] = {
    Sort.STRATEGY: standings.c.strategy,
    Sort.GROUP: standings.c.group,
    Sort.OWNER: standings.c.owner,
    Sort.LAST: standings.c.last_return,
    Sort.MONTH: standings.c.month_return,
    Sort.LIVE: standings.c.live_return,
    Sort.DRAWDOWN: standings.c.drawdown,
    Sort.BAND: standings.c.band,
    Sort.RARITY: standings.c.p_year,
    Sort.PNL: standings.c.last_pnl,
}
_FIGURES = ("last_return", "last_pnl", "month_return", "live_return", "drawdown", "band")
_UNKNOWN = tuple(cell.value for cell in LACKING if cell is not Cell.PARTIAL)


def keep(
    connection: Connection,
    judgement: Judgement,
    members: Mapping[str, Member],
    earlier: Iterable[Judgement],
) -> None:
    """Fold a judgement into the stored standings, in its transaction.

    Args:
        connection: Of a write transaction.
        judgement: That which is recorded.
        members: See `fold`.
        earlier: The newest judgements of other alerts, read only where no standing is stored yet.
    """
    # The proxy alone loads this module, and no rules.
    from perf_alerts_dagster.judging.standings.fold import fold

    if judgement.recorded_only:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
    stored = connection.execute(select(standings.c.strategy, standings.c.body)).all()
    kept = {name: _read(name, body) for name, body in stored}
    before = kept
    if not kept:
        for other in sorted(earlier, key=lambda each: (each.as_of, each.judged_at)):
            before = fold(before, other, {})
    after = fold(before, judgement, members)
    gone = sorted(kept.keys() - after.keys())
    for start in range(0, len(gone), _BATCH):
        part = gone[start : start + _BATCH]
        connection.execute(delete(standings).where(standings.c.strategy.in_(part)))
    rows = [row_of(one) for name, one in sorted(after.items()) if kept.get(name) != one]
    if rows:
        put = upsert(connection, standings)
        connection.execute(
            put.on_conflict_do_update(
                index_elements=["strategy"],
                set_={name: put.excluded[name] for name in _OWN_COLUMNS},
            ),
            rows,
        )


def row_of(standing: Standing) -> dict[str, Any]:
    """The columns of a standing."""
    figures, rarest = standing.figures, standing.rarest
    return {
        "strategy": standing.strategy,
        "is_group": standing.member.is_group,
        "group": standing.member.group,
        "owner": standing.member.owner,
        "cell": standing.cell.value,
        "rank": -standing.cell.rank,
        "session": standing.session,
        "judged_at": standing.judged_at,
        "provisional": standing.provisional,
        "late": figures.late if figures else 0,
        **{name: figures and getattr(figures, name) for name in _FIGURES},
        "p_year": rarest and rarest[1],
        "body": _BODY.dump_json(standing, exclude_defaults=True).decode(),
    }


def _read(strategy: str, body: str) -> Standing:
    try:
        return _BODY.validate_json(body)
    except ValidationError as error:
        raise StoreUnavailable(
            f"the alert store's standing of {strategy} is damaged: {error.error_count()} fields"
        ) from error


class SqlStandings(StandingStore):
    """The standings of a store whose schema is current."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def standings(
        self, wanted: StandingFilter | None = None, *, offset: int = 0, limit: int = 100
    ) -> StandingPage:
        """Sorted and cut by the database by columns alone: the bodies of one page are read."""
        wanted = wanted or StandingFilter()
        found = _conditions(wanted)
        column = _rank(wanted) if wanted.sort is Sort.WORST else _COLUMNS[wanted.sort]
        order = (column.desc() if wanted.descending else column.asc()).nulls_last()
        keys = (
            select(standings.c.strategy)
            .where(*found)
            .order_by(order, standings.c.p_year.asc().nulls_last(), standings.c.strategy)
            .offset(max(offset, 0))
            .limit(max(limit, 0))
        )
        with reading(self._engine) as connection:
            names = list(connection.scalars(keys))
            bodies = select(standings.c.strategy, standings.c.body).where(
                standings.c.strategy.in_(names)
            )
            known = {name: body for name, body in connection.execute(bodies)}
            count = connection.scalar(select(func.count()).select_from(standings).where(*found))
        rows = [_read(name, known[name]) for name in names if name in known]
        return StandingPage(rows=rows, total=count or 0)

    def one(self, strategy: str) -> Standing | None:
        """By its key."""
        query = select(standings.c.body).where(standings.c.strategy == strategy)
        with reading(self._engine) as connection:
            body = connection.scalar(query)
        return None if body is None else _read(strategy, body)

    def totals(self) -> StandingTotals:
        """Counted by the database."""
        column = standings.c
        singles = column.is_group.is_(False)
        cells = select(column.cell, func.count()).where(singles).group_by(column.cell)
        newest = select(func.max(column.session)).scalar_subquery()
        is_judged = singles & column.cell.not_in(_UNKNOWN)
        of_newest = select(
            column.session,
            func.max(column.judged_at),
            func.max(case((column.provisional, 1), else_=0)),
            func.sum(case((is_judged, 1), else_=0)),
        ).where(column.session == newest)
        late = select(func.count()).where(is_judged, column.late > 0)

        def names(column: ColumnElement[Any]) -> Any:  # noqa: ANN401 - a Select
            return select(column).where(column.is_not(None)).distinct().order_by(column)

        with reading(self._engine) as connection:
            session = connection.execute(of_newest.group_by(column.session)).first()
            day, judged_at, provisional, judged = session or (None, None, 0, 0)
            return StandingTotals(
                cells={Cell(cell): count for cell, count in connection.execute(cells)},
                groups=list(connection.scalars(names(column.group))),
                owners=list(connection.scalars(names(column.owner))),
                session=day,
                judged_at=judged_at,
                provisional=bool(provisional),
                judged=judged,
                late=connection.scalar(late) or 0,
            )


def _rank(wanted: StandingFilter) -> ColumnElement[Any]:
    rank = standings.c.rank
    return (
        case(
            *(
                (standings.c.strategy.in_(names) & (rank > -cell.rank), -cell.rank)
                for cell, names in sorted(wanted.unresolved.items(), key=lambda pair: -pair[0].rank)
            ),
            else_=rank,
        )
        if wanted.unresolved
        else rank
    )


def _conditions(wanted: StandingFilter) -> list[ColumnElement[bool]]:
    equal = {
        "group": wanted.group,
        "owner": wanted.owner,
        "is_group": wanted.is_group,
    }
    found: list[ColumnElement[bool]] = [
        standings.c[name] == value for name, value in equal.items() if value is not None
    ]
    if wanted.cells is not None:
        found.append(standings.c.cell.in_([cell.value for cell in wanted.cells]))
    if wanted.names is not None:
        found.append(standings.c.strategy.in_(wanted.names))
    if wanted.text:
        columns = (standings.c.strategy, standings.c.group, standings.c.owner)
        found.append(or_(*(column.icontains(wanted.text, autoescape=True) for column in columns)))
    return found
