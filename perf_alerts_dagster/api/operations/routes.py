"""The endpoints for operators: health, metrics, test message, reload."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import asdict

from fastapi import APIRouter, Request, Response

from perf_alerts_dagster.api.operations.health import FIXES, ready_answer
from perf_alerts_dagster.api.operations.metrics import CONTENT_TYPE
from perf_alerts_dagster.api.operations.schemas import (
    ChannelData,
    ChannelsAnswer,
    ChannelTried,
    CheckData,
    DoctorAnswer,
    DoctorData,
    LiveAnswer,
    ReadyAnswer,
    SettingData,
    SettingsAnswer,
    TestAnswer,
)
from perf_alerts_dagster.api.resources import api_of, control_of
from perf_alerts_dagster.control.principal import Principal
from perf_alerts_dagster.core.alerts import DAILY_PNL_CHECK
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.http.requests import Empty, body_of, json_answer
from perf_alerts_dagster.identity.permissions import Administrator, StatusViewer
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.incidents.ports import EventFilter, IncidentStore
from perf_alerts_dagster.incidents.store.overview import ChannelDelivery
from perf_alerts_dagster.judging.limits import settings_of
from perf_alerts_dagster.notifications.delivery import ChannelResult, try_channels
from perf_alerts_dagster.notifications.messages import test_message as make_test
from perf_alerts_dagster.proxy.resources import recorder
from perf_alerts_dagster.proxy.schemas import DoneAnswer
from perf_alerts_dagster.scheduler.port import SchedulerError, SchedulerStatus
from perf_alerts_dagster.settings.shown import described

router = APIRouter(tags=["operation"])
admin = APIRouter(prefix="/admin", tags=["admin"])

_AT_ONCE = 500


@router.get("/health/live", response_model=LiveAnswer)
async def live() -> Response:
    """Answers while this process runs; checks nothing else."""
    return json_answer(LiveAnswer(status="alive"))


@router.get(
    "/health/ready",
    response_model=ReadyAnswer,
    responses={503: {"model": ReadyAnswer, "description": "`failing` names what does not hold."}},
)
async def ready(request: Request) -> Response:
    """Dagster, its daemon, the store and the clock: can alerts be executed and answered?"""
    resources = api_of(request)
    now = resources.now()
    answer = ready_answer(await resources.health.checks(now), now)
    headers = None if answer.ready else {"Retry-After": "5"}
    return json_answer(answer, status=200 if answer.ready else 503, headers=headers)


@router.get("/metrics", responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request, who: StatusViewer) -> Response:
    """Everything in Prometheus' text format; without Dagster, this proxy's own numbers."""
    resources = api_of(request)
    status: SchedulerStatus | None = None
    with suppress(SchedulerError):
        shared = await resources.proxy.status.get()
        status = None if shared.stale else shared.value
    kept = await asyncio.to_thread(resources.proxy.kept)
    judgement, events = None, None
    with suppress(StoreUnavailable):
        newest = resources.parts.store.latest
        judgement = await asyncio.to_thread(newest, DAILY_PNL_CHECK.name)
        events = await asyncio.to_thread(_open_events, resources.parts.incidents.store)
    text = resources.metrics.render(status, resources.now(), kept, judgement, events)
    return Response(text, media_type=CONTENT_TYPE)


def _open_events(store: IncidentStore) -> Counter[Severity]:
    """The number of open events by severity."""
    found: Counter[Severity] = Counter()
    cursor, is_last = None, False
    while not is_last:
        page = store.events(EventFilter(status=Status.OPEN), before=cursor, limit=_AT_ONCE)
        found.update(event.severity for event in page.events)
        cursor, is_last = page.last, page.last is None
    return found


@router.get("/doctor", response_model=DoctorAnswer)
async def doctor(request: Request, who: StatusViewer) -> Response:
    """What is wrong with the system and how to fix it, as `perf-alerts doctor` and readiness say.

    It takes some seconds, and is made at most twice a minute.
    """
    resources = api_of(request)
    now = resources.now()
    examined = await resources.examination.findings(now)
    checks = await checks_now(request)
    return json_answer(
        DoctorAnswer(
            success=True,
            data=DoctorData(
                healthy=not examined.findings and all(check.ok for check in checks),
                examined_at=timestamp(examined.at),
                checks=checks,
                findings=list(examined.findings),
            ),
            timestamp=timestamp(now),
        )
    )


async def checks_now(request: Request) -> list[CheckData]:
    """The checks of readiness, each with what to do where it fails."""
    resources = api_of(request)
    found = await resources.health.checks(resources.now())
    return [
        CheckData(name=name, ok=why is None, detail=why, fix=FIXES.get(name) if why else None)
        for name, why in found.items()
    ]


@router.get("/channels", response_model=ChannelsAnswer)
async def channels(request: Request, who: StatusViewer) -> Response:
    """The channels with their last delivery, and what waits or was given up."""
    data = await channels_now(request)
    now = timestamp(api_of(request).now())
    return json_answer(ChannelsAnswer(success=True, data=data, next_cursor=None, timestamp=now))


async def channels_now(request: Request) -> list[ChannelData]:
    """The channels of the settings, then those that had messages and are no longer in them.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    resources = api_of(request)
    deliveries = resources.parts.deliveries
    found = await asyncio.to_thread(deliveries.by_channel, resources.now())
    known = {channel.name: channel for channel in resources.parts.channels}
    return [
        ChannelData(
            channel=name,
            configured=name in known,
            minimum=known[name].minimum if name in known else None,
            **asdict(found.get(name, ChannelDelivery())),
        )
        for name in dict.fromkeys([*known, *sorted(found)])
    ]


