"""What the endpoints of administration work with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from perf_alerts_dagster.control.sql import SqlAudit, SqlThresholds
from perf_alerts_dagster.core.json import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Records and thresholds; `configured` is ALERT_THRESHOLDS, which counts until one is set."""

    audit: SqlAudit
    thresholds: SqlThresholds
    configured: Mapping[str, Json]
    clock: Callable[[], datetime]


def control_of(request: Request) -> Control:
    """What the server owns for them; its lifespan put it there."""
    found: Control = request.state.control
    return found
