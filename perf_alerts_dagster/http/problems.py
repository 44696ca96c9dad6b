"""Errors as problem documents (RFC 9457), which name accepted values and never repeat sent ones.

`FAULTS` maps each error of the packages below to its status and code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field
from starlette.exceptions import HTTPException

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable, StoreUnavailable
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.schemas import Model
from perf_alerts_dagster.incidents.ports import UnknownIncident
from perf_alerts_dagster.incidents.transitions import TransitionRefused
from perf_alerts_dagster.scheduler import port
from perf_alerts_dagster.scheduler.pauses import ToggleBusy
from perf_alerts_dagster.scheduler.trigger import KeyInUse, KeyMismatch

MEDIA_TYPE = "application/problem+json"
# The code and detail of the framework's own errors.
_FRAMEWORK = {
    404: ("not_found", "there is nothing at this path"),
    405: (
        "method_not_allowed",
        "this path does not know the method; Allow names those that it knows",
    ),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """The answer to an error; `detail` None means that the error's own text is safe to show."""

    status: int
    code: str
    detail: str | None = None
    retry_after: int | None = None


FAULTS: Mapping[type[Exception], Fault] = {
    inputs.InputError: Fault(422, "validation"),
    inputs.UnknownAlert: Fault(404, "unknown_alert", "there is no alert of this name"),
    inputs.UnknownStrategy: Fault(404, "unknown_strategy", "there is no strategy of this name"),
    UnknownIncident: Fault(404, "unknown_incident", "there is no incident of this id"),
    inputs.UnknownSilence: Fault(
        404, "unknown_silence", "there is no silence of this id that goes on"
    ),
    TransitionRefused: Fault(409, "refused"),
    KeyMismatch: Fault(
        422, "idempotency_mismatch", "this Idempotency-Key was used for another request"
    ),
    KeyInUse: Fault(
        409,
        "idempotency_in_progress",
        "the request with this Idempotency-Key is still under way; repeat it",
        retry_after=1,
    ),
    ToggleBusy: Fault(
        409,
        "toggle_in_progress",
        "another change of this alert's schedule is under way",
        retry_after=1,
    ),
    port.SchedulerUnreachable: Fault(503, "upstream_unavailable", retry_after=5),
    port.SchedulerHung: Fault(
        504,
        "upstream_timeout",
        "Dagster did not answer in time (ALERT_DAGSTER_SECONDS); a change may still be carried "
        "out: repeat a trigger with the same Idempotency-Key",
    ),
    port.SchedulerUnexpected: Fault(502, "upstream_error", "Dagster gave an unexpected answer"),
    port.DefinitionsNotLoaded: Fault(503, "alerts_unavailable", retry_after=5),
    StoreUnavailable: Fault(
        503, "storage_unavailable", "the alert store cannot be used now", retry_after=2
    ),
    RecordsUnavailable: Fault(
        503, "records_unavailable", "the track record cannot be read now", retry_after=5
    ),
    RecordsInvalid: Fault(503, "records_invalid", "the record's source is no track record"),
}


class Problem(Exception):
    """An error answer; its `detail` is public and must hold nothing confidential.

    `code` is stable, for programs. `title` is the standard phrase of the status.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.title = HTTPStatus(status).phrase
        self.headers = dict(headers or {})


class ProblemDocument(Model):
    """RFC 9457; `detail` names accepted values, and never repeats sent ones."""

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


async def error_response(request: Request, problem: Problem) -> Response:
    """A problem as an answer: as a page of `app.state.error_page`, where a person asks for one.

    Its function gets the request and the problem, and gives None where a program asks.
    """
    page = getattr(request.app.state, "error_page", None)
    answer: Response | None = await page(request, problem) if page else None
    return answer or problem_response(problem, request_id_of(request))


def request_id_of(request: Request) -> str:
    """The id of a request, which the authentication middleware set."""
    return str(getattr(request.state, "request_id", ""))


def add_handlers(app: FastAPI) -> None:
    """Have all errors of the framework and of the endpoints answered as problems."""

    # Not a plain function: those are answered in a thread of their own.
    async def handle(request: Request, error: Exception) -> Response:
        return await error_response(request, _problem_of(error))

    for kind in (Problem, HTTPException, RequestValidationError, *FAULTS):
        app.add_exception_handler(kind, handle)


def _problem_of(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case HTTPException(status_code=status):
            # Its own text may repeat the request.
            other = "invalid_request" if status < 500 else "internal"
            code, detail = _FRAMEWORK.get(status, (other, "the request cannot be answered"))
            return Problem(status, code, detail, headers=error.headers)
        case RequestValidationError():
            # `loc` holds parameter names of ours; no body is validated by FastAPI.
            names = {".".join(str(part) for part in fault["loc"][:2]) for fault in error.errors()}
            return Problem(422, "validation", f"not accepted: {', '.join(sorted(names))}")
    fault = next(FAULTS[kind] for kind in type(error).__mro__ if kind in FAULTS)
    after = fault.retry_after
    return Problem(
        fault.status,
        fault.code,
        fault.detail or str(error),
        headers=None if after is None else {"Retry-After": str(after)},
    )
