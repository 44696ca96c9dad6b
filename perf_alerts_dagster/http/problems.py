"""Every error as one shape, RFC 9457: it names what is accepted and never shows what was sent.

`FAULTS` is the one table of statuses and codes for the errors of the rooms below.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field
from starlette.exceptions import HTTPException

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable, StoreUnavailable
from perf_alerts_dagster.http.inputs import (
    InputError,
    UnknownAlert,
    UnknownSilence,
    UnknownStrategy,
)
from perf_alerts_dagster.http.schemas import Model
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

MEDIA_TYPE = "application/problem+json"
_CODES = {404: "not_found", 405: "method_not_allowed"}
_DETAILS = {
    404: "there is nothing at this path",
    405: "this path does not know the method; Allow names those that it knows",
}


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


class Problem(Exception):
    """An error answer; its `detail` is public and must hold nothing confidential.

    `code` is stable, for programs. `title` is the standard phrase of the status by default.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.title = title or HTTPStatus(status).phrase
        self.headers = dict(headers or {})


class ProblemDocument(Model):
    """RFC 9457. It names what is accepted, and never repeats what was sent."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no alert of this name"])
    code: str = Field(description="The stable word for programs.", examples=["unknown_alert"])
    request_id: str = Field(examples=["b4de187efbe74aafbfc105bc72a3af29"])


def problem_response(problem: Problem, request_id: str) -> Response:
    """The problem document as an answer."""
    content = ProblemDocument(
        type="about:blank",
        title=problem.title,
        status=problem.status,
        detail=problem.detail,
        code=problem.code,
        request_id=request_id,
    )
    return Response(
        content.model_dump_json(),
        status_code=problem.status,
        headers={"Cache-Control": "no-store", **problem.headers},
        media_type=MEDIA_TYPE,
    )


def internal(request_id: str) -> Problem:
    """The answer to an unexpected error: it names the request, and the log has the details."""
    return Problem(
        500,
        "internal",
        f"something went wrong here; the log says more about the request {request_id}",
    )


def request_id_of(request: Request) -> str:
    """The id of a request; the authentication middleware gave it."""
    return str(getattr(request.state, "request_id", ""))


def add_handlers(app: FastAPI) -> None:
    """Have all errors of the framework and of the endpoints answered as problems."""
    app.add_exception_handler(Problem, _of_problem)
    app.add_exception_handler(HTTPException, _of_framework)
    app.add_exception_handler(RequestValidationError, _of_validation)
    for kind, fault in FAULTS.items():
        app.add_exception_handler(kind, _handler(fault))


def of_http(status: int, headers: Mapping[str, str] | None = None) -> Problem:
    """The problem for an error of the framework, without its text, which may repeat the request."""
    return Problem(
        status,
        _CODES.get(status, "invalid_request" if status < 500 else "internal"),
        _DETAILS.get(status, "the request cannot be answered"),
        headers=headers,
    )


async def _of_problem(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, Problem):
        raise exc
    return problem_response(exc, request_id_of(request))


async def _of_framework(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, HTTPException):
        raise exc
    return problem_response(of_http(exc.status_code, exc.headers), request_id_of(request))


async def _of_validation(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, RequestValidationError):
        raise exc
    # `loc` holds parameter names of ours; no body is validated by FastAPI.
    names = sorted({".".join(str(part) for part in error["loc"][:2]) for error in exc.errors()})
    detail = f"not accepted: {', '.join(names)}"
    return problem_response(Problem(422, "validation", detail), request_id_of(request))


def _handler(fault: Fault) -> Callable[[Request, Exception], Awaitable[Response]]:
    # Not a plain function: those are answered in a thread of their own.
    async def handle(request: Request, error: Exception) -> Response:
        problem = Problem(
            fault.status, fault.code, fault.detail or str(error), headers=fault.headers
        )
        return problem_response(problem, request_id_of(request))

    return handle
