"""What changes something in Dagster: trigger, enable, disable."""

from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.clock import optional_time, timestamp
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.requests import answered, fields, query
from perf_alerts_dagster.identity.permissions import Switcher, Triggerer
from perf_alerts_dagster.proxy.recorder import recorder
from perf_alerts_dagster.proxy.resources import Resources, resources_of
from perf_alerts_dagster.proxy.schemas import ToggleAnswer, ToggleData, TriggerAnswer, TriggerData
from perf_alerts_dagster.scheduler.port import (
    AlertRun,
    AlertSchedule,
    RunState,
    SchedulerError,
    SchedulerStatus,
)
from perf_alerts_dagster.scheduler.store import Pause, TriggerRequest
from perf_alerts_dagster.scheduler.trigger import will_start

router = APIRouter(prefix="/schedule", tags=["schedule"])

_MAXIMUM_WAIT = 60
_NAMES = {"enum": [alert.name for alert in ALERTS]}
Name = Annotated[str, Path(json_schema_extra=_NAMES, examples=[ALERTS[0].name])]


def _body(**properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"requestBody": {"required": False, "content": {"application/json": {"schema": schema}}}}


_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key gives the same run, for a day.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}


@router.post(
    "/trigger/{alert}",
    status_code=202,
    response_model=TriggerAnswer,
    responses={200: {"model": TriggerAnswer, "description": "The run finished within `wait`."}},
    openapi_extra={"parameters": [_KEY]}
    | _body(as_of={"type": "string", "format": "date", "examples": ["2026-01-30"]}),
)
async def trigger(
    request: Request,
    who: Triggerer,
    alert: Name,
    wait: Annotated[
        str | None,
        Query(json_schema_extra={"pattern": "^([0-9]|[1-5][0-9]|60)$"}),
    ] = None,
) -> Response:
    """Start an alert's run, also of a disabled alert; `wait` seconds for its end if asked."""
    resources = resources_of(request)
    given = await fields(request, "as_of")
    named = inputs.alert_named(alert)
    seconds = inputs.whole(query(request, "wait").get("wait", "0"), "wait", minimum=0, maximum=60)
    today = resources.today()
    as_of = inputs.day(given["as_of"], "as_of", today=today) if "as_of" in given else None
    wanted = TriggerRequest(
        alert=named.name,
        as_of=as_of,
        caller=who.user_id,
        key=inputs.idempotency_key(request.headers.getlist("idempotency-key")),
    )
    record = recorder(
        request, who, "trigger", named.name, {"as_of": as_of.isoformat() if as_of else None}
    )
    run = await resources.triggers.run(
        wanted, request_id=request.state.request_id, record=record.record_launch
    )
    resources.status.forget()
    if seconds:
        run = await _waited(resources, run, seconds)
    return await _triggered(resources, run, who.user_id)


@router.post("/enable/{alert}", response_model=ToggleAnswer)
async def enable(request: Request, who: Switcher, alert: Name) -> Response:
    """Turn an alert's schedule on; fine if it is on."""
    await fields(request)
    resources = resources_of(request)
    named = inputs.alert_named(alert)
    record = recorder(request, who, "enable", named.name, {})
    found = await resources.toggles.enable(named.name, record.record_switch)
    return _toggled(resources, found, None, who.user_id)


@router.post(
    "/disable/{alert}",
    response_model=ToggleAnswer,
    openapi_extra=_body(
        reason={"type": "string", "minLength": 1, "maxLength": inputs.REASON_LENGTH},
        until={"type": "string", "format": "date-time"},
    ),
)
async def disable(request: Request, who: Switcher, alert: Name) -> Response:
    """Turn an alert's schedule off, for good or `until` a time; fine if it is off."""
    given = await fields(request, "reason", "until")
    resources = resources_of(request)
    named = inputs.alert_named(alert)
    now = resources.now()
    pause = Pause(
        alert=named.name,
        by=who.user_id,
        since=now,
        reason=inputs.reason(given["reason"]) if "reason" in given else None,
        until=inputs.future(given["until"], "until", now=now) if "until" in given else None,
    )
    said = {"reason": pause.reason, "until": optional_time(pause.until)}
    record = recorder(request, who, "disable", named.name, said)
    found = await resources.toggles.disable(pause, record.record_switch)
    return _toggled(resources, found, pause, who.user_id)


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
    return answered(
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
    resources: Resources, found: AlertSchedule, pause: Pause | None, caller: str
) -> Response:
    until = pause.until if pause else None
    word = "enabled" if found.enabled else "disabled"
    data = ToggleData(
        name=found.name,
        enabled=found.enabled,
        next_run=optional_time(found.next_run),
        until=optional_time(until),
        reason=pause.reason if pause else None,
    )
    return answered(
        ToggleAnswer(
            success=True,
            message=f"{found.name} is {word}" + (f" until {timestamp(until)}" if until else ""),
            timestamp=timestamp(resources.now()),
            modified_by=caller,
            data=data,
        )
    )
