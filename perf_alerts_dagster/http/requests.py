"""What endpoints need of a request, and how they answer: bodies, queries, cursors."""

import base64
import binascii
from collections.abc import Mapping

from fastapi import Request, Response

from perf_alerts_dagster.http.body import json_object
from perf_alerts_dagster.http.inputs import InputError, whole
from perf_alerts_dagster.http.schemas import Model

_LONGEST = 512


def to_cursor(place: str | None) -> str | None:
    """The cursor of a place; None where there is no next page."""
    if place is None:
        return None
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def from_cursor(cursor: str) -> str:
    """The place that a cursor stands for.

    Raises:
        ValueError: it is none of ours.
    """
    if len(cursor) > _LONGEST:
        raise ValueError("no cursor of ours")
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        place = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise ValueError("no cursor of ours") from error
    if to_cursor(place) != cursor:
        raise ValueError("no cursor of ours")
    return place


_LIMIT = 50
_MAXIMUM = 500


def answered(model: Model, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A model as the answer, written once: FastAPI would check and copy it again."""
    return Response(
        model.model_dump_json(),
        status_code=status,
        headers=headers,
        media_type="application/json",
    )


async def fields(request: Request, *known: str) -> dict[str, str]:
    """The body's fields, all optional and all text; an empty body has none.

    Raises:
        Problem: the body is none of JSON, or too large.
        InputError: a field is unknown, or no text.
    """
    found = {}
    for name, value in (await json_object(request)).items():
        if name not in known:
            accepted = f"only {' and '.join(known)}" if known else "no field"
            raise InputError("body", f"{accepted} is accepted")
        if not isinstance(value, str):
            raise InputError(name, "a text")
        found[name] = value
    return found


def query(request: Request, *known: str) -> dict[str, str]:
    """The known parameters of the query, each given once.

    Raises:
        InputError: one is given twice.
    """
    found = {}
    for name in known:
        values = request.query_params.getlist(name)
        if len(values) > 1:
            raise InputError(name, "given once")
        if values:
            found[name] = values[0]
    return found


# For the document; the endpoints read them by `cursor` and `limit`.
PAGED: list[dict[str, object]] = [
    {
        "name": "cursor",
        "in": "query",
        "required": False,
        "description": "The next_cursor of the page before.",
        "schema": {"type": "string"},
    },
    {
        "name": "limit",
        "in": "query",
        "required": False,
        "schema": {"type": "integer", "minimum": 1, "maximum": _MAXIMUM, "default": _LIMIT},
    },
]


def cursor(given: Mapping[str, str]) -> str | None:
    """The place at which a page begins; None for the first.

    Raises:
        InputError: the cursor is none of ours.
    """
    if "cursor" not in given:
        return None
    try:
        return from_cursor(given["cursor"])
    except ValueError as error:
        raise InputError("cursor", "the next_cursor of the page before") from error


def limit(given: Mapping[str, str]) -> int:
    """How many entries a page holds.

    Raises:
        InputError: the limit is no number, or out of bounds.
    """
    return whole(given.get("limit", str(_LIMIT)), "limit", minimum=1, maximum=_MAXIMUM)
