"""The desk: what is wrong, how bad it is and what to do, then how every strategy stands."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from markupsafe import Markup

from perf_alerts_dagster.api.desk import schemas
from perf_alerts_dagster.api.desk.routes import UNREAD, desk_of, rows_of
from perf_alerts_dagster.api.resources import ApiResources, api_of
from perf_alerts_dagster.core.alerts import BY_NAME, DAILY_PNL_CHECK
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.wording import counted, money
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.requests import checked, to_cursor
from perf_alerts_dagster.judging.rule import shown
from perf_alerts_dagster.judging.rules.catalogue import BY_ID
from perf_alerts_dagster.judging.standings.columns import COLUMNS, OTHER, Column, column_of, worst
from perf_alerts_dagster.judging.standings.model import LACKING, Cell
from perf_alerts_dagster.judging.standings.ports import Sort, StandingFilter
from perf_alerts_dagster.notifications.timeline import Clock
from perf_alerts_dagster.pages.desk.marks import (
    USUAL,
    WORDS,
    gauge,
    odds,
    percent,
    sparkline,
    strip,
)
from perf_alerts_dagster.pages.rendering import PageRoute, clock_of, minus, rendered
from perf_alerts_dagster.pages.session import session_of
from perf_alerts_dagster.records.groups import ALL

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_ROWS, _GROUPS = 50, 20
# A list to choose from is no longer than this.
_CHOICES = 60
# What is lacked, after the number of those who do.
_LACKS = {
    Cell.NO_DATA: "without recent data",
    Cell.ERROR: "with an error",
    Cell.PARTIAL: "in part",
    Cell.INSUFFICIENT_DATA: "with too little data",
    Cell.UNJUDGED: "not judged",
}
# Longer than the sessions of any exchange are apart.
_LONG_AGO = timedelta(days=5)
_HEADS = {
    Sort.STRATEGY: ("Strategy", "by name"),
    Sort.LAST: ("last", "return of the newest session"),
    Sort.MONTH: ("month", "return of the month to date"),
    Sort.LIVE: ("live", "return since live began"),
    Sort.DRAWDOWN: ("drawdown", "below the last high, and sessions since"),
    Sort.BAND: ("band", "share of the healthy paths of its projection below the live one"),
    Sort.RARITY: ("rarest", "how many healthy years are as bad, by the rule that finds it rarest"),
}
_SORTS = {
    Sort.WORST: "worst first",
    Sort.STRATEGY: "name",
    Sort.GROUP: "group",
    Sort.OWNER: "owner",
    Sort.LAST: "last session",
    Sort.MONTH: "month",
    Sort.LIVE: "live return",
    Sort.DRAWDOWN: "drawdown",
    Sort.BAND: "band position",
    Sort.RARITY: "rarity",
    Sort.PNL: "last P&L",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One cell of the matrix; `detail` says what the worst of its rules found."""

    head: str
    cell: Cell
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the table, in words and drawings; losses are marked where it `is_bad`."""

    row: schemas.DeskRow
    marks: Sequence[Mark]
    last: str
    month: str
    live: str
    drawdown: str
    rarest: str
    rule: Column | None
    path: Markup
    strip: Markup
    band: Markup
    tag: str = ""
    note: str = ""
    members: str = ""
    is_bad: bool = False


@router.get("/")
async def desk(request: Request) -> Response:
    """The desk; a GET form filters and sorts it, `refresh` loads it again for a wall."""
    session = await session_of(request)
    resources, clock = api_of(request), clock_of(request)
    asked = {name: value for name, value in request.query_params.items() if value.strip()}
    refresh = asked.pop("refresh", "")
    seconds = inputs.whole(refresh, "refresh", minimum=15, maximum=3600) if refresh else None
    limits = {"kind": schemas.Kind.STRATEGY.value, "limit": str(_ROWS)}
    query = checked(schemas.DeskQuery, limits | asked, "query")
    data, leading, groups, known = await asyncio.gather(
        desk_of(resources, query),
        asyncio.to_thread(_leading, resources, query),
        asyncio.to_thread(_groups, resources, query),
        asyncio.to_thread(resources.parts.store.watermark, DAILY_PNL_CHECK.name),
    )
    rows = [*leading, *data.rows]
    found = {row.strategy: worst(row.rules) for row in (*rows, *groups[0])}
    used = {column for columns in found.values() for column in columns}
    # Those that any of the rows has something in.
    columns = [column for column in (*COLUMNS, OTHER) if column in used]
    link = _Links(
        {name: value for name, value in asked.items() if name in _LINKED}
        | ({"refresh": refresh} if refresh else {})
    )
    end = query.offset + len(data.rows)
    return rendered(
        "desk.html",
        session=session,
        clock=clock,
        refresh=seconds,
        desk=data,
        query=query,
        asked=asked,
        is_filtered=any(asked.get(name) for name in _FILTERS),
        state=_state(data.state, clock),
        has_channels=bool(resources.parts.channels),
        unread=sum(data.state.cells.get(cell, 0) for cell in UNREAD),
        judged_at=_time(data.state.judged_at),
        next_check=_time(data.state.next_check),
        last_message=_time(data.state.last_message),
        severities=_severities(data.incidents.severities),
        sessions=[_session(each, clock) for each in data.sessions[:3]],
        worst=_worst(query, data.rows),
        lines=[_line(row, found[row.strategy], columns, clock) for row in rows],
        groups=[_line(row, found[row.strategy], columns, clock) for row in groups[0]],
        groups_total=groups[1],
        columns=columns,
        heads=[(_HEADS[sort], link.sorted(sort, query), link.aria(sort, query)) for sort in _HEADS],
        sorts=_SORTS,
        words=WORDS,
        states={
            "open": "an open incident",
            "blind": "cannot be judged",
            **{cell.value: WORDS[cell] for cell in reversed(Cell)},
        },
        choices=_CHOICES,
        was_judged=known,
        first=query.offset + 1,
        last=end,
        before=link.paged(max(query.offset - query.limit, 0)) if query.offset else None,
        after=link.paged(end) if data.rows and end < data.total else None,
        legend=[(cell, WORDS[cell]) for cell in Cell],
    )


_FILTERS = ("group", "owner", "state", "text", "kind")
_LINKED = (*_FILTERS, "sort", "order", "limit")


class _Links:
    """Links to this page that keep what was asked."""

    def __init__(self, asked: Mapping[str, str]) -> None:
        self._asked = dict(asked)

    def paged(self, offset: int) -> str:
        return self._link(cursor=to_cursor(str(offset)) if offset else None)

    def sorted(self, sort: Sort, query: schemas.DeskQuery) -> str:
        is_again = query.sort is sort and query.order is schemas.Order.ASC
        order = schemas.Order.DESC if is_again else schemas.Order.ASC
        return self._link(sort=sort.value, order=order.value)

    def aria(self, sort: Sort, query: schemas.DeskQuery) -> str | None:
        if query.sort is not sort:
            return None
        return "ascending" if query.order is schemas.Order.ASC else "descending"

    def _link(self, **more: str | None) -> str:
        asked = {name: value for name, value in (self._asked | more).items() if value is not None}
        return f"/?{urlencode(asked)}" if asked else "/"


def _leading(resources: ApiResources, query: schemas.DeskQuery) -> list[schemas.DeskRow]:
    """The rows above the table's: the whole desk, or the group whose members are asked for."""
    is_whole = not any((query.owner, query.state, query.text))
    if query.offset or not is_whole or query.kind is schemas.Kind.GROUP:
        return []
    name = ALL if query.group is None else f"group:{query.group}"
    found = resources.parts.standings.standings(
        StandingFilter(is_group=True, text=name, sort=Sort.STRATEGY)
    )
    own = [one for one in found.rows if one.strategy == name or one.strategy.startswith(f"{name}:")]
    return rows_of(resources, own)


