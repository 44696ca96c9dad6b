"""The endpoint of the alerts with their sessions."""

import asyncio
from datetime import timedelta

from fastapi import APIRouter, Request, Response

from perf_alerts_dagster.api.alerts import schemas
from perf_alerts_dagster.api.alerts.views import with_gaps
from perf_alerts_dagster.api.resources import ApiResources, api_of
from perf_alerts_dagster.core.alerts import ALERTS, BY_NAME
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.http.requests import json_answer
from perf_alerts_dagster.identity.permissions import HistoryViewer
from perf_alerts_dagster.proxy.schemas import ScheduledAlert
from perf_alerts_dagster.proxy.views import status_data
from perf_alerts_dagster.records.sessions import open_calendar

router = APIRouter(prefix="/alerts", tags=["schedule"])


@router.get("", response_model=schemas.AlertsAnswer)
async def alerts(request: Request, who: HistoryViewer) -> Response:
    """The alerts with their last 90 sessions, runs, retries and limits."""
    data = await alerts_now(request)
    return json_answer(
        schemas.AlertsAnswer(success=True, data=data, timestamp=timestamp(api_of(request).now()))
    )


async def alerts_now(request: Request) -> schemas.AlertsData:
    """The alerts as the scheduler and the store have them now.

    Raises:
        SchedulerError: Dagster does not answer, and gave no answer in the last minute.
        StoreUnavailable: the store cannot be read.
    """
    resources = api_of(request)
    shared = await resources.proxy.status.get()
    kept = await asyncio.to_thread(resources.proxy.kept)
    status = status_data(shared.value, now=resources.now(), stale=shared.stale, kept=kept)
    settings, sessions = resources.settings, await stored_sessions(resources)

    def detail(alert: ScheduledAlert) -> schemas.AlertData:
        known = BY_NAME[alert.name]
        return schemas.AlertData(
            **dict(alert),
            description=known.description,
            notifies_from=known.notifies_from,
            run_max_seconds=settings.run_max_seconds,
            sessions=sessions[alert.name],
        )

    return schemas.AlertsData(
        scheduler_running=status.scheduler_running,
        stale=status.stale,
        as_of=status.as_of,
        max_triggered_runs=settings.max_triggered_runs,
        alerts=[detail(alert) for alert in status.scheduled_alerts],
    )


async def stored_sessions(resources: ApiResources) -> dict[str, list[schemas.Session]]:
    """The last sessions of each alert by its name, from the store alone.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    calendar = open_calendar(resources.settings.calendar)
    # The last one may still come today.
    until = resources.proxy.today() - timedelta(days=2)

    def read() -> dict[str, list[schemas.Session]]:
        sessions = resources.parts.overview.sessions
        return {
            alert.name: with_gaps(sessions(alert.name), alert, calendar, until=until)
            for alert in ALERTS
        }

    return await asyncio.to_thread(read)
