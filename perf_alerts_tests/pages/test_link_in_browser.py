"""The page of a link, and the pages of its event, in a real browser (Debian's chromium)."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from playwright.async_api import Page, async_playwright, expect

from perf_alerts_dagster.http.server import config
from perf_alerts_tests.pages.browsing import AXE_SCRIPT, violations
from perf_alerts_tests.pages.browsing import CHROMIUM as CHROMIUM
from perf_alerts_tests.pages.browsing import QUIET as QUIET
from perf_alerts_tests.pages.test_link import BUTTON, desk, event_id
from perf_alerts_tests.server.apps import KEYS, Proxy

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
SIZES = {"desk": (1280, 900), "phone": (390, 844), "small": (320, 640)}
# For a machine that is busy.
expect.set_options(timeout=60_000)


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy with an event on a port of its own, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    proxy = desk(ALERT_PUBLIC_URL=f"http://127.0.0.1:{port}")
    async with served_by(proxy, port) as url:
        yield proxy, url


@asynccontextmanager
async def served_by(proxy: Proxy, port: int = 0) -> AsyncIterator[str]:
    """The address of a proxy that runs."""
    listening = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(config(proxy.settings, proxy.app))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listening.close()


async def is_sound(page: Page, width: int) -> None:
    """Nothing is wider than the screen; no rule of axe is broken."""
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await page.evaluate(AXE_SCRIPT)
    assert violations(await page.evaluate("axe.run({resultTypes: ['violations']})")) == []


@pytest.mark.parametrize("size", list(SIZES))
async def test_the_button_of_a_link_is_pressed_without_a_login_or_a_referrer(size: str) -> None:
    width, height = SIZES[size]
    async with served() as (proxy, url), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        context = await browser.new_context(viewport={"width": width, "height": height})
        page = await context.new_page()
        said: list[str] = []
        sent: list[dict[str, str]] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: sent.append(request.headers))
        link = proxy.links.links_of([event_id(proxy)], "mailto:0123abcd").get(event_id(proxy))
        assert link is not None

        await page.goto(link)
        button = await page.get_by_role("button", name=BUTTON).bounding_box()
        assert button is not None
        assert button["y"] + button["height"] <= height
        await expect(page.locator("h1")).to_contain_text("\u221215.0 % on Mon 5 Jan")
        await is_sound(page, width)
        await page.get_by_role("button", name=BUTTON).click()
        await expect(page.locator("dl")).to_contain_text("held by the link sent to mail")
        await expect(page.get_by_role("button")).to_have_count(0)
        await is_sound(page, width)

        await page.get_by_role("link", name="All of it").click()
        await page.get_by_label("API key").fill(KEYS["operator"])
        await page.get_by_role("button", name="Log in").click()
        await expect(page.locator(".timeline")).to_contain_text("by the link sent to mail")
        await is_sound(page, width)
        await page.get_by_role("button", name="Known").click()
        await expect(page.locator("dl")).to_contain_text("known already")
        await page.goto(f"{url}/incidents?status=resolved")
        await expect(page.locator("main .list > li")).to_have_count(1)
        await is_sound(page, width)
        await page.goto(link)
        await expect(page.locator("h1")).to_contain_text("This link has ended")
        await is_sound(page, width)

        # A status of 404 is said on the console; nothing was refused by the pages' own policy.
        assert [line for line in said if "404" not in line] == []
        assert [one["referer"] for one in sent if "/a/" in one.get("referer", "")] == []
        await browser.close()