def _groups(resources: ApiResources, query: schemas.DeskQuery) -> tuple[list[schemas.DeskRow], int]:
    """The worst groups, without the whole desk, and how many there are."""
    if query.offset or any((query.group, query.owner, query.state, query.text)):
        return [], 0
    if query.kind is schemas.Kind.GROUP:
        return [], 0
    found = resources.parts.standings.standings(StandingFilter(is_group=True), limit=_GROUPS)
    own = [one for one in found.rows if one.strategy.partition(":")[0] != ALL]
    return rows_of(resources, own), found.total - (len(found.rows) - len(own))


def _line(
    row: schemas.DeskRow,
    found: Mapping[Column, tuple[str, schemas.RowRule]],
    columns: Sequence[Column],
    clock: Clock,
) -> Line:
    marks = []
    for column in columns:
        rule, one = found.get(column, ("", None))
        if one is not None:
            marks.append(Mark(head=column.name, cell=one.cell, detail=_detail(rule, one)))
        elif row.state in (Cell.NO_DATA, Cell.ERROR):
            # Nothing could be asked.
            marks.append(Mark(head=column.name, cell=Cell.UNJUDGED, detail="lost"))
        else:
            marks.append(Mark(head=column.name, cell=Cell.UNJUDGED))
    return Line(
        row=row,
        tag=_tag(row, clock),
        # The tag says it of late rows.
        note="" if row.late else minus(row.note),
        marks=marks,
        last=percent(row.last_return),
        month=percent(row.month_return),
        live=percent(row.live_return),
        drawdown=percent(row.drawdown),
        rarest=odds(row.p_year),
        rule=column_of(row.p_rule) if row.p_rule and (row.p_year or 0.0) < USUAL else None,
        path=sparkline(row.path, row.lower, row.upper),
        strip=strip(row.strip),
        band=gauge(row.band),
        members=_members(row),
        is_bad=row.state.rank in (Cell.WARNING.rank, Cell.CRITICAL.rank),
    )


