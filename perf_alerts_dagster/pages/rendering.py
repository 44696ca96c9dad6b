"""Renders pages and charts: templates that escape everything, without scripts."""

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import Request, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined

from perf_alerts_dagster.api.events.schemas import headline_of
from perf_alerts_dagster.api.resources import ApiResources, api_of
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable
from perf_alerts_dagster.core.wording import minus as with_minus
from perf_alerts_dagster.http.paths import is_page
from perf_alerts_dagster.incidents.model import Incident, Reason
from perf_alerts_dagster.incidents.notification import IncidentNotice, notice_payload
from perf_alerts_dagster.notifications import text as wording
from perf_alerts_dagster.notifications.timeline import Clock, channel_words, person
from perf_alerts_dagster.pages.session import Kept, Session
from perf_alerts_dagster.plots.of_bands import fan
from perf_alerts_dagster.plots.plot import Plot
from perf_alerts_dagster.plots.scales import LARGE, SMALL
from perf_alerts_dagster.plots.svg import svg
from perf_alerts_dagster.plots.table import columns, rows
from perf_alerts_dagster.projections.ports import launches_in_force
from perf_alerts_dagster.projections.stored import in_force


async def incident_chart(resources: ApiResources, incident: Incident) -> Plot | None:
    """The fan of its strategy; None without a projection, or where the record cannot be read.

    It shows the record up to its newest row, and the launch projection that was in force when
    the incident was last seen.
    """
    now = resources.now()
    try:
        record = await resources.parts.records.record_of(incident.strategy, now)
    except (RecordsUnavailable, RecordsInvalid):
        return None
    if record is None:
        return None
    day = incident.as_of or resources.proxy.today()
    # A baseline that was set since then did not count.
    known = tuple(one for one in record.baselines if one.at <= incident.last_seen_at)
    then = {incident.strategy: known}
    projections = await asyncio.to_thread(
        launches_in_force, resources.parts.store, then, day, then.keys()
    )
    projection = in_force(projections.get(incident.strategy))
    if projection is None:
        return None
    return fan(record, projection, resources.proxy.today())


PACKAGE = "perf_alerts_dagster.pages"
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    # With `no-referrer` a browser would send no Origin with a form.
    "Referrer-Policy": "same-origin",
}
_AGAIN = (
    "Try it again in a few seconds. If it stays like this, whoever runs the system finds the cause "
    "with perf-alerts doctor."
)
# What a person does next, by the status of an error.
_HINTS: Mapping[int, str] = {
    403: "Log in with a key that may, or ask whoever runs the system for one.",
    404: "Check the address, or start from the desk.",
    405: "Open the page itself, and use what is on it.",
    413: "Go back and send less.",
    422: "Correct the address, or start from a page that lists what there is.",
    429: "Nothing is locked: wait, then try it again. A right key is answered at once.",
    500: "Whoever runs the system finds the cause in its log.",
    **dict.fromkeys((502, 503, 504), _AGAIN),
}
_NEXT = re.compile(
    r"(/|/[a-z]{1,64}(?:/(?!\.{1,2}(?:\?|$))[A-Za-z0-9._~%:()-]{1,600})?)"
    r"(\?[A-Za-z0-9_=&.%+-]{0,600})?",
    re.ASCII,
)
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost|\[::1\]):[0-9]{1,5}", re.ASCII)
_REST = r"(/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,2000})?"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["time"] = lambda at: timestamp(at) if at else "-"
    environment.filters["channel"] = channel_words
    environment.filters["person"] = person
    environment.filters["minus"] = minus
    environment.filters["strategy_path"] = strategy_path
    environment.filters["columns"] = columns
    environment.filters["numbers"] = rows
    environment.filters["drawing"] = lambda plot, small: svg(plot, frame=SMALL if small else LARGE)
    environment.filters["moment_of"] = datetime.fromisoformat
    return environment


def minus(text: str) -> str:
    """Text with the sign before its negative numbers as a real minus, and no break before a %."""
    return with_minus(text).replace(" %", "\u00a0%")


def strategy_path(name: str) -> str:
    """The page of a strategy or group, whose name may hold any character."""
    return f"/strategies/{quote(name, safe='')}"


@cache
def stylesheet() -> str:
    """The stylesheet of all pages, as CSS text."""
    return files(PACKAGE).joinpath("pages.css").read_text(encoding="utf-8")


def rendered(
    template: str, *, session: Session | None, status: int = 200, **values: object
) -> Response:
    """The HTML of a page; `session` is None before the login."""
    kept = session.kept if session else Kept()
    is_again = bool(session and session.note)
    text = (
        _environment()
        .get_template(template)
        .render(
            session=session,
            kept=kept,
            # Of a page that is shown again: it opens at the first field that was filled in.
            focus=lambda typed: " autofocus" if is_again and typed else "",
            **values,
        )
    )
    return Response(
        text, status_code=status, headers=HEADERS, media_type="text/html; charset=utf-8"
    )


def problem_page(
    status: int,
    title: str,
    detail: str,
    *,
    session: Session | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error for people, with what to do next; `headers` are those of the problem."""
    page = rendered(
        "problem.html",
        session=session,
        status=status,
        title=title,
        detail=detail,
        hint=_HINTS.get(status, "") if title == HTTPStatus(status).phrase else "",
    )
    # A challenge is for programs.
    page.headers.update({k: v for k, v in (headers or {}).items() if k != "WWW-Authenticate"})
    return page


class PageRoute(APIRoute):
    """A page: its errors are pages too; see `pages.login.error_page`."""


def clock_of(request: Request) -> Clock:
    """How a page shows times: in the desk's zone."""
    resources = api_of(request)
    return Clock(resources.now(), ZoneInfo(resources.settings.timezone))


def words(incident: Incident) -> dict[str, str]:
    """The sentences about an incident, the same as in messages."""
    notice = IncidentNotice(incident=incident, reason=Reason.OPENED, number=0)
    payload = notice_payload(notice)
    return {
        "title": wording.title(payload),
        "subject": wording.affected(payload),
        "headline": headline_of(incident),
        "message": wording.sentence(payload),
        "explanation": wording.explanation(payload),
        "measurement": wording.measurement(payload),
        "further": wording.measurement(payload, headline_of(incident)),
        "reliability": wording.reliability(payload),
        "hint": wording.hint(payload),
    }


def local(asked: str | None, *, web_ui: str = "") -> str:
    """The address to redirect to after the login: our own pages, and Dagster's web UI.

    `web_ui` is the origin of the web UI under the host name of the request; it is accepted where
    that is this machine's own.
    """
    found = _NEXT.fullmatch(asked or "")
    if found and (found[1] == "/" or is_page(found[1])):
        return found[0]
    is_ui = asked and _LOOPBACK.fullmatch(web_ui) and re.fullmatch(re.escape(web_ui) + _REST, asked)
    return asked if asked and is_ui else "/"
