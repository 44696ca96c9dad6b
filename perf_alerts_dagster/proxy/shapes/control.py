"""Answers of identity and control."""

from typing import Any, Literal

from pydantic import Field

from perf_alerts_dagster.application.control import AuditOutcome
from perf_alerts_dagster.proxy.shapes.base import Model, Page, Time


class User(Model):
    """Who somebody is; a key names a client, not a person."""

    user_id: str = Field(examples=["operator:ci-bot"])
    username: str = Field(examples=["ci-bot"])
    roles: list[str] = Field(examples=[["operator"]])
    permissions: list[str] = Field(examples=[["alert:view_status", "alert:view_history"]])


class LoginAnswer(Model):
    """A token, and for how many seconds it counts."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: int = Field(examples=[86400])
    user: User


class MeAnswer(User):
    """The caller; `last_used` is when its key was used before."""

    last_used: Time | None
    enabled: bool


class DoneAnswer(Model):
    """It was done."""

    success: bool
    message: str
    timestamp: Time


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
