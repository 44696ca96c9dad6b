"""Answers of identity and control."""

from typing import Any

from perf_alerts_dagster.control.audit import AuditOutcome
from perf_alerts_dagster.http.schemas import Model, Page, Time


class ThresholdSet(Model):
    """What was set: by default and per strategy; version 0 is what the settings say."""

    version: int
    default: dict[str, float]
    strategies: dict[str, dict[str, float]]


class EffectiveLimits(Model):
    """What counts in the end: all limits, with the documented ones where nothing was set."""

    default: dict[str, float]
    strategies: dict[str, dict[str, float]]


class ThresholdsAnswer(Model):
    """The thresholds; `data` can be changed and put back as it is."""

    success: bool
    data: ThresholdSet
    effective: EffectiveLimits
    updated_at: Time | None
    updated_by: str | None
    timestamp: Time


class AuditEntry(Model):
    """One change: who, from where, what, and how it ended."""

    id: int
    at: Time
    actor: str
    key_id: str
    address: str
    action: str
    target: str
    before: Any
    after: Any
    outcome: AuditOutcome
    request_id: str


class AuditAnswer(Page):
    """Changes, newest first."""

    data: list[AuditEntry]
