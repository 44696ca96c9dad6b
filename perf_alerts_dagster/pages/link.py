"""The page of a link in a message: one event, without a login, and a button that holds it.

Reading it changes nothing, since mail programs and chats read links by themselves, and sets no
cookie. Whoever has the link has what the message says; see `notifications.links`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from perf_alerts_dagster.api.events.schemas import shown_by
from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.core.urls import LINK
from perf_alerts_dagster.http.middleware import address_of
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.identity.middleware import refuse_foreign
from perf_alerts_dagster.identity.permissions import identity_of
from perf_alerts_dagster.identity.trail import change_in
from perf_alerts_dagster.incidents.events import Event
from perf_alerts_dagster.incidents.model import Incident, Status
from perf_alerts_dagster.incidents.transitions import TransitionRefused
from perf_alerts_dagster.notifications.links import HOLD, Link
from perf_alerts_dagster.notifications.messages import SHOWN
from perf_alerts_dagster.notifications.timeline import BY_LINK, answers_of, channel_words
from perf_alerts_dagster.pages.events import said_of
from perf_alerts_dagster.pages.rendering import (
    PageRoute,
    clock_of,
    problem_page,
    rendered,
    words,
)
from perf_alerts_dagster.pages.session import fields_of

_OVER = (
    "This link shows nothing: its event is over, a week has gone by since its message, or a part "
    "of it is missing. Whoever has a key finds everything below."
)


class _LinkRoute(PageRoute):
    """A page whose address is a secret: browsers pass it on to no other one."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the endpoint's handler."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            response = await inner(request)
            response.headers["Referrer-Policy"] = "no-referrer"
            return response

        return handle


router = APIRouter(include_in_schema=False, route_class=_LinkRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Linked:
    """What a link leads to; `incidents` are the unresolved ones of the event."""

    link: Link
    event: Event
    incidents: list[Incident]


# With what is below: a token that somebody cut or extended is answered alike.
@router.get(LINK + "{token:path}")
async def linked(request: Request, token: str) -> Response:
    """The event of a link."""
    found = await _find(request, token)
    return _over() if found is None else await _page(request, token, found)


@router.post(LINK + "{token:path}")
async def hold(request: Request, token: str) -> Response:
    """Acknowledge the event of a link, for two hours or, with ALERT_LINK_ACK=full, without end."""
    # The page's browser names no origin, since it sends no referrer.
    headers = [each for each in request.scope["headers"] if each != (b"origin", b"null")]
    refuse_foreign(headers, identity_of(request).public_host)
    await fields_of(request)
    found = await _find(request, token)
    if found is None:
        return _over()
    resources = api_of(request)
    if resources.settings.link_ack == "off":
        raise Problem(403, "link_reads_only", "links only show events (ALERT_LINK_ACK); log in")
    now, actor = resources.now(), f"{BY_LINK}{found.link.channel}"
    event_id = found.event.id
    change = change_in(request.scope, "acknowledge", f"events/{event_id}", at=now, actor=actor)
    try:
        await asyncio.to_thread(
            resources.parts.incidents.lifecycle.acknowledge_event,
            event_id,
            by=actor,
            now=now,
            comment=f"by the link sent to {channel_words(found.link.channel)}",
            until=now + HOLD if resources.settings.link_ack == "hold" else None,
            change=change,
        )
    except TransitionRefused:
        # Read again: another person has answered it meanwhile.
        found = await _find(request, token)
        if found is None:
            return _over()
        return await _page(
            request, token, found, status=409, error="Nothing more to do: see who has it."
        )
    return RedirectResponse(f"{LINK}{token}", 303)


async def _find(request: Request, token: str) -> _Linked | None:
    """What a link leads to; None where it has ended, or was sent to nobody.

    Raises:
        Problem: 429, too many tokens that were sent to nobody came from this address.
    """
    parts, now = api_of(request).parts, api_of(request).now()
    link = await asyncio.to_thread(parts.links.find, token)
    if link is None:
        await _count_guess(request)
        return None
    event = await asyncio.to_thread(parts.incidents.store.event, link.event_id)
    if event is None or event.is_resolved or link.expires_at <= now:
        return None
    listed = await asyncio.to_thread(parts.incidents.store.of_events, [event.id])
    # None where it was resolved just now.
    unresolved = [each for each in listed if not each.is_resolved]
    return _Linked(link=link, event=event, incidents=unresolved) if unresolved else None


async def _count_guess(request: Request) -> None:
    """Count a wrong token like a wrong key: the answer waits, and after too many there is none."""
    identity, address = identity_of(request), address_of(request.scope)
    identity.trail.note(request.scope, "wrong_link", "link", at=identity.clock())
    wait = identity.attempts.failed(address)
    if wait is not None:
        detail = f"too many wrong links and keys from this address; wait {wait} seconds"
        raise Problem(429, "rate_limited", detail, headers={"Retry-After": str(wait)})
    await identity.attempts.delay(address)


def _over() -> Response:
    return problem_page(HTTPStatus.NOT_FOUND, "This link has ended", _OVER)


async def _page(
    request: Request, token: str, found: _Linked, *, status: int = 200, error: str | None = None
) -> Response:
    clock, shown = clock_of(request), shown_by(found.event, found.incidents)
    sentences = dict.fromkeys(
        f"{words(each)['subject']}: {words(each)['message']}" for each in found.incidents
    )
    # The message about it had the same picture.
    plots = await asyncio.to_thread(api_of(request).parts.plots.plots, [shown.id])
    return rendered(
        "link.html",
        session=None,
        status=status,
        error=error,
        clock=clock,
        path=f"{LINK}{token}",
        event=found.event,
        shown=shown,
        words=words(shown),
        said=said_of(found.incidents, found.event, request),
        plot=plots.get(shown.id),
        sentences=list(sentences)[:SHOWN],
        more=max(len(sentences) - SHOWN, 0),
        owner=shown.parts.get("owner"),
        answers=answers_of(found.incidents, clock),
        ack=api_of(request).settings.link_ack if found.event.status is Status.OPEN else "off",
    )
