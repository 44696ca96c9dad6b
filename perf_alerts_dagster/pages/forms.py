"""What the forms of several pages need: times of the desk's zone, and owners."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from http import HTTPStatus

from fastapi import Request

from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.http.inputs import InputError
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.judging.standings.ports import StandingFilter

_LOCAL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?", re.ASCII)
# What a person corrects in the form that was sent.
_CORRECTED = frozenset({HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED, 422, 429})


def moment_text(text: str, field: str, zone: tzinfo) -> str:
    """What an input of a date and a time holds, in the desk's zone, as the API takes it.

    Raises:
        InputError: it holds no such time.
    """
    if _LOCAL.fullmatch(text.strip()):
        with suppress(ValueError, OverflowError):
            local = datetime.fromisoformat(text.strip()).replace(tzinfo=zone)
            return timestamp(local.astimezone(UTC))
    raise InputError(field, f"a date and a time of {zone}, such as 2026-01-30T17:00")


def refusal(error: InputError | Problem) -> tuple[str, int]:
    """What a page says of a form that was not accepted, and its status.

    Raises:
        Problem: it is nothing that a person corrects in the form.
    """
    if isinstance(error, InputError):
        return str(error), 422
    if error.status not in _CORRECTED:
        raise error
    return error.detail, error.status


async def owners_of(request: Request, names: Iterable[str | None]) -> Mapping[str, str]:
    """The owners of those strategies that have one, by name."""
    wanted = frozenset(name for name in names if name)
    found = await asyncio.to_thread(
        api_of(request).parts.standings.standings,
        StandingFilter(names=wanted),
        limit=len(wanted),
    )
    owners = {each.strategy: each.member.owner for each in found.rows}
    return {name: owner for name, owner in owners.items() if owner}