def _tag(row: schemas.DeskRow, clock: Clock) -> str:
    """Why a row says little, in two words."""
    if row.late and row.last_row:
        return f"last row {clock.day(date.fromisoformat(row.last_row))}"
    return WORDS[row.state] if row.state in LACKING else ""


def _members(row: schemas.DeskRow) -> str:
    """The link to a group's members; empty for a strategy and for the whole desk."""
    kind, _, name = row.strategy.partition(":")
    if not row.is_group or kind == ALL:
        return ""
    name = name.removesuffix(f":{row.currency}") if row.currency else name
    return f"/?{urlencode({'group': name})}"


def _detail(rule: str, one: schemas.RowRule) -> str:
    title = BY_ID[rule].title if rule in BY_ID else rule
    words = f"{WORDS[one.cell]}: {title}"
    if rule in BY_ID and one.cell in (Cell.WEAK, Cell.WARNING, Cell.CRITICAL):
        unit = BY_ID[rule].unit
        value, limit = shown(one.value, unit), shown(one.limit, unit)
        words += f" {minus(value)}" if value else ""
        words += f", limit {minus(limit)}" if limit else ""
    return words


def _state(state: schemas.DeskState, clock: Clock) -> dict[str, Any]:
    """What the line of the state says beside its times."""
    cells = state.cells
    counts = {words: cells.get(cell, 0) for cell, words in _LACKS.items()}
    notes = ["its session is still open, so that all of it is provisional"] * state.provisional
    notes += [
        f"{count} {words}" for words, count in ({"late": state.late} | counts).items() if count
    ]
    judged_at = _time(state.judged_at)
    faults = [f"the last {BY_NAME[name].title} failed" for name in state.failed if name in BY_NAME]
    faults += [
        f"the {BY_NAME[name].title} is switched off" for name in state.off if name in BY_NAME
    ]
    if state.missed:
        faults.append(f"{counted(state.missed, 'due run')} of the last week did not happen")
    if judged_at is not None and clock.now - judged_at > _LONG_AGO:
        faults.append("nothing was judged since")
    if state.messages_given_up:
        faults.append(f"{counted(state.messages_given_up, 'message')} could not be delivered")
    return {
        "day": clock.day(date.fromisoformat(state.session)) if state.session else "",
        "notes": notes,
        "faults": faults,
        "is_whole": state.judged == state.strategies,
    }


def _severities(counts: Mapping[Severity, int]) -> str:
    worst_first = sorted(counts, key=lambda each: -each.rank)
    return ", ".join(f"{counts[each]} {each.value}" for each in worst_first)


def _session(one: schemas.DeskSession, clock: Clock) -> dict[str, Any]:
    """The desk's last session in words."""
    made = one.last_pnl if one.last_pnl is not None else one.last_return
    return {
        "name": one.strategy,
        "day": clock.day(date.fromisoformat(one.session)),
        "change": percent(one.last_return),
        "pnl": "" if one.last_pnl is None else minus(money(one.last_pnl, one.currency)),
        "is_loss": bool(made and made < 0.0),
        "makers": [
            {
                "strategy": each.strategy,
                "owner": each.owner,
                "made": percent(each.last_return)
                if each.last_pnl is None
                else minus(money(each.last_pnl, None)),
            }
            for each in one.contributors
        ],
    }


def _worst(query: schemas.DeskQuery, rows: Sequence[schemas.DeskRow]) -> schemas.DeskRow | None:
    """The row to look at first, where one has an incident."""
    is_first = query.sort is Sort.WORST and query.order is schemas.Order.ASC and not query.offset
    row = rows[0] if rows and is_first else None
    return row if row and row.incident else None


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
