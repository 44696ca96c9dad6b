"""Answers about health and test messages."""

from typing import Literal

from pydantic import Field

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http.schemas import Answer, Model, Page, Time


class LiveAnswer(Model):
    """GET /health/live."""

    status: Literal["alive"]


class CheckResult(Model):
    """The result of one check; `detail` is the reason why it fails."""

    ok: bool
    detail: str | None


class ReadyAnswer(Model):
    """GET /health/ready; `failing` names the checks that do not hold."""

    ready: bool
    failing: list[str]
    checks: dict[str, CheckResult]
    timestamp: Time


class CheckData(CheckResult):
    """The result of one check of readiness by its name, and what to do where it fails."""

    name: str
    fix: str | None


class FindingData(Model):
    """A fault of the system: where, the problem, and how to fix it."""

    where: str
    problem: str
    fix: str


class DoctorData(Model):
    """The checks of readiness, and what `perf-alerts doctor` finds; `healthy` where all is well."""

    healthy: bool
    examined_at: Time
    checks: list[CheckData]
    findings: list[FindingData]


class DoctorAnswer(Answer):
    """GET /doctor."""

    data: DoctorData
    timestamp: Time


class ChannelData(Model):
    """A channel, and its messages of the last 90 days.

    `sent_at` is its last delivery, null without one; `error` is why the newest message that is not
    delivered failed. `configured` is false for one that is no longer in the settings.
    """

    channel: str
    configured: bool
    minimum: Severity | None
    sent_at: Time | None
    sent: int
    waiting: int
    given_up: int
    error: str | None


class ChannelsAnswer(Page):
    """GET /channels."""

    data: list[ChannelData]


class SettingData(Model):
    """A setting: its value as text, null where it is not set; `set` in place of a secret.

    `source` is default, environment, .env, file, or the version that was set over REST.
    """

    variable: str
    value: str | None
    default: str | None
    source: str = Field(examples=["environment"])
    secret: bool


class SettingsAnswer(Page):
    """GET /settings."""

    data: list[SettingData]


class ChannelTried(Model):
    """Whether one channel accepted the test message."""

    channel: str
    ok: bool
    error: str | None


class TestAnswer(Model):
    """POST /admin/test-notification; `success`: every channel accepted it."""

    success: bool
    data: list[ChannelTried]
    timestamp: Time
