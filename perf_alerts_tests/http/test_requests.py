"""Requests as models: what is refused, in which words, and what OpenAPI says of it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Request
from httpx import ASGITransport, AsyncClient
from pydantic import Field

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http.inputs import Day, Reason, StrategyName, member_of
from perf_alerts_dagster.http.problems import add_handlers
from perf_alerts_dagster.http.requests import (
    Absent,
    Body,
    Empty,
    Paged,
    Parameters,
    body_of,
    headers_of,
    openapi_of,
    query_of,
    to_cursor,
)


class Inner(Body):
    """A part."""

    number: Absent[float] = None
    severity: Absent[Annotated[Severity, member_of(Severity)]] = None


class Outer(Body):
    """A body."""

    name: Annotated[str, Field(min_length=1)]
    day: Absent[Day] = None
    reason: Absent[Reason] = None
    version: Absent[Annotated[int, Field(ge=0)]] = None
    parts: dict[StrategyName, Inner] = Field(default_factory=dict)


class Tag(Parameters):
    """A header."""

    tag: Absent[Reason] = Field(None, alias="X-Tag", description="A line.")


def app() -> FastAPI:
    """An application of three endpoints that read a body, a query and a header."""
    found = FastAPI()
    add_handlers(found)

    @found.post("/body", openapi_extra=openapi_of(body=Outer))
    async def body(request: Request) -> dict[str, Any]:
        return (await body_of(request, Outer, today=date(2026, 1, 30))).model_dump(mode="json")

    @found.post("/empty")
    async def empty(request: Request) -> dict[str, Any]:
        return (await body_of(request, Empty)).model_dump()

    @found.get("/query", openapi_extra=openapi_of(query=Paged, headers=Tag))
    async def query(request: Request) -> dict[str, Any]:
        return query_of(request, Paged).model_dump() | headers_of(request, Tag).model_dump()

    return found


def client() -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app()), base_url="http://test")


async def test_a_body_is_read_as_its_model() -> None:
    sent = {"name": "a", "day": "2026-01-30", "parts": {"x": {"number": 1, "severity": "info"}}}
    async with client() as http:
        answer = await http.post("/body", json=sent)

    assert answer.json() == sent | {"reason": None, "version": None}


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        ({}, "name: a text of 1 or more characters, which must be given"),
        ({"name": ""}, "name: a text of 1 or more characters"),
        ({"name": 1}, "name: a text of 1 or more characters"),
        ({"name": None}, "name: a text of 1 or more characters"),
        (
            {"name": "a", "canary": 1},
            "body: a member is unknown; known: name, day, reason, version, parts",
        ),
        (
            {"name": "a", "day": "canary"},
            "day: a date YYYY-MM-DD from 2000-01-01 to today (2026-01-30)",
        ),
        ({"name": "a", "day": None}, "day: a text"),
        ({"name": "a", "reason": "canary\n"}, "reason: a line of 1 to 500 printable characters"),
        ({"name": "a", "version": -1}, "version: a whole number, 0 or above"),
        ({"name": "a", "version": True}, "version: a whole number, 0 or above"),
        ({"name": "a", "version": 1.0}, "version: a whole number, 0 or above"),
        ({"name": "a", "parts": []}, "parts: an object"),
        ({"name": "a", "parts": {"canary": 1}}, "parts[1]: an object of number, severity"),
        (
            {"name": "a", "parts": {"x": {}, "canary": {"canary": 1}}},
            "parts[2]: a member is unknown; known: number, severity",
        ),
        ({"name": "a", "parts": {"canary": {"number": "canary"}}}, "parts[1].number: a number"),
        (
            {"name": "a", "parts": {"canary": {"severity": "canary"}}},
            "parts[1].severity: one of info, warning, critical, emergency",
        ),
        (
            {"name": "a", "parts": {"canary\n": {}}},
            "parts[1]: a name of 1 to 200 printable characters",
        ),
    ],
)
async def test_a_refusal_names_the_field_and_what_is_accepted_and_repeats_nothing(
    sent: Mapping[str, object], detail: str
) -> None:
    async with client() as http:
        answer = await http.post("/body", json=sent)

    assert (answer.status_code, answer.json()["code"]) == (422, "validation")
    assert answer.json()["detail"] == detail


async def test_a_request_without_a_body_may_hold_an_empty_object_and_nothing_else() -> None:
    async with client() as http:
        empty = await http.post("/empty", json={})
        other = await http.post("/empty", json={"canary": 1})

    assert empty.status_code == 200
    assert other.json()["detail"] == "body: a member is unknown; known: none"


async def test_parameters_are_given_once_and_unknown_ones_mean_nothing() -> None:
    async with client() as http:
        found = await http.get(
            f"/query?limit=7&cursor={to_cursor('b')}&x=1", headers={"X-Tag": "t"}
        )
        default = await http.get("/query")
        twice = await http.get("/query?limit=1&limit=1")
        headers = [("X-Tag", "a"), ("X-Tag", "b")]
        two = await http.get("/query", headers=headers)

    assert found.json() == {"cursor": "b", "limit": 7, "tag": "t"}
    assert default.json() == {"cursor": None, "limit": 50, "tag": None}
    assert twice.json()["detail"] == "limit: given once"
    assert two.json()["detail"] == "X-Tag: given once"


def test_the_openapi_of_a_request_is_that_of_its_models() -> None:
    operations = app().openapi()["paths"]
    body = operations["/body"]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]

    assert body["required"] is True
    assert schema["required"] == ["name"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["name"] == {"type": "string", "minLength": 1}
    assert schema["properties"]["day"]["format"] == "date"
    assert schema["properties"]["parts"]["additionalProperties"]["properties"]["number"] == {
        "type": "number"
    }
    assert operations["/query"]["get"]["parameters"] == [
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
            "description": "How many entries a page holds at most.",
            "schema": {"type": "integer", "minimum": 1, "maximum": 500, "default": 50},
        },
        {
            "name": "X-Tag",
            "in": "header",
            "required": False,
            "description": "A line.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 500},
        },
    ]


def test_a_time_is_checked_against_the_time_of_the_request() -> None:
    from perf_alerts_dagster.proxy.schemas import DisableBody

    now = datetime(2026, 1, 30, tzinfo=UTC)
    body = DisableBody.model_validate({"until": "2026-01-31T00:00:00Z"}, context={"now": now})

    assert body.until == datetime(2026, 1, 31, tzinfo=UTC)
