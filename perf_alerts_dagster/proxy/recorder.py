"""The recorder of what a request changes in Dagster."""

from collections.abc import Mapping

from fastapi import Request

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.control.principal import Principal
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.proxy.resources import resources_of
from perf_alerts_dagster.scheduler.audited import Recorder


def recorder(
    request: Request, who: Principal, action: str, target: str, said: Mapping[str, Json]
) -> Recorder:
    """The recorder of one request's change; `said` is what came with the request."""
    resources = resources_of(request)
    return Recorder(
        audit=resources.parts.identity.audit,
        change=Change(
            at=resources.now(),
            actor=who.user_id,
            key_id=who.key_id,
            address=request.client.host if request.client else "",
            action=action,
            target=target,
            request_id=request.state.request_id,
            after={name: value for name, value in said.items() if value is not None},
        ),
    )
