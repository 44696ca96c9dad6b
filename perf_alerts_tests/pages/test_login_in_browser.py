"""Login, its link, an ended session and mistyped addresses in a real browser (chromium)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from playwright.async_api import Page, expect

from perf_alerts_dagster.incidents.model import Status
from perf_alerts_tests.pages.browsing import (
    TWO_WAYS,
    WAYS,
    Scheme,
    is_sound,
    needs_chromium,
    opened,
)
from perf_alerts_tests.pages.test_link_in_browser import served
from perf_alerts_tests.pages.test_login_link import issue
from perf_alerts_tests.server.apps import KEYS, Proxy

pytestmark = [pytest.mark.e2e, needs_chromium]
TYPED = 'the "gap" is <known>\nto carry & to me'
IN_WAYS = pytest.mark.parametrize(
    ("size", "scheme"),
    [pytest.param(*way, marks=() if way in TWO_WAYS else pytest.mark.long) for way in WAYS],
)


@asynccontextmanager
async def shown(size: str, scheme: Scheme = "light") -> AsyncIterator[tuple[Proxy, str, Page]]:
    """A proxy, its address, and a page of a fresh browser."""
    async with served() as (proxy, url), opened(size, scheme) as (page, said):
        yield proxy, url, page
        # What it says by itself of every answer of 400 and more.
        assert [line for line in said if "the server responded with a status of" not in line] == []


@IN_WAYS
async def test_what_was_typed_outlives_the_session_and_a_wrong_key(
    size: str, scheme: Scheme
) -> None:
    async with shown(size, scheme) as (proxy, url, page):
        path = f"/incidents/{next(iter(proxy.incidents.by_id))}"
        await page.goto(f"{url}{path}")
        await is_sound(page)
        # The focus is in the field, and Enter sends the form.
        await page.keyboard.type(KEYS["operator"])
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(f"{url}{path}")
        await page.get_by_label("Comment").fill(TYPED)
        proxy.time.now += timedelta(minutes=61)
        await page.get_by_role("button", name="I look after it").click()

        await expect(page.get_by_role("alert")).to_contain_text("nothing was sent")
        await is_sound(page)
        await page.get_by_label("API key").fill("wrong")
        await page.keyboard.press("Enter")
        await expect(page.locator("#error")).to_contain_text("is not accepted")
        await expect(page.get_by_label("API key")).to_have_value("")
        await is_sound(page)
        await page.get_by_label("API key").fill(KEYS["operator"])
        await page.keyboard.press("Enter")

        await expect(page.get_by_label("Comment")).to_have_value(TYPED)
        await expect(page.get_by_label("Comment")).to_be_focused()
        await expect(page.get_by_label("Comment")).to_be_in_viewport()
        await expect(page.get_by_role("status")).to_contain_text("Nothing was sent yet")
        assert page.url == f"{url}{path}"
        assert {one.status for one in proxy.incidents.by_id.values()} == {Status.OPEN}
        assert "gap" not in repr(await page.context.cookies())
        await page.get_by_role("button", name="I look after it").click()
        await expect(page.locator(".timeline")).to_contain_text('the "gap" is <known>')


@IN_WAYS
async def test_a_login_link_opens_the_desk_once_and_a_mistyped_address_is_a_page(
    size: str, scheme: Scheme
) -> None:
    async with shown(size, scheme) as (proxy, url, page):
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.headers.get("referer", "")))
        link = f"{url}{issue(proxy)}"
        await page.goto(link)
        await expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
        assert "/login" not in page.url

        await page.goto(f"{url}/incidentz")
        await expect(page.locator("h1")).to_have_text("Not Found")
        await expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
        await is_sound(page)
        await page.goto(f"{url}/sessions")
        await expect(page.locator("main li")).to_have_count(1)
        await is_sound(page)
        await page.get_by_role("button", name="End the session that began").click()
        await expect(page.get_by_label("API key")).to_be_visible()

        await page.goto(link)
        await expect(page.locator("#error")).to_contain_text("logs nobody in any more")
        await is_sound(page)
        await page.get_by_label("API key").fill(KEYS["viewer"])
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
        assert [one for one in sent if "/login/" in one] == []


@pytest.mark.parametrize("scheme", ["dark", pytest.param("light", marks=pytest.mark.long)])
async def test_too_many_wrong_keys_give_a_page_and_a_right_one_is_let_in(scheme: Scheme) -> None:
    async with shown("phone", scheme) as (proxy, url, page):
        for number in range(10):
            await page.request.post(f"{url}/login", form={"api_key": f"wrong{number}"})
        await page.goto(f"{url}/login")
        await page.get_by_label("API key").fill("wrong")
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_have_text("Too Many Requests")
        await is_sound(page)
        await page.get_by_role("link", name="log in").click()
        await page.get_by_label("API key").fill(KEYS["viewer"])
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
        assert proxy.audit.rows
