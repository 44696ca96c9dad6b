"""Login, its link, an ended session and mistyped addresses in a real browser (chromium)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Literal

import pytest
from playwright.async_api import Page, async_playwright, expect

from perf_alerts_dagster.incidents.model import Status
from perf_alerts_tests.pages.test_link_in_browser import (
    CHROMIUM,
    QUIET,
    SIZES,
    is_sound,
    pytestmark,
    served,
)
from perf_alerts_tests.pages.test_login_link import issue
from perf_alerts_tests.server.apps import KEYS, Proxy

__all__ = ["pytestmark"]

TYPED = 'the "gap" is <known>\nto carry & to me'
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@asynccontextmanager
async def opened(
    size: str, scheme: Literal["light", "dark"] = "light"
) -> AsyncIterator[tuple[Proxy, str, Page, list[str]]]:
    """A proxy, its address, a page of a fresh browser, and what its console said.

    Without what it says by itself of every answer of 400 and more.
    """
    width, height = SIZES[size]
    async with served() as (proxy, url), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        context = await browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        page = await context.new_page()
        said: list[str] = []
        page.on(
            "console",
            lambda message: (
                None if "the server responded with a status of" in message.text
                else said.append(message.text)
            ),
        )  # fmt: skip
        yield proxy, url, page, said
        await browser.close()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", list(SIZES))
async def test_what_was_typed_outlives_the_session_and_a_wrong_key(
    size: str, scheme: Literal["light", "dark"]
) -> None:
    width = SIZES[size][0]
    async with opened(size, scheme) as (proxy, url, page, said):
        path = f"/incidents/{next(iter(proxy.incidents.by_id))}"
        await page.goto(f"{url}{path}")
        await is_sound(page, width)
        # The focus is in the field, and Enter sends the form.
        await page.keyboard.type(KEYS["operator"])
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(f"{url}{path}")
        await page.get_by_label("Comment").fill(TYPED)
        proxy.time.now += timedelta(minutes=61)
        await page.get_by_role("button", name="I look after it").click()

        await expect(page.get_by_role("alert")).to_contain_text("nothing was sent")
        await is_sound(page, width)
        await page.get_by_label("API key").fill("wrong")
        await page.keyboard.press("Enter")
        await expect(page.locator("#error")).to_contain_text("is not accepted")
        await expect(page.get_by_label("API key")).to_have_value("")
        await is_sound(page, width)
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
        assert said == []


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", list(SIZES))
async def test_a_login_link_opens_the_desk_once_and_a_mistyped_address_is_a_page(
    size: str, scheme: Literal["light", "dark"]
) -> None:
    width = SIZES[size][0]
    async with opened(size, scheme) as (proxy, url, page, said):
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.headers.get("referer", "")))
        link = f"{url}{issue(proxy)}"
        await page.goto(link)
        await expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
        assert "/login" not in page.url

        await page.goto(f"{url}/incidentz")
        await expect(page.locator("h1")).to_have_text("Not Found")
        await expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
        await is_sound(page, width)
        await page.goto(f"{url}/sessions")
        await expect(page.locator("main li")).to_have_count(1)
        await is_sound(page, width)
        await page.get_by_role("button", name="End the session that began").click()
        await expect(page.get_by_label("API key")).to_be_visible()

        await page.goto(link)
        await expect(page.locator("#error")).to_contain_text("logs nobody in any more")
        await is_sound(page, width)
        await page.get_by_label("API key").fill(KEYS["viewer"])
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
        assert [one for one in sent if "/login/" in one] == []
        assert said == []


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_too_many_wrong_keys_give_a_page_and_a_right_one_is_let_in(
    scheme: Literal["light", "dark"],
) -> None:
    async with opened("phone", scheme) as (proxy, url, page, said):
        for number in range(10):
            await page.request.post(f"{url}/login", form={"api_key": f"wrong{number}"})
        await page.goto(f"{url}/login")
        await page.get_by_label("API key").fill("wrong")
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_have_text("Too Many Requests")
        await is_sound(page, SIZES["phone"][0])
        await page.get_by_role("link", name="log in").click()
        await page.get_by_label("API key").fill(KEYS["viewer"])
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
        assert said == []
        assert proxy.audit.rows
