"""The documented endpoints: log in and out, read the scheduler's state, trigger and switch alerts.

A request is checked in this order: credential (401), permission (403), a readable body without
unknown members, the alert's name (404), the values in query, body and headers (422).
"""

import asyncio
from contextlib import suppress
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from perf_alerts_dagster.control.principal import Principal
from perf_alerts_dagster.core.clock import optional_time, timestamp
from perf_alerts_dagster.http import inputs, requests
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.http.requests import json_answer, openapi_of
from perf_alerts_dagster.identity import permissions
from perf_alerts_dagster.identity.authenticator import key_of
from perf_alerts_dagster.identity.sessions import Kind
from perf_alerts_dagster.judging.rule import SUMMARY_RULE
from perf_alerts_dagster.proxy import schemas
from perf_alerts_dagster.proxy.resources import Resources, recorder, resources_of
from perf_alerts_dagster.proxy.views import execution, status_data, summary_data
from perf_alerts_dagster.scheduler import port
from perf_alerts_dagster.scheduler.trigger import TooManyRuns, will_start

auth_router = APIRouter(prefix="/auth", tags=["auth"])
schedule_router = APIRouter(prefix="/schedule", tags=["schedule"])

_MAXIMUM_HOURS = 168
# About as long as a run takes.
_RETRY_SECONDS = 10
_PAGE = 500
_MAXIMUM_PAGES = 100
_HOURS = {"pattern": "^([1-9]|[1-9][0-9]|1[0-5][0-9]|16[0-8])$"}
_NAMES = {"enum": inputs.ALERT_NAMES}
Name = Annotated[str, Path(json_schema_extra=_NAMES, examples=inputs.ALERT_NAMES[:1])]


@auth_router.post(
    "/login", response_model=schemas.LoginAnswer, openapi_extra=openapi_of(body=schemas.LoginBody)
)
async def login(request: Request) -> Response:
    """Exchange an API key for a token."""
    body = await requests.body_of(request, schemas.LoginBody)
    key = key_of(body.api_key.encode())
    access = await permissions.identity_of(request).login(key, request.scope, Kind.TOKEN)
    return json_answer(
        schemas.LoginAnswer(
            access_token=access.token,
            token_type="bearer",  # noqa: S106 - the kind of token, not a secret
            expires_in=access.expires_in,
            user=schemas.User.model_validate(access.principal),
        )
    )


@auth_router.get("/me", response_model=schemas.MeAnswer)
async def me(request: Request, who: permissions.Caller) -> Response:
    """The caller's name, roles and permissions."""
    return json_answer(schemas.MeAnswer.model_validate(who))


@auth_router.post("/logout", response_model=schemas.DoneAnswer)
async def logout(request: Request, who: permissions.Caller) -> Response:
    """Revoke the token of this request; other tokens of the same key stay valid."""
    await requests.body_of(request, requests.Empty)
    identity = permissions.identity_of(request)
    now = identity.clock()
    token = request.state.token
    change = permissions.change_of(request, who, "logout", token.token_id if token else "", at=now)
    await identity.logout(token, change)
    return json_answer(
        schemas.DoneAnswer(
            success=True, message="the token counts no more", timestamp=timestamp(now)
        )
    )


@schedule_router.get("/status", response_model=schemas.StatusAnswer)
async def status(request: Request, who: permissions.StatusViewer) -> Response:
    """The scheduler, the settings it runs with, and the alerts with their last runs."""
    resources = resources_of(request)
    shared = await resources.status.get()
    kept = await asyncio.to_thread(resources.kept)
    now = resources.now()
    return json_answer(
        schemas.StatusAnswer(
            success=True,
            data=status_data(shared.value, now=now, stale=shared.stale, kept=kept),
            timestamp=timestamp(now),
            authenticated_user=who.user_id,
        )
    )


