"""What a person sees who mistypes, comes too late, or meets a fault; programs get documents."""

from collections.abc import AsyncIterator

import httpx
import pytest

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.http.paths import BASE
from perf_alerts_tests.pages.test_routes import COOKIE, browser, login, proxy, word
from perf_alerts_tests.server.apps import KEYS, Proxy

__all__ = ["proxy"]

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
JSON = "application/problem+json"
UNKNOWN = ("/incidentz", "/strategies2", "/foo/bar", "/incidents/x/y/z", "/metricz")


@pytest.fixture
async def page(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(proxy) as client:
        client.headers.update(HTML)
        yield client


def is_page(answer: httpx.Response, status: int, *, who: str = "operator") -> bool:
    """Whether it is a page, with the navigation of who is logged in, and says what to do."""
    has_navigation = 'aria-label="Pages"' in answer.text and f">{who}</a>" in answer.text
    return (
        answer.status_code == status
        and answer.headers["content-type"].startswith("text/html")
        and "<h1>" in answer.text
        and 'href="/">To the desk</a>' in answer.text
        and has_navigation == bool(who)
    )


@pytest.mark.parametrize("path", UNKNOWN)
async def test_who_is_logged_in_and_mistypes_gets_a_page_with_the_navigation(
    page: httpx.AsyncClient, path: str
) -> None:
    await login(page)

    assert is_page(await page.get(path), 404)


@pytest.mark.parametrize("path", ["/incidents", "/system", *UNKNOWN, "/strategies/%2525"])
async def test_a_stranger_cannot_tell_which_pages_there_are(
    page: httpx.AsyncClient, path: str
) -> None:
    to = f"/login?next={path.replace('%', '%25').replace('/', '%2F')}"
    for answer in (await page.get(path), await page.head(path)):
        assert (answer.status_code, answer.headers["location"]) == (303, to)
    form = await page.get(to)
    assert f'name="next" value="{path}"' in form.text
    assert (await page.post(path, data={"a": "b"})).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/incidents/zzz",
        "/incidents?status=earlier&cursor=zzz",
        f"/incidents/{'0' * 24}",
    ],
)
async def test_a_value_that_no_page_knows_gives_a_page_with_the_navigation(
    page: httpx.AsyncClient, path: str
) -> None:
    await login(page)
    for headers in (HTML, {"Accept": "*/*"}):
        answer = await page.get(path, headers=headers)
        assert is_page(answer, 422 if "?" in path else 404)


async def test_a_page_that_does_not_know_the_method_says_so(page: httpx.AsyncClient) -> None:
    await login(page)

    answer = await page.post("/rules", data={"a": "b"})
    assert is_page(answer, 405)
    assert answer.headers["allow"] == "GET"
    assert "use what is on it" in answer.text
    assert is_page(await page.get("/logout"), 405)


async def test_a_program_gets_a_document_wherever_it_asks(page: httpx.AsyncClient) -> None:
    for path in ("/foo", f"{BASE}/foo"):
        for accept in ("application/json", "*/*"):
            answer = await page.get(path, headers={"Accept": accept})
            assert (answer.status_code, answer.headers["content-type"]) == (401, JSON)
    for path in (BASE, f"{BASE}/", f"{BASE}/foo", f"{BASE}/incidents"):
        answer = await page.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (401, JSON)
    key = {"X-Alert-API-Key": KEYS["admin"]}
    for path in (f"{BASE}/foo", "/foo"):
        answer = await page.get(path, headers=key | {"Accept": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (404, JSON)
    await login(page)
    answer = await page.get("/incidents/zzz", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, JSON)


@pytest.mark.parametrize("fault", [StoreUnavailable("locked"), RuntimeError("a bug")])
async def test_a_fault_is_a_page_that_says_what_to_do_next(
    proxy: Proxy, page: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    await login(page)

    def fails(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(proxy.incidents, "event_counts", fails)
    answer = await page.get("/incidents")

    is_store = isinstance(fault, StoreUnavailable)
    assert is_page(answer, 503 if is_store else 500)
    assert "a bug" not in answer.text
    assert ("Try it again in a few seconds" in answer.text) == is_store
    assert answer.headers.get("retry-after") == ("2" if is_store else None)


async def test_a_form_that_is_too_large_is_a_page(page: httpx.AsyncClient) -> None:
    await login(page)
    form = {"form_word": await word(page, "/sessions"), "comment": "x" * 70_000}
    answer = await page.post("/sessions/end", data=form)

    assert is_page(answer, 413)


async def test_too_many_wrong_keys_are_a_whole_page(page: httpx.AsyncClient) -> None:
    for _ in range(12):
        answer = await page.post("/login", data={"api_key": "wrong"})

    assert is_page(answer, 429, who="")
    assert '<html lang="en">' in answer.text
    assert "A right key is answered at once" in answer.text


async def test_a_cookie_of_another_secret_leads_to_the_login(page: httpx.AsyncClient) -> None:
    page.cookies.set(COOKIE, "of.another.secret")
    answer = await page.get("/foo")

    assert answer.headers["location"] == "/login?next=%2Ffoo"


async def test_without_authentication_a_mistyped_path_is_a_page(proxy: Proxy) -> None:
    async with browser(Proxy(proxy, ALERT_AUTH_ENABLED="false")) as page:
        answer = await page.get("/foo", headers=HTML)

    assert is_page(answer, 404, who="system")
