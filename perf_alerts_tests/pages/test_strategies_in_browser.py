"""The page of a strategy in a real browser (Debian's chromium): in sizes, schemes and on paper."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from playwright.async_api import Page, async_playwright, expect

from perf_alerts_dagster.http.server import config
from perf_alerts_tests.pages.strategy_desk import NAME
from perf_alerts_tests.pages.test_link_in_browser import CHROMIUM, QUIET, SIZES, is_sound
from perf_alerts_tests.pages.test_strategies import HOSTILE, path_of, proxy
from perf_alerts_tests.server.apps import KEYS

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
# Of A4 within its margins, in pixels of a page.
PAPER = 688


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    """The address of a desk that was really judged."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(config(proxy().settings, proxy().app))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listening.close()


async def login(page: Page, url: str, name: str) -> None:
    await page.goto(f"{url}{path_of(name)}")
    await page.get_by_label("API key").fill(KEYS["viewer"])
    await page.get_by_role("button", name="Log in").click()
    await expect(page.locator("h1")).to_contain_text(name)


@pytest.mark.parametrize("size", list(SIZES))
async def test_a_strategy_is_read_at_every_size_in_light_and_dark_and_by_keyboard(
    size: str,
) -> None:
    width, height = SIZES[size]
    async with served() as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        context = await browser.new_context(viewport={"width": width, "height": height})
        page = await context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        await login(page, url, NAME)

        # What is wrong and how bad is on the first screen.
        box = await page.locator("p strong", has_text="judged for").first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < height
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            await is_sound(page, width)
        for numbers in await page.locator("summary", has_text="Numbers").all():
            await numbers.focus()
            await page.keyboard.press("Enter")
        await expect(page.locator(".plot-figure details[open] table").first).to_be_visible()
        await is_sound(page, width)

        await page.locator("summary", has_text="Other days").focus()
        await page.keyboard.press("Enter")
        await page.get_by_label("As of").fill("2001-01-01")
        await page.get_by_role("button", name="Show").click()
        await expect(page.get_by_role("alert")).to_contain_text("as_of: ")
        await is_sound(page, width)

        for name in ("new", HOSTILE):
            await page.goto(f"{url}{path_of(name)}")
            await expect(page.locator("h1")).to_contain_text(name)
            await is_sound(page, width)
        # A status of 422 is said on the console; nothing was refused by the page's own policy.
        assert [line for line in said if "422" not in line] == []
        await browser.close()


async def test_it_prints_to_a4_without_navigation_and_nothing_is_cut() -> None:
    async with served() as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        context = await browser.new_context(
            viewport={"width": PAPER, "height": 1000}, color_scheme="dark"
        )
        page = await context.new_page()
        await login(page, url, NAME)
        paper = await page.pdf(prefer_css_page_size=True)
        await page.emulate_media(media="print")

        assert 2 <= len(re.findall(rb"/Type\s*/Page[^s]", paper)) <= 8
        assert await page.evaluate("document.documentElement.scrollWidth") <= PAPER
        for hidden in ("header", "form", "summary"):
            for each in await page.locator(hidden).all():
                await expect(each).to_be_hidden()
        # No table is wider than the paper, where nothing can be moved.
        for region in await page.locator(".scroll:visible").all():
            assert await region.evaluate("each => each.scrollWidth - each.clientWidth") <= 1
        for part in ("Live path", "Rules", "Returns by month", "Data"):
            await expect(page.get_by_role("heading", name=part, exact=False).first).to_be_visible()
        ink = await page.evaluate("getComputedStyle(document.querySelector('h1')).color")
        assert ink == "rgb(0, 0, 0)"
        await browser.close()