@schedule_router.get("/summary/{hours}", response_model=schemas.SummaryAnswer)
async def summary(
    request: Request,
    who: permissions.HistoryViewer,
    hours: Annotated[str, Path(json_schema_extra=_HOURS, examples=["24"])],
) -> Response:
    """Counts of runs, evaluations and incidents over the last 1 to 168 hours."""
    resources = resources_of(request)
    end = resources.now()
    count = inputs.whole(hours, "hours", minimum=1, maximum=_MAXIMUM_HOURS)
    start = end - timedelta(hours=count)
    parts = resources.parts
    runs, period, sharpes, counts, live, silences = await asyncio.gather(
        _runs(resources, port.RunFilter(since=start, limit=_PAGE)),
        asyncio.to_thread(parts.history.period, start, end),
        asyncio.to_thread(parts.history.current, rule=SUMMARY_RULE),
        asyncio.to_thread(parts.incidents.counts, start, end),
        asyncio.to_thread(parts.incidents.live),
        asyncio.to_thread(parts.incidents.silences, end),
    )
    data = summary_data(
        start=start,
        end=end,
        runs=runs,
        period=period,
        sharpes=sharpes,
        counts=counts,
        live=live,
        silences=sum(silence.is_active(end) for silence in silences),
    )
    return json_answer(
        schemas.SummaryAnswer(
            success=True, data=data, timestamp=timestamp(end), requested_by=who.user_id
        )
    )


@schedule_router.get(
    "/executions",
    response_model=schemas.ExecutionsAnswer,
    openapi_extra=openapi_of(query=schemas.ExecutionsQuery),
)
async def executions(request: Request, who: permissions.HistoryViewer) -> Response:
    """The runs of all alerts, newest first, page by page (`cursor`, `limit`)."""
    resources = resources_of(request)
    query = requests.query_of(request, schemas.ExecutionsQuery)
    wanted = port.RunFilter(
        alert=query.alert,
        states=frozenset({query.status} if query.status else ()),
        since=query.since,
        before=query.cursor,
        limit=query.limit,
    )
    page = await resources.parts.scheduler.runs(wanted)
    return json_answer(
        schemas.ExecutionsAnswer(
            success=True,
            data=[execution(run) for run in page.runs],
            next_cursor=requests.to_cursor(page.last),
            timestamp=timestamp(resources.now()),
        )
    )


@schedule_router.post(
    "/trigger/{alert}",
    status_code=202,
    response_model=schemas.TriggerAnswer,
    responses={
        200: {"model": schemas.TriggerAnswer, "description": "The run finished within `wait`."}
    },
    openapi_extra=openapi_of(
        body=schemas.TriggerBody, query=schemas.TriggerQuery, headers=schemas.TriggerHeaders
    ),
)
async def trigger(request: Request, who: permissions.Triggerer, alert: Name) -> Response:
    """Start a run of an alert, enabled or not, and wait up to `wait` seconds for its end."""
    resources = resources_of(request)
    texts = await requests.texts_of(request, schemas.TriggerBody)
    inputs.alert_named(alert)
    seconds = requests.query_of(request, schemas.TriggerQuery).wait
    as_of = requests.checked(schemas.TriggerBody, texts, today=resources.today()).as_of
    key = requests.headers_of(request, schemas.TriggerHeaders).key
    run = await launched(request, who, alert, as_of, key)
    if seconds:
        run = await _waited(resources, run, seconds)
    data = await triggered(resources, run)
    return json_answer(
        schemas.TriggerAnswer(
            success=True,
            message=f"{run.alert} was triggered as run {run.run_id}",
            timestamp=timestamp(resources.now()),
            triggered_by=who.user_id,
            data=data,
        ),
        status=200 if run.state.is_finished else 202,
    )


async def launched(
    request: Request, who: Principal, alert: str, as_of: date | None, key: str | None = None
) -> port.AlertRun:
    """Start a run of an alert as a person, and audit it.

    Raises:
        Problem: 429, too many runs are not finished.
        SchedulerError: it could not be started.
    """
    resources = resources_of(request)
    wanted = port.TriggerRequest(
        alert=alert,
        as_of=as_of,
        caller=who.user_id,
        key=key,
        # Two queries, the wait for others and the launch, each within its budget.
        lease=timedelta(seconds=3 * resources.settings.dagster_seconds),
    )
    sent = {"as_of": as_of.isoformat() if as_of else None}
    record = recorder(request, who, "trigger", alert, sent)
    try:
        run = await resources.triggers.run(
            wanted, request_id=request.state.request_id, record=record.record
        )
    except TooManyRuns as error:
        maximum = resources.settings.max_triggered_runs
        raise Problem(
            429,
            "too_many_runs",
            f"{alert} has {maximum} triggered runs that are not finished, or are being started; "
            "more are allowed by ALERT_MAX_TRIGGERED_RUNS",
            headers={"Retry-After": str(_RETRY_SECONDS)},
        ) from error
    resources.status.forget()
    return run