@router.get("/settings", response_model=SettingsAnswer)
async def settings(request: Request, who: Administrator) -> Response:
    """The settings that the server runs with, and where each comes from; secrets never."""
    data = await settings_now(request)
    now = timestamp(api_of(request).now())
    return json_answer(SettingsAnswer(success=True, data=data, next_cursor=None, timestamp=now))


async def settings_now(request: Request) -> list[SettingData]:
    """All settings, by their variables."""
    control = control_of(request)
    current = await asyncio.to_thread(control.thresholds.current)
    sources = {}
    if current is not None:
        replaced = settings_of(current.content)
        sources = dict.fromkeys(replaced, f"REST, version {current.version}")
    return [
        SettingData.model_validate(shown | {"source": sources.get(name, shown["source"])})
        for name, shown in described(api_of(request).settings).items()
    ]


@admin.post(
    "/test-notification",
    response_model=TestAnswer,
    responses={409: {"description": "No channel is configured."}},
)
async def test_notification(request: Request, who: Administrator) -> Response:
    """Send a test message to every channel directly, without an incident or the outbox."""
    await body_of(request, Empty)
    return json_answer(await tested(request, who))


async def tested(request: Request, who: Principal) -> TestAnswer:
    """Send a test message to every channel as a person, and audit it.

    Raises:
        Problem: 409, there is no channel.
    """
    resources = api_of(request)
    if not resources.parts.channels:
        raise Problem(409, "no_channels", "no channel is configured (ALERT_NOTIFY_URLS)")
    message = make_test(resources.now(), public_url=resources.settings.public_url)
    record = recorder(request, who, "test_notification", "channels", {})
    tried: list[ChannelResult] = []

    async def send() -> None:
        tried.extend(await asyncio.to_thread(try_channels, resources.parts.channels, message))

    await record.record(send)
    return TestAnswer(
        success=all(trial.error is None for trial in tried),
        data=[
            ChannelTried(channel=trial.channel, ok=trial.error is None, error=trial.error)
            for trial in tried
        ],
        timestamp=timestamp(resources.now()),
    )


@admin.post("/reload", response_model=DoneAnswer)
async def reload(request: Request, who: Administrator) -> Response:
    """Have Dagster load the alerts' definitions again."""
    await body_of(request, Empty)
    resources = api_of(request)
    record = recorder(request, who, "reload", "definitions", {})
    try:
        await record.record(resources.proxy.parts.scheduler.reload)
    finally:
        resources.proxy.status.forget()
    return json_answer(
        DoneAnswer(
            success=True,
            message="the alerts' definitions were loaded again",
            timestamp=timestamp(resources.now()),
        )
    )
