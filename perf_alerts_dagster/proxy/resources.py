"""What one proxy owns, from its start to its end; nothing of it is kept between starts."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from perf_alerts_dagster.api.operations.health import Health
from perf_alerts_dagster.api.operations.metrics import Metrics
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.http.status_cache import Coalesced
from perf_alerts_dagster.proxy.status import Kept
from perf_alerts_dagster.scheduler.pauses import Toggles
from perf_alerts_dagster.scheduler.port import SchedulerStatus
from perf_alerts_dagster.scheduler.trigger import Triggers
from perf_alerts_dagster.server.parts import Parts
from perf_alerts_dagster.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the endpoints work with."""

    settings: Settings
    parts: Parts
    status: Coalesced[SchedulerStatus]
    triggers: Triggers
    toggles: Toggles
    health: Health
    metrics: Metrics

    @property
    def web_ui(self) -> str:
        """Where a person finds Dagster's web UI: on this machine, and nowhere else."""
        return f"http://127.0.0.1:{self.settings.webserver_port}"

    def kept(self) -> Kept | None:
        """What the alert store tells; None where it cannot, which is no reason to tell nothing."""
        try:
            return Kept(
                live=self.parts.desk.incidents.live(),
                outbox=self.parts.desk.outbox.state(),
                pauses=self.parts.pauses.pauses(),
            )
        except StoreUnavailable:
            return None

    def now(self) -> datetime:
        """The time, aware."""
        return self.parts.clock()


def resources_of(request: Request) -> Resources:
    """What this proxy owns; its lifespan put it there."""
    found: Resources = request.state.resources
    return found
