"""The desk's page in a real browser: at every width, in both schemes, by keyboard, on paper."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Browser, Page, async_playwright, expect

from perf_alerts_dagster.http.server import config
from perf_alerts_tests.pages.desks import as_shown, many, stand, standing
from perf_alerts_tests.pages.test_link_in_browser import CHROMIUM, QUIET, is_sound
from perf_alerts_tests.server.apps import KEYS, Proxy

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
# The last is the first at a zoom of 200 %.
SIZES = {"desk": (1280, 900), "phone": (390, 844), "small": (320, 640), "zoomed": (640, 450)}
PICTURES = os.environ.get("PICTURES")


def made(kind: str) -> Proxy:
    """A proxy over a desk of that kind."""
    proxy = Proxy()
    engine = proxy.database.engine
    if kind == "eight":
        as_shown(engine)
    elif kind == "many":
        stand(engine, many(120))
    elif kind == "one":
        stand(engine, [standing("a_strategy")])
    return proxy


@asynccontextmanager
async def browsing(proxy: Proxy) -> AsyncIterator[tuple[Browser, str]]:
    """A browser, and the address of a proxy that is served for it."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(config(proxy.settings, proxy.app))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
            yield browser, f"http://127.0.0.1:{listening.getsockname()[1]}"
            await browser.close()
    finally:
        server.should_exit = True
        await task
        listening.close()


async def opened(
    browser: Browser, url: str, said: list[str], *, size: str = "desk", **context: Any
) -> Page:
    """A viewer's desk; `said` gets what the console says."""
    width, height = SIZES[size]
    made = await browser.new_context(viewport={"width": width, "height": height}, **context)
    page = await made.new_page()
    page.on("console", lambda message: said.append(message.text))
    await page.goto(f"{url}/login")
    await page.get_by_label("API key").fill(KEYS["viewer"])
    await page.get_by_role("button", name="Log in").click()
    await expect(page.locator("h1")).to_contain_text("Desk")
    return page


@pytest.mark.parametrize("kind", ["empty", "one", "eight", "many"])
async def test_the_desk_is_sound_at_every_width_in_both_schemes(kind: str) -> None:
    said: list[str] = []
    async with browsing(made(kind)) as (browser, url):
        for size, (width, _) in SIZES.items():
            for scheme in ("light", "dark"):
                page = await opened(browser, url, said, size=size, color_scheme=scheme)
                for closed in await page.locator("summary").all():
                    await closed.click()
                await is_sound(page, width)
                if PICTURES:
                    name = f"{PICTURES}/desk_{kind}_{size}_{scheme}.png"
                    await page.screenshot(path=name, full_page=True)
                await page.context.close()
    assert said == []


async def test_a_phones_first_screen_says_what_is_wrong_how_bad_and_what_to_do() -> None:
    said: list[str] = []
    async with browsing(made("eight")) as (browser, url):
        page = await opened(browser, url, said, size="phone")
        for first in (
            page.get_by_text("7 of 8"),
            page.locator(".worst").get_by_text("short_vol"),
            page.locator(".worst").get_by_text("nobody has answered. Do:"),
            page.get_by_role("link", name="Open incidents"),
            page.get_by_role("link", name="Cannot be judged"),
            page.locator("table.desk").get_by_role("link", name="ALL"),
        ):
            box = await first.bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= SIZES["phone"][1]
        # One card a strategy, in which only what is not well has a cell.
        card = page.locator("tr", has=page.get_by_role("link", name="short_vol")).first
        await expect(card.locator("td.critical").first).to_be_visible()
        await expect(card.locator("td.ok").first).to_be_hidden()
        # A table still, for whoever hears it.
        await expect(page.get_by_role("table").first.get_by_role("row")).to_have_count(10)


async def test_the_desk_is_filtered_sorted_and_turned_by_keyboard_alone() -> None:
    said: list[str] = []
    async with browsing(made("many")) as (browser, url):
        page = await opened(browser, url, said)

        async def to(name: str) -> None:
            for _ in range(200):
                await page.keyboard.press("Tab")
                focused = await page.evaluate(
                    "document.activeElement.name || document.activeElement.innerText"
                )
                if focused.strip() == name:
                    return
            raise AssertionError(f"{name} is not reached")

        await to("The next page")
        await page.keyboard.press("Enter")
        await expect(page.locator(".pages")).to_contain_text("51 to 100 of 120")
        await to("drawdown")
        await page.keyboard.press("Enter")
        await expect(page.locator("th[aria-sort]")).to_contain_text("drawdown")
        await expect(page.locator(".pages")).to_contain_text("1 to 50 of 120")
        await to("text")
        await page.keyboard.type("owner3")
        await page.keyboard.press("Enter")
        await expect(page.locator("summary").first).to_contain_text("of 120 strategies")
        await expect(page.locator("th[aria-sort]")).to_contain_text("drawdown")
        await expect(page.locator("tbody tr").first).to_contain_text("owner3")
        await page.keyboard.press("Tab")
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"
    assert said == []


async def test_on_paper_the_desk_has_its_table_and_no_controls() -> None:
    said: list[str] = []
    async with browsing(made("eight")) as (browser, url):
        page = await opened(browser, url, said)
        await page.emulate_media(media="print")
        await expect(page.locator("table.desk").first).to_be_visible()
        await expect(page.locator(".filter")).to_be_hidden()
        await expect(page.locator("header")).to_be_hidden()
        if PICTURES:
            await page.pdf(path=f"{PICTURES}/desk.pdf", prefer_css_page_size=True)
    assert said == []
