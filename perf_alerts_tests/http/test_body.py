"""Bodies: bounds, media types, and the problem of everything that is none."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from perf_alerts_dagster.http.body import LARGEST
from perf_alerts_tests.server.gated import Gated, code, key

VIEWER = key("viewer")
JSON = VIEWER | {"Content-Type": "application/json"}


async def chunks(*parts: bytes, stop: bool = False) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if stop:
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    "headers",
    [{}, {"Content-Type": "text/plain"}, {"Content-Type": ""}, {"Content-Encoding": "gzip"}],
)
async def test_an_empty_body_is_an_empty_object_of_any_kind(
    gate: Gated, headers: dict[str, str]
) -> None:
    answer = await gate.http.post("/echo", headers=VIEWER | headers)

    assert answer.json() == {"body": {}}


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/json ",
    ],
)
async def test_json_is_read(gate: Gated, kind: str) -> None:
    headers = VIEWER | {"Content-Type": kind}
    answer = await gate.http.post("/echo", content=b'{"a": [1, "\xc3\xa9"]}', headers=headers)

    assert answer.json() == {"body": {"a": [1, "é"]}}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": ""},
        {"Content-Type": "text/plain"},
        {"Content-Type": "text/plain; application/json"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/json", "Content-Encoding": "br, identity"},
    ],
)
async def test_another_media_type_is_refused(gate: Gated, headers: dict[str, str]) -> None:
    answer = await gate.http.post("/echo", content=b"{}", headers=VIEWER | headers)

    assert code(answer) == (415, "unsupported_media_type")


async def test_two_media_types_are_refused(gate: Gated) -> None:
    kinds = [("Content-Type", "application/json"), ("Content-Type", "text/plain")]
    answer = await gate.http.post("/echo", content=b"{}", headers=[*VIEWER.items(), *kinds])

    assert code(answer) == (415, "unsupported_media_type")


async def test_a_body_of_the_largest_size_is_read_and_one_byte_more_is_not(gate: Gated) -> None:
    content = b'{"a":"' + b"x" * (LARGEST - 8) + b'"}'
    fits = await gate.http.post("/echo", content=content, headers=JSON)
    more = await gate.http.post("/echo", content=content + b" ", headers=JSON)

    assert fits.status_code == 200
    assert code(more) == (413, "body_too_large")
    assert more.headers["connection"] == "close"


async def test_a_body_without_a_length_is_counted_while_it_comes(gate: Gated) -> None:
    content = chunks(*[b"x" * 1024] * 65, stop=True)
    answer = await gate.http.post("/echo", content=content, headers=JSON)

    assert code(answer) == (413, "body_too_large")


async def test_a_body_that_stops_on_its_way_is_not_waited_for(gate: Gated) -> None:
    answer = await gate.http.post("/echo", content=chunks(b'{"a":', stop=True), headers=JSON)

    assert code(answer) == (408, "body_timeout")


@pytest.mark.parametrize("content", [b"[]", b"1", b'"x"', b"null", b"true"])
async def test_json_that_is_no_object_is_refused(gate: Gated, content: bytes) -> None:
    answer = await gate.http.post("/echo", content=content, headers=JSON)

    assert code(answer) == (422, "validation")


@pytest.mark.parametrize(
    "content",
    [b"{", b" ", b"\xff", b'{"a":NaN}', b'{"a":1e400}', b'{"a":"\\ud800"}', b'{"a":1,"a":2}'],
)
async def test_what_is_no_strict_json_is_refused(gate: Gated, content: bytes) -> None:
    answer = await gate.http.post("/echo", content=content, headers=JSON)

    assert code(answer) == (400, "bad_json")
