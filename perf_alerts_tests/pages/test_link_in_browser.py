"""The page of a link, and the pages of its event, in a real browser (Debian's chromium)."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import expect

from perf_alerts_tests.pages.browsing import SIZES, is_sound, needs_chromium, opened, served_by
from perf_alerts_tests.pages.test_link import BUTTON, desk, event_id
from perf_alerts_tests.server.apps import KEYS, Proxy

pytestmark = [pytest.mark.e2e, needs_chromium]


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy with an event on a port of its own, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    proxy = desk(ALERT_PUBLIC_URL=f"http://127.0.0.1:{port}")
    async with served_by(proxy, port) as url:
        yield proxy, url


@pytest.mark.parametrize("size", ["desk", "small", pytest.param("phone", marks=pytest.mark.long)])
async def test_the_button_of_a_link_is_pressed_without_a_login_or_a_referrer(size: str) -> None:
    _, height = SIZES[size]
    async with served() as (proxy, url), opened(size) as (page, said):
        sent: list[dict[str, str]] = []
        page.on("request", lambda request: sent.append(request.headers))
        link = proxy.links.links_of([event_id(proxy)], "mailto:0123abcd").get(event_id(proxy))
        assert link is not None

        await page.goto(link)
        button = await page.get_by_role("button", name=BUTTON).bounding_box()
        assert button is not None
        assert button["y"] + button["height"] <= height
        await expect(page.locator("h1")).to_contain_text("\u221215.0 % on Mon 5 Jan")
        await is_sound(page)
        await page.get_by_role("button", name=BUTTON).click()
        await expect(page.locator("dl")).to_contain_text("held by the link sent to mail")
        await expect(page.get_by_role("button")).to_have_count(0)
        await is_sound(page)

        await page.get_by_role("link", name="All of it").click()
        await page.get_by_label("API key").fill(KEYS["operator"])
        await page.get_by_role("button", name="Log in").click()
        await expect(page.locator(".timeline")).to_contain_text("by the link sent to mail")
        await is_sound(page)
        await page.get_by_role("button", name="Known").click()
        await expect(page.locator("dl")).to_contain_text("known already")
        await page.goto(f"{url}/incidents?status=resolved")
        await expect(page.locator("main .list > li")).to_have_count(1)
        await is_sound(page)
        await page.goto(link)
        await expect(page.locator("h1")).to_contain_text("This link has ended")
        await is_sound(page)

        # A status of 404 is said on the console; nothing was refused by the pages' own policy.
        assert [line for line in said if "404" not in line] == []
        assert [one["referer"] for one in sent if "/a/" in one.get("referer", "")] == []
