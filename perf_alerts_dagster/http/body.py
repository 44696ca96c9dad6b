"""The body of a request: read after authentication, of bounded size and time, as strict JSON.

Strict JSON refuses ambiguous or extreme texts, which two readers may read differently.
"""

import asyncio
import json
import math
from typing import NoReturn

from fastapi import Request
from starlette.requests import ClientDisconnect

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.http.problems import Problem

LARGEST = 64 * 1024
# Less than the protocol's time, so that it is this answer that is logged.
_SECONDS = 7.0
_DEEPEST = 32
_LONGEST_INTEGER = 18


async def json_object(request: Request, *, within: float = _SECONDS) -> dict[str, Json]:
    """The members of the JSON object in the body; without a body, none.

    The media type of an empty body is not checked.

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
    """The whole body of a request, within size and time limits.

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


def strict_json(content: bytes) -> Json:
    """The value of a JSON text in UTF-8.

    Refused, besides invalid JSON: a byte order mark, members of the same name, NaN and
    infinities, numbers too large for a float or for 64 bits, lone surrogates, deep nesting.

    Raises:
        ValueError: it is refused; the text names the kind of fault, never the content.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error
    _refuse_deep(text)
    try:
        value: Json = json.loads(
            text,
            object_pairs_hook=_members,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        raise ValueError("it is not JSON") from error
    _refuse_surrogates(value)
    return value


def _refuse_deep(text: str) -> None:
    """Refuse deep nesting before the recursive parser runs."""
    depth = deepest = 0
    in_text = escaped = False
    for character in text:
        if in_text:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_text = False
        elif character == '"':
            in_text = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    if deepest > _DEEPEST:
        raise ValueError("it is nested too deeply")


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is given twice")
    return members


def _constant(text: str) -> NoReturn:
    raise ValueError("a number is not finite")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _integer(text: str) -> int:
    if len(text.removeprefix("-")) > _LONGEST_INTEGER:
        raise ValueError("a number is too large")
    return int(text)


def _refuse_surrogates(value: Json) -> None:
    # JSON permits a lone surrogate as an escape; encoding it as UTF-8 later would fail.
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("a text holds half a character") from error
