"""What people and processes work on incidents with: the stores, and the lifecycle over them."""

from dataclasses import dataclass

from perf_alerts_dagster.application.incidents import IncidentStore, Outbox, Silences
from perf_alerts_dagster.application.lifecycle import Lifecycle


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Incidents, silences and the outbox of one alert store; `lifecycle` changes them."""

    incidents: IncidentStore
    silences: Silences
    outbox: Outbox
    lifecycle: Lifecycle
