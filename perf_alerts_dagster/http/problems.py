"""Every error as one shape, RFC 9457: it names what is accepted and never shows what was sent."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

LOG = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_CODES = {404: "not_found", 405: "method_not_allowed"}
_DETAILS = {
    404: "there is nothing at this path",
    405: "this path does not know the method; Allow names those that it knows",
}


class Problem(Exception):
    """An answer that says what is wrong; `detail` is read by strangers.

    `code` is the stable word for programs. `title` is the status in words where none is given.
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


def problem_response(problem: Problem, request_id: str) -> Response:
    """The problem document as an answer."""
    content = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
    }
    return Response(
        json.dumps(content, allow_nan=False),
        status_code=problem.status,
        headers={"Cache-Control": "no-store", **problem.headers},
        media_type=MEDIA_TYPE,
    )


def internal(request_id: str) -> Problem:
    """What is said of an error that nobody foresaw."""
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


def of_http(status: int, headers: Mapping[str, str] | None = None) -> Problem:
    """A refusal of the framework; its own text may repeat what was sent, so it is not shown."""
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
    # Places are our own names for paths and queries; bodies are read by `body` and never here.
    places = sorted({".".join(str(part) for part in one["loc"][:2]) for one in exc.errors()})
    detail = f"not accepted: {', '.join(places)}"
    return problem_response(Problem(422, "validation", detail), request_id_of(request))
