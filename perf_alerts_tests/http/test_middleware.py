"""The outermost layer: ids, sizes, headers, and errors that nobody foresaw."""

from pathlib import Path

import pytest
from sqlalchemy import Engine
from starlette.types import Message, Receive, Scope, Send

from perf_alerts_dagster.http.middleware import Border
from perf_alerts_tests.server.gated import Gated, code, gated, key, settings_of

VIEWER = key("viewer")


@pytest.mark.parametrize("sent", ["abc-1.2_3", "x" * 64])
async def test_a_sane_request_id_is_given_back(gate: Gated, sent: str) -> None:
    answer = await gate.http.get("/auth/me", headers=VIEWER | {"X-Request-ID": sent})

    assert answer.headers["x-request-id"] == sent


@pytest.mark.parametrize(
    "sent", ["", " ", "a b", "x" * 65, "<script>", "é", "a\tb", "a,b", "ü" * 9]
)
async def test_another_request_id_is_replaced(gate: Gated, sent: str) -> None:
    headers = {name.encode(): value.encode() for name, value in VIEWER.items()}
    answer = await gate.http.get("/auth/me", headers=headers | {b"X-Request-ID": sent.encode()})

    found = answer.headers["x-request-id"]
    assert len(found) == 32
    assert set(found) <= set("0123456789abcdef")


async def test_two_request_ids_are_replaced_by_one(gate: Gated) -> None:
    ids = [("X-Request-ID", "a"), ("X-Request-ID", "b")]
    answer = await gate.http.get("/auth/me", headers=[*VIEWER.items(), *ids])

    assert len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize("path", ["/auth/me", "/nowhere", "/boom"])
@pytest.mark.parametrize("headers", [{}, VIEWER])
async def test_every_answer_carries_the_headers_that_keep_browsers_out(
    gate: Gated, path: str, headers: dict[str, str]
) -> None:
    answer = await gate.http.get(path, headers=headers)

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert not {name for name in answer.headers if name.startswith("access-control")}


async def test_an_error_that_nobody_foresaw_is_in_the_log_and_not_in_the_answer(
    gate: Gated, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await gate.http.get("/boom", headers=VIEWER | {"X-Request-ID": "boom-1"})

    assert code(answer) == (500, "internal")
    assert "boom-1" in answer.json()["detail"]
    assert "a-secret-in-an-error" not in answer.text
    assert "RuntimeError" not in answer.text
    (record,) = [one for one in caplog.records if one.exc_info]
    assert "boom-1" in record.getMessage()


async def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    sent: list[Message] = []

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("late")

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "headers": [], "raw_path": b"/", "query_string": b""}
    with pytest.raises(RuntimeError, match="late"):
        await Border(broken)(scope, receive, send)
    assert [one["type"] for one in sent] == ["http.response.start"]


async def test_a_websocket_is_closed_before_anything_else_sees_it() -> None:
    sent: list[Message] = []

    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    await Border(never)({"type": "websocket", "headers": []}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/auth/me", {"X": "x" * 8191}, (200, "")),
        ("/auth/me", {"X": "x" * 8192}, (431, "headers_too_large")),
        (
            "/auth/me",
            {"X": "x" * 8000, "Y": "y" * 8000, "Z": "z" * 1000},
            (431, "headers_too_large"),
        ),
        ("/auth/me", {f"X-{number}": "x" for number in range(64)}, (431, "headers_too_large")),
        ("/auth/me?x=" + "x" * 3000, {}, (414, "uri_too_long")),
        ("/" + "x" * 3000, {}, (414, "uri_too_long")),
        (
            "/auth/me",
            {"Transfer-Encoding": "chunked", "Content-Length": "1"},
            (400, "ambiguous_length"),
        ),
    ],
)
async def test_what_is_larger_than_anything_we_ask_for_is_refused(
    gate: Gated, path: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    answer = await gate.http.get(path, headers=VIEWER | headers)

    if expected[0] == 200:
        assert answer.status_code == 200
        return
    assert code(answer) == expected
    assert answer.headers["connection"] == "close"


async def test_an_unknown_path_is_told_only_to_those_who_are_known(gate: Gated) -> None:
    assert code(await gate.http.get("/nowhere", headers=VIEWER)) == (404, "not_found")
    assert code(await gate.http.get("/auth/me/", headers=VIEWER)) == (404, "not_found")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "BREW"])
async def test_a_method_that_is_not_known_is_refused_with_those_that_are(
    gate: Gated, method: str
) -> None:
    answer = await gate.http.request(method, "/auth/me", headers=VIEWER)

    assert code(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


async def test_a_value_that_does_not_fit_is_named_by_its_place_and_not_repeated(
    gate: Gated,
) -> None:
    answer = await gate.http.get("/typed/canary", headers=VIEWER)

    assert code(answer) == (422, "validation")
    assert "path.number" in answer.json()["detail"]
    assert "canary" not in answer.text


@pytest.mark.parametrize(
    ("url", "expected"),
    [("https://alerts.example", "max-age=31536000"), ("http://alerts.example", None), ("", None)],
)
async def test_behind_https_every_answer_asks_browsers_to_stay_there(
    control_engine: Engine, tmp_path: Path, url: str, expected: str | None
) -> None:
    async with gated(settings_of(tmp_path, ALERT_PUBLIC_URL=url), control_engine) as gate:
        for path in ("/auth/me", "/nowhere", f"/{'x' * 3000}"):
            answer = await gate.http.get(path, headers=VIEWER)
            assert answer.headers.get("strict-transport-security") == expected
