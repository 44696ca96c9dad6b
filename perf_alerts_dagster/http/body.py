"""The body of a request: read after authentication, of bounded size and time, as strict JSON."""

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.http.strict_json import strict_json

LARGEST = 64 * 1024
# uvicorn sets no time limit for a body.
_SECONDS = 10.0


async def json_object(request: Request, *, within: float = _SECONDS) -> dict[str, Json]:
    """The members of the body; an empty body is an empty object, whatever its media type.

    Raises:
        Problem: 413 above 64 KiB, 415 for another media type or an encoded body, 400 for a
            text that is not strict JSON in UTF-8, 422 for JSON that is not an object, 408 for a
            slow sender.
    """
    content = await read_body(request, within=within)
    if not content:
        return {}
    _check_type(request)
    try:
        value = strict_json(content)
    except ValueError as error:
        raise Problem(400, "bad_json", f"the body must be JSON in UTF-8: {error}") from error
    if not isinstance(value, dict):
        raise Problem(422, "validation", "the body must be a JSON object")
    return value


async def read_body(request: Request, *, within: float = _SECONDS) -> bytes:
    """All bytes of a body.

    Raises:
        Problem: 413 above 64 KiB, 408 for a slow sender.
    """
    content = bytearray()
    try:
        async with asyncio.timeout(within):
            async for chunk in request.stream():
                content += chunk
                if len(content) > LARGEST:
                    raise Problem(
                        413,
                        "body_too_large",
                        f"the body must have at most {LARGEST} bytes",
                        headers={"Connection": "close"},
                    )
    except TimeoutError as error:
        raise Problem(
            408,
            "body_timeout",
            f"the body did not arrive within {within:g} seconds",
            headers={"Connection": "close"},
        ) from error
    except ClientDisconnect as error:
        # No client reads this answer; it ends the request without a logged traceback.
        raise Problem(400, "disconnected", "the connection was closed") from error
    return bytes(content)


def _check_type(request: Request) -> None:
    types = request.headers.getlist("content-type")
    kind = types[0].split(";")[0].strip().lower() if len(types) == 1 else ""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if kind != "application/json" or encoding != "identity":
        raise Problem(
            415,
            "unsupported_media_type",
            "the body must be application/json, not encoded",
            headers={"Accept": "application/json"},
        )
