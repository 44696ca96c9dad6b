"""What goes wrong behind the endpoints, as problem documents; one table says it all."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable, StoreUnavailable
from perf_alerts_dagster.http.inputs import (
    InputError,
    UnknownAlert,
    UnknownSilence,
    UnknownStrategy,
)
from perf_alerts_dagster.http.problems import Problem, problem_response, request_id_of
from perf_alerts_dagster.incidents.ports import UnknownIncident
from perf_alerts_dagster.incidents.transitions import TransitionRefused
from perf_alerts_dagster.scheduler.pauses import ToggleBusy
from perf_alerts_dagster.scheduler.port import (
    DefinitionsNotLoaded,
    SchedulerHung,
    SchedulerUnexpected,
    SchedulerUnreachable,
)
from perf_alerts_dagster.scheduler.trigger import KeyInUse, KeyMismatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How an error is answered; `detail` None means that its own text is safe to show."""

    status: int
    code: str
    detail: str | None = None
    retry_after: int | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that go with it."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


FAULTS: Mapping[type[Exception], Fault] = {
    InputError: Fault(status=422, code="validation"),
    UnknownAlert: Fault(status=404, code="unknown_alert", detail="there is no alert of this name"),
    UnknownStrategy: Fault(
        status=404, code="unknown_strategy", detail="there is no strategy of this name"
    ),
    KeyMismatch: Fault(
        status=422,
        code="idempotency_mismatch",
        detail="this Idempotency-Key was used for another request",
    ),
    KeyInUse: Fault(
        status=409,
        code="idempotency_in_progress",
        detail="the request with this Idempotency-Key is still under way; repeat it",
        retry_after=1,
    ),
    UnknownIncident: Fault(
        status=404, code="unknown_incident", detail="there is no incident of this id"
    ),
    UnknownSilence: Fault(
        status=404, code="unknown_silence", detail="there is no silence of this id that goes on"
    ),
    TransitionRefused: Fault(status=409, code="refused"),
    ToggleBusy: Fault(
        status=409,
        code="toggle_in_progress",
        detail="another change of this alert's schedule is under way",
        retry_after=1,
    ),
    SchedulerUnreachable: Fault(status=503, code="upstream_unavailable", retry_after=5),
    SchedulerHung: Fault(
        status=504,
        code="upstream_timeout",
        detail="Dagster did not answer in time; a change may still be carried out: repeat a "
        "trigger with the same Idempotency-Key",
    ),
    SchedulerUnexpected: Fault(
        status=502, code="upstream_error", detail="Dagster gave an unexpected answer"
    ),
    DefinitionsNotLoaded: Fault(status=503, code="alerts_unavailable", retry_after=5),
    StoreUnavailable: Fault(
        status=503,
        code="storage_unavailable",
        detail="the alert store cannot be used now",
        retry_after=2,
    ),
    RecordsUnavailable: Fault(
        status=503,
        code="records_unavailable",
        detail="the track record cannot be read now",
        retry_after=5,
    ),
    RecordsInvalid: Fault(
        status=503, code="records_invalid", detail="the record's source is no track record"
    ),
}


def answer_faults(app: FastAPI) -> None:
    """Answer every error of the table with its problem document."""
    for kind, fault in FAULTS.items():
        app.add_exception_handler(kind, _handler(fault))


def _handler(fault: Fault) -> Callable[[Request, Exception], Awaitable[Response]]:
    # Not a plain function: those are answered in a thread of their own.
    async def handle(request: Request, error: Exception) -> Response:
        problem = Problem(
            fault.status, fault.code, fault.detail or str(error), headers=fault.headers
        )
        return problem_response(problem, request_id_of(request))

    return handle
