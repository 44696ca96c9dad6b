"""The endpoints that change something in Dagster: trigger, enable, disable."""

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from perf_alerts_dagster.core.clock import optional_time, timestamp
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.requests import (
    Empty,
    body_of,
    headers_of,
    json_answer,
    openapi_of,
    query_of,
)
from perf_alerts_dagster.identity.permissions import Switcher, Triggerer
from perf_alerts_dagster.proxy.resources import Resources, recorder, resources_of
from perf_alerts_dagster.proxy.schemas import (
    DisableBody,
    ToggleAnswer,
    ToggleData,
    TriggerAnswer,
    TriggerBody,
    TriggerData,
    TriggerHeaders,
    TriggerQuery,
)
from perf_alerts_dagster.scheduler.port import (
    AlertRun,
    AlertSchedule,
    Pause,
    RunState,
    SchedulerError,
    SchedulerStatus,
    TriggerRequest,
)
from perf_alerts_dagster.scheduler.trigger import will_start

router = APIRouter(prefix="/schedule", tags=["schedule"])

_NAMES = {"enum": inputs.ALERT_NAMES}
Name = Annotated[str, Path(json_schema_extra=_NAMES, examples=inputs.ALERT_NAMES[:1])]


@router.post(
    "/trigger/{alert}",
    status_code=202,
    response_model=TriggerAnswer,
    responses={200: {"model": TriggerAnswer, "description": "The run finished within `wait`."}},
    openapi_extra=openapi_of(body=TriggerBody, query=TriggerQuery, headers=TriggerHeaders),
)
async def trigger(request: Request, who: Triggerer, alert: Name) -> Response:
    """Start an alert's run, also of a disabled alert; `wait` seconds for its end if asked."""
    resources = resources_of(request)
    as_of = (await body_of(request, TriggerBody, today=resources.today())).as_of
    named = inputs.alert_named(alert)
    seconds = query_of(request, TriggerQuery).wait
    key = headers_of(request, TriggerHeaders).key
    wanted = TriggerRequest(alert=named.name, as_of=as_of, caller=who.user_id, key=key)
    sent = {"as_of": as_of.isoformat() if as_of else None}
    record = recorder(request, who, "trigger", named.name, sent)
    run = await resources.triggers.run(
        wanted, request_id=request.state.request_id, record=record.record
    )
    resources.status.forget()
    if seconds:
        run = await _waited(resources, run, seconds)
    return await _triggered(resources, run, who.user_id)


@router.post("/enable/{alert}", response_model=ToggleAnswer)
async def enable(request: Request, who: Switcher, alert: Name) -> Response:
    """Turn an alert's schedule on; fine if it is on."""
    await body_of(request, Empty)
    resources = resources_of(request)
    named = inputs.alert_named(alert)
    record = recorder(request, who, "enable", named.name, {})
    schedule = await resources.toggles.enable(named.name, record.record)
    return _toggled(resources, schedule, None, who.user_id)


@router.post(
    "/disable/{alert}",
    response_model=ToggleAnswer,
    openapi_extra=openapi_of(body=DisableBody),
)
async def disable(request: Request, who: Switcher, alert: Name) -> Response:
    """Turn an alert's schedule off, for good or `until` a time; fine if it is off."""
    resources = resources_of(request)
    now = resources.now()
    body = await body_of(request, DisableBody, now=now)
    named = inputs.alert_named(alert)
    pause = Pause(
        alert=named.name,
        by=who.user_id,
        since=now,
        reason=body.reason,
        until=body.until,
    )
    sent = {"reason": pause.reason, "until": optional_time(pause.until)}
    record = recorder(request, who, "disable", named.name, sent)
    schedule = await resources.toggles.disable(pause, record.record)
    return _toggled(resources, schedule, pause, who.user_id)


async def _waited(resources: Resources, run: AlertRun, seconds: int) -> AlertRun:
    # The run is launched: a fault while waiting for it does not undo that.
    with suppress(SchedulerError):
        run = await resources.triggers.finished(run, seconds)
    resources.status.forget()
    return run


async def _triggered(resources: Resources, run: AlertRun, caller: str) -> Response:
    status: SchedulerStatus | None = None
    if run.state is RunState.QUEUED:
        with suppress(SchedulerError):
            status = (await resources.status.get()).value
    now = resources.now()
    reason = will_start(run, status, now)
    data = TriggerData(
        alert_name=run.alert,
        run_id=run.run_id,
        execution_id=run.execution_id,
        state=run.state,
        will_start=reason is None,
        reason=reason,
        run_url=f"{resources.web_ui}/runs/{run.run_id}",
    )
    return json_answer(
        TriggerAnswer(
            success=True,
            message=f"{run.alert} was triggered as run {run.run_id}",
            timestamp=timestamp(now),
            triggered_by=caller,
            data=data,
        ),
        status=200 if run.state.is_finished else 202,
    )


def _toggled(
    resources: Resources, schedule: AlertSchedule, pause: Pause | None, caller: str
) -> Response:
    until = pause.until if pause else None
    word = "enabled" if schedule.enabled else "disabled"
    data = ToggleData(
        name=schedule.name,
        enabled=schedule.enabled,
        next_run=optional_time(schedule.next_run),
        until=optional_time(until),
        reason=pause.reason if pause else None,
    )
    return json_answer(
        ToggleAnswer(
            success=True,
            message=f"{schedule.name} is {word}" + (f" until {timestamp(until)}" if until else ""),
            timestamp=timestamp(resources.now()),
            modified_by=caller,
            data=data,
        )
    )
