"""Answers about health and test messages."""

from typing import Literal

from perf_alerts_dagster.http.schemas import Model, Time


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
