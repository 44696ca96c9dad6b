"""Silences: who wants not to be told of what, until when."""

import asyncio
import uuid
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from perf_alerts_dagster.api.incidents.requests import SilenceBody
from perf_alerts_dagster.api.incidents.schemas import SilenceAnswer, SilencesAnswer
from perf_alerts_dagster.api.incidents.views import silence_data
from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.requests import body_of, json_answer, openapi_of
from perf_alerts_dagster.identity.permissions import HistoryViewer, Switcher, change_of
from perf_alerts_dagster.incidents.ports import Matchers, Silence

router = APIRouter(prefix="/silences", tags=["silences"])

Id = Annotated[
    str,
    Path(alias="id", json_schema_extra={"pattern": inputs.ID_PATTERN}, examples=["5f2b1c0a9d8e"]),
]


@router.get("", response_model=SilencesAnswer)
async def silences(request: Request, who: HistoryViewer) -> Response:
    """The silences that have not ended, newest first; also those that have yet to start."""
    resources = api_of(request)
    now = resources.now()
    found = await asyncio.to_thread(resources.parts.desk.silences.active, now)
    return json_answer(
        SilencesAnswer(
            success=True,
            data=[silence_data(one, now=now) for one in found],
            next_cursor=None,
            timestamp=timestamp(now),
        )
    )


@router.post(
    "", status_code=201, response_model=SilenceAnswer, openapi_extra=openapi_of(body=SilenceBody)
)
async def add(request: Request, who: Switcher) -> Response:
    """Mute messages about what all matchers match, until the end that it must have."""
    resources = api_of(request)
    now = resources.now()
    body = await body_of(request, SilenceBody, now=now)
    silence = Silence(
        id=uuid.uuid4().hex,
        matchers=Matchers(**dict(body.matchers)),
        starts_at=body.starts_at or now,
        ends_at=body.ends_at,
        author=who.user_id,
        reason=body.reason,
    )
    change = change_of(request, who, "silence", f"silences/{silence.id}", at=now)
    await asyncio.to_thread(resources.parts.desk.silences.add, silence, change)
    return json_answer(
        SilenceAnswer(success=True, data=silence_data(silence, now=now), timestamp=timestamp(now)),
        status=201,
    )


@router.delete("/{id}", response_model=SilenceAnswer)
async def end(request: Request, who: Switcher, id_: Id) -> Response:
    """End a silence now; what it held back is told."""
    resources = api_of(request)
    now = resources.now()
    wanted = inputs.identifier(id_)
    store = resources.parts.desk.silences
    change = change_of(request, who, "end_silence", f"silences/{wanted}", at=now)
    if not await asyncio.to_thread(store.end, wanted, now, change):
        raise inputs.UnknownSilence
    found = await asyncio.to_thread(store.active, now, ended=True)
    silence = next(one for one in found if one.id == wanted)
    return json_answer(
        SilenceAnswer(success=True, data=silence_data(silence, now=now), timestamp=timestamp(now))
    )
