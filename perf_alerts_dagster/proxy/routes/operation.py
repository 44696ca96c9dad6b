"""For those who run it: health, metrics, reload."""

from contextlib import suppress

from fastapi import APIRouter, Request, Response

from perf_alerts_dagster.application.scheduling import SchedulerError, SchedulerStatus
from perf_alerts_dagster.application.summary import timestamp
from perf_alerts_dagster.proxy.callers import Administrator, StatusViewer
from perf_alerts_dagster.proxy.health import ready_answer
from perf_alerts_dagster.proxy.metrics import CONTENT_TYPE
from perf_alerts_dagster.proxy.recording import recorder
from perf_alerts_dagster.proxy.requests import answered, fields, resources_of
from perf_alerts_dagster.proxy.shapes.changes import ReloadAnswer
from perf_alerts_dagster.proxy.shapes.operation import LiveAnswer, ReadyAnswer

router = APIRouter(tags=["operation"])
admin = APIRouter(prefix="/admin", tags=["admin"])


@router.get("/health/live", response_model=LiveAnswer)
async def live() -> Response:
    """This process answers; nothing else is looked at."""
    return answered(LiveAnswer(status="alive"))


@router.get(
    "/health/ready",
    response_model=ReadyAnswer,
    responses={503: {"model": ReadyAnswer, "description": "`failing` names what does not hold."}},
)
async def ready(request: Request) -> Response:
    """Dagster, its daemon, the store and the clock: can alerts be executed and answered?"""
    resources = resources_of(request)
    now = resources.now()
    found = ready_answer(await resources.health.checks(now), now)
    headers = None if found.ready else {"Retry-After": "5"}
    return answered(found, status=200 if found.ready else 503, headers=headers)


@router.get("/metrics", responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request, who: StatusViewer) -> Response:
    """Everything in Prometheus' text format; without Dagster, this proxy's own numbers."""
    resources = resources_of(request)
    status: SchedulerStatus | None = None
    with suppress(SchedulerError):
        found = await resources.status.get()
        status = None if found.stale else found.value
    return Response(resources.metrics.render(status, resources.now()), media_type=CONTENT_TYPE)


@admin.post("/reload", response_model=ReloadAnswer)
async def reload(request: Request, who: Administrator) -> Response:
    """Have Dagster load the alerts' definitions again."""
    await fields(request)
    resources = resources_of(request)
    record = recorder(request, who, "reload", "definitions", {})
    try:
        await record.of_nothing(resources.parts.scheduler.reload)
    finally:
        resources.status.forget()
    return answered(
        ReloadAnswer(
            success=True,
            message="the alerts' definitions were loaded again",
            timestamp=timestamp(resources.now()),
        )
    )
