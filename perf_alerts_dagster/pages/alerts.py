"""The five alerts: their sessions, their switches, and a run of one now."""

from datetime import date
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from perf_alerts_dagster.api.alerts.routes import alerts_now, stored_sessions
from perf_alerts_dagster.api.alerts.schemas import Session as Judged
from perf_alerts_dagster.api.alerts.views import HOLIDAY
from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.control.principal import Permission
from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.wording import day_words
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.http.requests import checked
from perf_alerts_dagster.identity.permissions import check
from perf_alerts_dagster.judging.standings.model import Cell
from perf_alerts_dagster.pages.forms import moment_text, refusal
from perf_alerts_dagster.pages.rendering import PageRoute, clock_of, rendered
from perf_alerts_dagster.pages.session import Session, form_of, session_of
from perf_alerts_dagster.proxy.routes import launched, triggered, turned_off, turned_on
from perf_alerts_dagster.proxy.schemas import DisableBody, TriggerBody
from perf_alerts_dagster.scheduler.port import Pause, SchedulerError

router = APIRouter(include_in_schema=False, route_class=PageRoute)

# In the words of a legend, the worst last; `holiday` is no cell.
WORDS: dict[str, str] = {
    HOLIDAY: "holiday",
    Cell.UNJUDGED: "not judged",
    Cell.OK: "ok",
    Cell.INFO: "info",
    Cell.WEAK: "weak sign, nobody notified",
    Cell.INSUFFICIENT_DATA: "too little data",
    Cell.PARTIAL: "rows missing",
    Cell.WARNING: "warning",
    Cell.NO_DATA: "no data",
    Cell.ERROR: "error",
    Cell.CRITICAL: "critical",
}
# What a run has found, as its tag says it.
_FOUND = WORDS | {"alerts": "people are notified", "breach": WORDS[Cell.WEAK]}
# The height of a bar, in tenths: the worse, the higher, so that colour is not alone. That of a
# session that was not judged is an empty frame.
_HEIGHTS = dict(zip(WORDS, (1, 10, 2, 3, 5, 4, 6, 7, 8, 9, 10), strict=True))
_WELL = frozenset({HOLIDAY, Cell.OK, Cell.INFO})


@router.get("/alerts")
async def alerts(request: Request) -> Response:
    """The alerts; with `run` in the query, the run that was started last."""
    return await _page(request, await session_of(request))


@router.post("/alerts/run/{alert}")
async def run(request: Request, alert: str) -> Response:
    """Start a run of an alert now, for a session if one is given."""
    session = await session_of(request)
    check(request, session.who, Permission.TRIGGER)
    form = await form_of(request, session)
    inputs.alert_named(alert)
    try:
        sent = {"as_of": form["as_of"]} if form.get("as_of") else {}
        body = checked(TriggerBody, sent, today=api_of(request).proxy.today())
        made = await launched(request, session.who, alert, body.as_of)
    except (inputs.InputError, Problem) as error:
        return await _page(request, session, alert=alert, error=error)
    return RedirectResponse(f"/alerts?run={made.run_id}", 303)


@router.post("/alerts/disable/{alert}")
async def disable(request: Request, alert: str) -> Response:
    """Turn an alert's schedule off, with a reason and an end if they are given."""
    session = await _switching(request)
    form = await form_of(request, session)
    inputs.alert_named(alert)
    resources = api_of(request)
    now, zone = resources.now(), ZoneInfo(resources.settings.timezone)
    try:
        sent = {"reason": form["reason"]} if form.get("reason", "").strip() else {}
        if form.get("until"):
            sent["until"] = moment_text(form["until"], "until", zone)
        body = checked(DisableBody, sent, now=now)
    except inputs.InputError as error:
        return await _page(request, session, alert=alert, error=error)
    pause = Pause(
        alert=alert, by=session.who.user_id, since=now, reason=body.reason, until=body.until
    )
    await turned_off(request, session.who, pause)
    return RedirectResponse("/alerts", 303)


@router.post("/alerts/enable/{alert}")
async def enable(request: Request, alert: str) -> Response:
    """Turn an alert's schedule on."""
    session = await _switching(request)
    await form_of(request, session)
    inputs.alert_named(alert)
    await turned_on(request, session.who, alert)
    return RedirectResponse("/alerts", 303)


async def _switching(request: Request) -> Session:
    session = await session_of(request)
    check(request, session.who, Permission.TOGGLE)
    return session


async def _page(
    request: Request,
    session: Session,
    *,
    alert: str = "",
    error: inputs.InputError | Problem | None = None,
) -> Response:
    said, status = refusal(error) if error else ("", 200)
    proxy, run_id = api_of(request).proxy, request.query_params.get("run", "")
    made = await proxy.parts.scheduler.run(run_id) if run_id else None
    sessions: dict[str, list[Judged]] = {}
    try:
        data = await alerts_now(request)
    except SchedulerError:
        # What was judged is known without it.
        data, sessions = None, await stored_sessions(api_of(request))
    return rendered(
        "alerts.html",
        session=session,
        status=status,
        data=data,
        stored=[(alert, sessions[alert.name]) for alert in ALERTS if alert.name in sessions],
        run=await triggered(proxy, made) if made else None,
        may_run=Permission.TRIGGER in session.who.permissions,
        clock=clock_of(request),
        web_ui=proxy.web_ui,
        zone=proxy.settings.timezone,
        today=proxy.today(),
        words=WORDS,
        outcomes=_FOUND,
        day=lambda text: day_words(date.fromisoformat(text), beside=proxy.today()),
        heights=_HEIGHTS,
        counts=_counts,
        well=_WELL,
        erring=alert,
        error=said,
    )


def _counts(session: Judged) -> str:
    """How many strategies were what, the worst first: `1 critical, 15 ok`."""
    found = [(session.strategies.get(cell), WORDS[cell]) for cell in reversed(WORDS)]
    return ", ".join(f"{count} {word}" for count, word in found if count) or "nothing to judge"