@schedule_router.post("/enable/{alert}", response_model=schemas.ToggleAnswer)
async def enable(request: Request, who: permissions.Switcher, alert: Name) -> Response:
    """Turn an alert's schedule on; if it is on already, nothing changes."""
    await requests.body_of(request, requests.Empty)
    inputs.alert_named(alert)
    schedule = await turned_on(request, who, alert)
    return _toggled(resources_of(request), schedule, None, who.user_id)


async def turned_on(request: Request, who: Principal, alert: str) -> port.AlertSchedule:
    """Turn an alert's schedule on as a person, and audit it."""
    record = recorder(request, who, "enable", alert, {})
    return await resources_of(request).toggles.enable(alert, record.record)


@schedule_router.post(
    "/disable/{alert}",
    response_model=schemas.ToggleAnswer,
    openapi_extra=openapi_of(body=schemas.DisableBody),
)
async def disable(request: Request, who: permissions.Switcher, alert: Name) -> Response:
    """Turn an alert's schedule off, for good or `until` a time."""
    resources = resources_of(request)
    now = resources.now()
    texts = await requests.texts_of(request, schemas.DisableBody)
    inputs.alert_named(alert)
    body = requests.checked(schemas.DisableBody, texts, now=now)
    pause = port.Pause(alert=alert, by=who.user_id, since=now, reason=body.reason, until=body.until)
    schedule = await turned_off(request, who, pause)
    return _toggled(resources, schedule, pause, who.user_id)


async def turned_off(request: Request, who: Principal, pause: port.Pause) -> port.AlertSchedule:
    """Turn an alert's schedule off as a person, and audit it."""
    sent = {"reason": pause.reason, "until": optional_time(pause.until)}
    record = recorder(request, who, "disable", pause.alert, sent)
    return await resources_of(request).toggles.disable(pause, record.record)


async def _runs(resources: Resources, wanted: port.RunFilter) -> list[port.AlertRun]:
    """All runs that match, over all pages."""
    runs: list[port.AlertRun] = []
    for _ in range(_MAXIMUM_PAGES):
        page = await resources.parts.scheduler.runs(wanted)
        runs += page.runs
        if page.last is None:
            break
        wanted = port.RunFilter(since=wanted.since, before=page.last, limit=wanted.limit)
    return runs


async def _waited(resources: Resources, run: port.AlertRun, seconds: int) -> port.AlertRun:
    # The run is launched: an error while waiting for it must not fail the request.
    with suppress(port.SchedulerError):
        run = await resources.triggers.finished(run, seconds)
    resources.status.forget()
    return run


async def triggered(resources: Resources, run: port.AlertRun) -> schemas.TriggerData:
    """A run that was triggered, and whether it will start."""
    status: port.SchedulerStatus | None = None
    if run.state is port.RunState.QUEUED:
        with suppress(port.SchedulerError):
            status = (await resources.status.get()).value
    reason = will_start(run, status, resources.now())
    return schemas.TriggerData(
        alert_name=run.alert,
        run_id=run.run_id,
        execution_id=run.execution_id,
        state=run.state,
        will_start=reason is None,
        reason=reason,
        run_url=f"{resources.web_ui}/runs/{run.run_id}",
    )


def _toggled(
    resources: Resources, schedule: port.AlertSchedule, pause: port.Pause | None, caller: str
) -> Response:
    until = pause.until if pause else None
    word = "enabled" if schedule.enabled else "disabled"
    data = schemas.ToggleData(
        name=schedule.name,
        enabled=schedule.enabled,
        next_run=optional_time(schedule.next_run),
        until=optional_time(until),
        reason=pause.reason if pause else None,
    )
    return json_answer(
        schemas.ToggleAnswer(
            success=True,
            message=f"{schedule.name} is {word}" + (f" until {timestamp(until)}" if until else ""),
            timestamp=timestamp(resources.now()),
            modified_by=caller,
            data=data,
        )
    )
