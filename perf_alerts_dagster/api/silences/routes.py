"""The endpoints of silences: list, preview, add, end."""

import asyncio
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.api.silences import schemas
from perf_alerts_dagster.control.principal import Principal
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.requests import body_of, checked, json_answer, openapi_of, query_of
from perf_alerts_dagster.identity.permissions import HistoryViewer, Switcher, change_of
from perf_alerts_dagster.incidents.model import NO_DATA, Incident, Status
from perf_alerts_dagster.incidents.ports import IncidentFilter, IncidentStore
from perf_alerts_dagster.incidents.suppression import Matchers, Silence
from perf_alerts_dagster.incidents.system import SYSTEM
from perf_alerts_dagster.judging.rules.catalogue import BY_ID

router = APIRouter(prefix="/silences", tags=["silences"])

Id = Annotated[str, Path(alias="id", json_schema_extra={"pattern": inputs.ID_PATTERN})]
# What is listed of those that have ended, and of what a silence would mute.
_ENDED, _SHOWN = 200, 20
_PAGE, _PAGES = 500, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a silence can match: the names of strategies and groups, and the ids of events."""

    strategies: Collection[str]
    events: Collection[str]

    def warning(self, matchers: Matchers) -> str | None:
        """Why matchers match nothing; None where they may."""
        unknown = []
        if matchers.strategy is not None and matchers.strategy not in self.strategies:
            unknown.append("no strategy or group of this name was ever judged")
        if matchers.rule is not None and matchers.rule not in {*BY_ID, *SYSTEM, NO_DATA}:
            unknown.append("no rule has this id")
        if matchers.event is not None and matchers.event not in self.events:
            unknown.append("no event has this id")
        return f"matches nothing: {'; '.join(unknown)}" if unknown else None


async def known_to(request: Request, listed: Collection[Matchers]) -> Known:
    """What is known of all that some matchers name."""
    parts = api_of(request).parts
    store = parts.incidents.store
    named = {each.event for each in listed if each.event is not None}

    def read() -> Known:
        strategies: Collection[str] = ()
        if any(each.strategy is not None for each in listed):
            strategies = {*parts.desk.known(), *parts.overview.strategies()}
        return Known(
            strategies=strategies,
            events={each for each in named if store.event(each) is not None},
        )

    return await asyncio.to_thread(read)


@router.get(
    "",
    response_model=schemas.SilencesAnswer,
    openapi_extra=openapi_of(query=schemas.SilencesQuery),
)
async def silences(request: Request, who: HistoryViewer) -> Response:
    """The active and future silences, newest first, with `ended` also the others."""
    query = query_of(request, schemas.SilencesQuery)
    now = api_of(request).now()
    data = await listed_silences(request, now, ended=query.ended == "true")
    return json_answer(
        schemas.SilencesAnswer(success=True, data=data, next_cursor=None, timestamp=timestamp(now))
    )


async def listed_silences(
    request: Request, now: datetime, *, ended: bool
) -> list[schemas.SilenceData]:
    """The silences that have not ended, or the newest of all; each with its warning."""
    store = api_of(request).parts.incidents.store
    listed = await asyncio.to_thread(store.silences, now, ended=ended)
    listed = listed[:_ENDED] if ended else listed
    known = await known_to(request, [silence.matchers for silence in listed])
    return [
        schemas.silence_data(silence, now=now, warning=known.warning(silence.matchers))
        for silence in listed
    ]


@router.get(
    "/preview",
    response_model=schemas.SilencePreviewAnswer,
    openapi_extra=openapi_of(query=schemas.PreviewQuery),
)
async def preview(request: Request, who: HistoryViewer) -> Response:
    """What a silence with these matchers would mute now; nothing is changed."""
    query = query_of(request, schemas.PreviewQuery)
    sent = {name: value for name, value in query.model_dump().items() if value is not None}
    data = await previewed(
        request, Matchers(**checked(schemas.SilenceMatchers, sent, "query").model_dump())
    )
    return json_answer(
        schemas.SilencePreviewAnswer(
            success=True, data=data, timestamp=timestamp(api_of(request).now())
        )
    )


async def previewed(request: Request, matchers: Matchers) -> schemas.SilencePreview:
    """The unresolved incidents that matchers match, and whether they can match any."""
    store = api_of(request).parts.incidents.store
    found = await asyncio.to_thread(lambda: list(_matched(store, matchers)))
    known = await known_to(request, [matchers])
    return schemas.SilencePreview(
        muted=len(found),
        incidents=[schemas.MutedIncident.model_validate(each) for each in found[:_SHOWN]],
        warning=known.warning(matchers),
    )


def _matched(store: IncidentStore, matchers: Matchers) -> Iterator[Incident]:
    if matchers.event is not None:
        members = store.of_events([matchers.event])
        yield from (each for each in members if not each.is_resolved and matchers.match(each))
        return
    for status in (Status.OPEN, Status.ACKNOWLEDGED):
        wanted = IncidentFilter(
            status=status,
            severity=matchers.severity,
            strategy=matchers.strategy,
            rule=matchers.rule,
        )
        cursor: str | None = None
        for _ in range(_PAGES):
            page = store.incidents(wanted, before=cursor, limit=_PAGE)
            yield from filter(matchers.match, page.incidents)
            cursor = page.last
            if cursor is None:
                break


@router.post(
    "",
    status_code=201,
    response_model=schemas.SilenceAnswer,
    openapi_extra=openapi_of(body=schemas.SilenceBody),
)
async def add_silence(request: Request, who: Switcher) -> Response:
    """Mute messages about incidents that match all matchers, until a required end."""
    now = api_of(request).now()
    body = await body_of(request, schemas.SilenceBody, now=now)
    return await silenced(request, who, silence_of(body, who, now), now)


def silence_of(body: schemas.SilenceBody, who: Principal, now: datetime) -> Silence:
    """The silence that a person asks for."""
    return Silence(
        id=uuid.uuid4().hex,
        matchers=Matchers(**dict(body.matchers)),
        starts_at=body.starts_at or now,
        ends_at=body.ends_at,
        author=who.user_id,
        reason=body.reason,
    )


@router.delete(
    "/{id}",
    response_model=schemas.SilenceAnswer,
    openapi_extra=openapi_of(query=schemas.EndSilenceQuery),
)
async def end_silence(request: Request, who: Switcher, id_: Id) -> Response:
    """End a silence now; muted messages that still apply are sent."""
    reason = query_of(request, schemas.EndSilenceQuery).reason
    now = api_of(request).now()
    wanted = inputs.identifier(id_)
    await ended(request, who, wanted, reason, now)
    store = api_of(request).parts.incidents.store
    listed = await asyncio.to_thread(store.silences, now, ended=True)
    silence = next(silence for silence in listed if silence.id == wanted)
    return await _silence_answer(request, silence, now)


async def ended(
    request: Request, who: Principal, silence_id: str, reason: str | None, now: datetime
) -> None:
    """End a silence as a person, together with its audit row.

    Raises:
        UnknownSilence: there is none of this id that goes on.
    """
    change = change_of(request, who, "end_silence", f"silences/{silence_id}", at=now)
    if reason is not None:
        change = replace(change, after={"reason": reason})
    store = api_of(request).parts.incidents.store
    if not await asyncio.to_thread(store.end_silence, silence_id, now, change):
        raise inputs.UnknownSilence


async def silenced(request: Request, who: Principal, silence: Silence, now: datetime) -> Response:
    """Store a silence together with its audit row, and answer with it."""
    await stored(request, who, silence, now)
    return await _silence_answer(request, silence, now, status=201)


async def stored(request: Request, who: Principal, silence: Silence, now: datetime) -> None:
    """Store a silence together with its audit row."""
    change = change_of(request, who, "silence", f"silences/{silence.id}", at=now)
    store = api_of(request).parts.incidents.store
    await asyncio.to_thread(store.add_silence, silence, change)


async def _silence_answer(
    request: Request, silence: Silence, now: datetime, *, status: int = 200
) -> Response:
    known = await known_to(request, [silence.matchers])
    data = schemas.silence_data(silence, now=now, warning=known.warning(silence.matchers))
    answer = schemas.SilenceAnswer(success=True, data=data, timestamp=timestamp(now))
    return json_answer(answer, status=status)
