"""GET /health/live and /health/ready."""

from typing import Literal

from perf_alerts_dagster.http.schemas import Model, Time


class LiveAnswer(Model):
    """GET /health/live."""

    status: Literal["alive"]


class CheckResult(Model):
    """One check of readiness; `detail` says what is wrong."""

    ok: bool
    detail: str | None


class ReadyAnswer(Model):
    """GET /health/ready; `failing` names the checks that do not hold."""

    ready: bool
    failing: list[str]
    checks: dict[str, CheckResult]
    timestamp: Time
