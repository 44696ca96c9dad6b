"""What the login of the web UI asks the REST API, how often, and what it answers by itself."""

import asyncio
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from perf_alerts_dagster.control.principal import SYSTEM, Principal
from perf_alerts_dagster.settings import load_settings
from perf_alerts_dagster.stack import ui_login
from perf_alerts_dagster.stack.browser_guard import Guard, own_hosts
from perf_alerts_dagster.stack.ui_login import SESSION_COOKIES, WHOSE, Login, Sessions
from perf_alerts_tests.asgi import served
from perf_alerts_tests.stack.stacks import free_port

OPERATOR = {
    "user_id": "operator:ann",
    "username": "ann",
    "roles": ["operator"],
    "permissions": ["alert:view_status", "alert:trigger_manual"],
}
ANN = Principal(
    user_id="operator:ann",
    username="ann",
    roles=("operator",),
    permissions=frozenset({"alert:view_status", "alert:trigger_manual"}),
    key_id="",
)
BROWSER = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}


class RestApi:
    """Answers whose a token is, in the REST API's words, and counts what it is asked."""

    def __init__(self, status: int = 200, body: bytes = json.dumps(OPERATOR).encode()) -> None:
        self.status, self.body = status, body
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert (scope["method"], scope["path"]) == ("GET", WHOSE)
        self.asked.append(Headers(scope=scope)["Authorization"])
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": self.body})


async def inner(scope: Scope, receive: Receive, send: Send) -> None:
    person = scope["state"]["person"]
    name = "a process" if person is None else person.user_id
    await PlainTextResponse(name)(scope, receive, send)


async def get(
    path: str = "/runs", *, host: str = "127.0.0.1", cookie: str = "", **settings: Any
) -> httpx.Response:
    """The answer to a browser, through the guard and the login."""
    environ = {f"ALERT_{name.upper()}": str(value) for name, value in settings.items()}
    login = Login(inner, settings=load_settings(environ, None), token="ours")
    transport = httpx.ASGITransport(app=Guard(login, hosts=own_hosts(3000)))
    cookies = {SESSION_COOKIES[0]: cookie} if cookie else {}
    async with httpx.AsyncClient(
        transport=transport, base_url=f"http://{host}:3000", cookies=cookies
    ) as client:
        return await client.get(path, headers=BROWSER)


async def test_a_session_is_asked_for_once_by_many_and_again_two_seconds_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = RestApi()
    api.may_answer.clear()
    async with served(api) as url:
        sessions = Sessions(url)
        waiting = [asyncio.create_task(sessions.whose("a.b.c")) for _ in range(50)]
        while not api.asked:
            await asyncio.sleep(0.01)
        # One who leaves does not take the answer from the others.
        waiting[0].cancel()
        api.may_answer.set()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        monkeypatch.setattr(ui_login, "_KEEP", -1.0)
        api.status = 401
        after = await sessions.whose("a.b.c")

    assert answers[1:] == [ANN] * 49
    assert after is None
    assert api.asked == ["Bearer a.b.c"] * 2


async def test_the_sessions_that_are_remembered_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ui_login, "_MAXIMUM_SESSIONS", 3)
    api = RestApi(401)
    async with served(api) as url:
        sessions = Sessions(url)
        for number in range(10):
            await sessions.whose(f"token-{number}")

    assert len(sessions._asked) == 3


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, json.dumps(OPERATOR).encode(), 200),
        (200, json.dumps(OPERATOR | {"permissions": []}).encode(), 403),
        (401, b"", 303),
        (403, b"", 303),
        (429, b"", 303),
        (500, b"", 503),
        (503, b"", 503),
        (302, b"", 503),
        (200, b"<html>", 503),
        (200, b"[]", 503),
        (200, b'{"user_id": "x"}', 503),
    ],
)
async def test_each_answer_of_the_rest_api_is_understood(
    status: int, body: bytes, expected: int
) -> None:
    port = free_port()
    async with served(RestApi(status, body), port):
        answer = await get(cookie="a.b.c", proxy_port=port)

    assert answer.status_code == expected
    assert expected != 200 or answer.text == "operator:ann"


async def test_where_nothing_answers_the_page_says_what_to_start() -> None:
    port = free_port()

    answer = await get(cookie="a.b.c", proxy_port=port)

    assert answer.status_code == 503
    assert f"http://127.0.0.1:{port}" in answer.text
    assert "perf-alerts proxy" in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
@pytest.mark.parametrize("listens", ["127.0.0.1", "0.0.0.0", "::", "localhost"])
async def test_the_login_page_is_asked_for_under_the_browsers_own_name(
    host: str, listens: str
) -> None:
    keys = {"admin_api_key": "pa_admin_only-for-the-tests-0123456789abcdef"}
    answer = await get("/runs?a=%2Fb", host=host, proxy_host=listens, **keys)

    back = quote(f"http://{host}:3000/runs?a=%2Fb", safe="")
    assert answer.headers["Location"] == f"http://{host}:8089/login?next={back}"


async def test_an_address_that_the_browser_cannot_share_a_login_with_is_named() -> None:
    keys = {"admin_api_key": "pa_admin_only-for-the-tests-0123456789abcdef"}
    answer = await get(proxy_host="192.0.2.7", **keys)

    assert answer.status_code == 401
    assert "ALERT_PROXY_HOST is 192.0.2.7" in answer.text


async def test_without_authentication_everybody_is_the_system() -> None:
    answer = await get(auth_enabled="false")

    assert (answer.status_code, answer.text) == (200, SYSTEM.user_id)
