"""The link that logs one person in, once: what it does, what it gives away, and to whom."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from perf_alerts_dagster.http.paths import logged
from perf_alerts_dagster.identity.keys import key_for_links
from perf_alerts_dagster.identity.login_links import SqlLoginLinks
from perf_alerts_dagster.identity.trail import change_in
from perf_alerts_dagster.settings import load_settings
from perf_alerts_tests.pages.test_routes import COOKIE, browser, proxy
from perf_alerts_tests.server.apps import KEYS, SECRETS, Proxy

__all__ = ["proxy"]

UNKNOWN = "A" * 22
ENDED = "This link logs nobody in any more"


@pytest.fixture
async def page(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(proxy) as client:
        yield client


def issue(proxy: Proxy) -> str:
    """The path of a new link."""
    key = key_for_links(proxy.settings)
    assert key is not None
    change = change_in(
        {}, "create_login_link", f"login_links/{key.user_id}", at=proxy.time(), actor="cli:me"
    )
    return f"/login/{SqlLoginLinks(proxy.database.engine).issue(key, change)}"


async def test_a_link_logs_in_as_the_admin_once_and_opens_the_desk(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    path = issue(proxy)
    answer = await page.get(path)

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    for part in (f"{COOKIE}=", "HttpOnly", "SameSite=lax", "Path=/", "Max-Age=43200"):
        assert part in cookie
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert ">admin</a>" in (await page.get("/incidents")).text
    async with browser(proxy) as other:
        again = await other.get(path)
        assert (again.status_code, ENDED in again.text) == (401, True)
        assert COOKIE not in other.cookies


async def test_issue_and_use_are_audited_with_who_and_without_the_token(
    proxy: Proxy, page: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "perf_alerts")
    path = issue(proxy)
    token = path.rpartition("/")[2]
    await page.get(path)
    await page.get(path)
    issued, used = proxy.audit.rows[:2]

    assert (issued.action, issued.actor, issued.target) == (
        "create_login_link", "cli:me", "login_links/admin",
    )  # fmt: skip
    assert (used.action, used.actor, used.after) == (
        "login", "admin", {"kind": "page", "by": "login_link"},
    )  # fmt: skip
    key = key_for_links(proxy.settings)
    assert key is not None
    assert used.key_id == key.key_id
    assert token not in repr(proxy.audit.rows)
    assert token not in caplog.text
    assert "GET /login/- 303" in caplog.text


def test_the_store_knows_only_a_hash_of_it(proxy: Proxy) -> None:
    async def make() -> str:
        async with browser(proxy):
            return issue(proxy).rpartition("/")[2]

    token = asyncio.run(make())
    with proxy.database.engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM login_links")).all()
    assert len(rows) == 1
    assert token not in repr(rows)


async def test_used_expired_unknown_and_malformed_links_are_answered_alike(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    used, expired = issue(proxy), issue(proxy)
    await page.get(used)
    page.cookies.clear()
    proxy.time.now += timedelta(minutes=10)
    tried = [used, expired, f"/login/{UNKNOWN}", "/login/", "/login/ü", f"{expired}/", "/login/%00"]
    answers = [await page.get(path) for path in tried]

    assert {one.status_code for one in answers} == {401}
    assert len({one.text for one in answers}) == 1
    assert ENDED in answers[0].text
    assert 'name="api_key"' in answers[0].text
    assert {one.headers["referrer-policy"] for one in answers} == {"origin"}
    assert len({tuple(sorted(set(one.headers) - {"x-request-id"})) for one in answers}) == 1


async def test_just_before_its_end_a_link_works(proxy: Proxy, page: httpx.AsyncClient) -> None:
    path = issue(proxy)
    proxy.time.now += timedelta(minutes=9, seconds=59)

    assert (await page.get(path)).status_code == 303


async def test_wrong_links_count_as_guesses_and_a_right_one_is_never_held_up(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    right = issue(proxy)
    answers = [await page.get(f"/login/{number:022}") for number in range(12)]

    assert [one.status_code for one in answers[-2:]] == [429, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert (await page.post("/login", data={"api_key": "wrong"})).status_code == 429
    assert (await page.get(right)).status_code == 303


async def test_of_two_at_once_one_wins(proxy: Proxy) -> None:
    for _ in range(5):
        async with browser(proxy) as one, browser(proxy) as other:
            path = issue(proxy)
            answers = await asyncio.gather(*(each.get(path) for each in (one, other, one, other)))
        assert sorted(each.status_code for each in answers) == [303, 401, 401, 401]


@pytest.mark.parametrize(
    "headers",
    [{"Purpose": "prefetch"}, {"Sec-Purpose": "prefetch;prerender"}, {"X-Moz": "prefetch"}],
)
async def test_who_only_looks_ahead_uses_nothing_up_and_learns_nothing(
    proxy: Proxy, page: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    path = issue(proxy)
    for tried in (path, f"/login/{UNKNOWN}"):
        for answer in (await page.head(tried), await page.get(tried, headers=headers)):
            assert (answer.status_code, answer.content) == (204, b"")
            assert "set-cookie" not in answer.headers

    assert (await page.get(path)).status_code == 303


async def test_without_authentication_there_is_nothing_to_log_in_to(proxy: Proxy) -> None:
    async with browser(Proxy(proxy, ALERT_AUTH_ENABLED="false")) as page:
        answer = await page.get(f"/login/{UNKNOWN}")

    assert (answer.status_code, "Authentication is off" in answer.text) == (400, True)
    assert "set-cookie" not in answer.headers


async def test_a_link_of_a_key_that_is_gone_logs_nobody_in(proxy: Proxy) -> None:
    async with browser(proxy):
        path = issue(proxy)
    other = Proxy(proxy, ALERT_ADMIN_API_KEY="another-key-0123456789abcdefghijklmnop")
    async with browser(other) as page:
        assert (await page.get(path)).status_code == 401


def test_a_link_is_an_admins_or_of_the_next_lower_role_and_never_a_masters() -> None:
    for roles, found in (
        (("viewer", "operator", "admin", "master"), "admin"),
        (("viewer", "operator", "master"), "operator"),
        (("master", "viewer"), "viewer"),
        (("master",), None),
    ):
        environ = {f"ALERT_{role.upper()}_API_KEY": KEYS[role] for role in roles}
        key = key_for_links(load_settings(environ, dotenv=None))
        assert (key.role if key else None) == found
    off = load_settings({**SECRETS, "ALERT_AUTH_ENABLED": "false"}, dotenv=None)
    assert key_for_links(off) is None


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"/login/{UNKNOWN}", "/login/-"),
        (f"//login/{UNKNOWN}", "//login/-"),
        (f"/x/login/{UNKNOWN}/y", "/x/login/-"),
        (f"/login/{UNKNOWN}\n", "/login/-"),
        ("/login/x", "/login/-"),
        ("/login", "/login"),
        ("/x/login/y", "/x/login/y"),
    ],
)
def test_no_log_shows_the_token(path: str, shown: str) -> None:
    assert logged(path) == shown


async def test_a_mistyped_link_is_carried_into_no_other_address(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    for path in (f"/x{issue(proxy)}", f"http://localhost/{issue(proxy)}"):
        answer = await page.get(path, headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2F")
