"""Answers as Dagster gives them, to be changed by the tests."""

import json
from datetime import UTC, datetime
from typing import Any

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.scheduler.graphql import documents
from perf_alerts_dagster.settings import load_settings

NOW = datetime(2026, 1, 30, 18, 0, tzinfo=UTC)
MADE = datetime(2026, 1, 30, 17, 0, 15, tzinfo=UTC)
# Every document that is sent; the module's other texts are fragments of them.
DOCUMENTS = {
    name: text
    for name, text in vars(documents).items()
    if isinstance(text, str) and text.lstrip().startswith(("query ", "mutation "))
}


def run(**changes: Any) -> dict[str, Any]:
    facts = {
        "__typename": "Run",
        "runId": "8b462620-81ec-4a82-a40d-48980982b254",
        "jobName": "daily_pnl_check",
        "status": "SUCCESS",
        "creationTime": MADE.timestamp() + 0.8,
        "startTime": MADE.timestamp() + 2,
        "endTime": MADE.timestamp() + 30,
        "tags": [
            {"key": "perf_alerts/attempts", "value": "2"},
            {"key": "perf_alerts/as_of", "value": "2026-01-30"},
            {"key": "perf_alerts/triggered_by", "value": "schedule"},
        ],
    }
    return facts | changes


def tagged(**tags: str) -> list[dict[str, str]]:
    return [{"key": f"perf_alerts/{name}", "value": value} for name, value in tags.items()]


def schedule(job: str, **state: Any) -> dict[str, Any]:
    return {
        "name": f"{job}_schedule",
        "pipelineName": job,
        "cronSchedule": "['0 17 * * *']",
        "executionTimezone": "UTC",
        "canReset": False,
        "futureTicks": {"results": []},
        "scheduleState": {
            "id": "origin::selector",
            "selectorId": "selector",
            "status": "RUNNING",
            "nextTick": {"timestamp": NOW.timestamp() + 82_800},
            "typeSpecificData": {"__typename": "ScheduleData", "startTimestamp": 0.0},
            "ticks": [],
            **state,
        },
    }


def status() -> dict[str, Any]:
    """What the status document is answered."""
    settings = json.dumps(load_settings({}, dotenv=None).public())
    entry = {"__typename": "JsonMetadataEntry", "label": "settings", "jsonString": settings}
    daemons = [
        {"daemonType": "SENSOR", "lastHeartbeatTime": 0.0},
        {"daemonType": "SCHEDULER", "lastHeartbeatTime": NOW.timestamp() - 20},
    ]
    found: dict[str, Any] = {
        "instance": {"daemonHealth": {"allDaemonStatuses": daemons}},
        "repositoryOrError": {
            "__typename": "Repository",
            "jobs": [
                {"name": "__ASSET_JOB", "metadataEntries": []},
                *({"name": alert.name, "metadataEntries": [entry]} for alert in ALERTS),
            ],
            "schedules": [schedule(alert.name) for alert in reversed(ALERTS)],
            "sensors": [{"name": "watch", "canReset": False, "sensorState": {"status": "RUNNING"}}],
        },
    }
    for alert in ALERTS:
        found[alert.name] = {"__typename": "Runs", "results": []}
    found["daily_pnl_check"]["results"] = [run()]
    return found
