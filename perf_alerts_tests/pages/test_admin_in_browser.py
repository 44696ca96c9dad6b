"""The pages of alerts, rules, silences and the system in a real browser (Debian's chromium)."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from playwright.async_api import Page, async_playwright, expect

from perf_alerts_dagster.http.server import config
from perf_alerts_tests.api.operations.test_system import Silent
from perf_alerts_tests.pages.admin_desk import desk
from perf_alerts_tests.pages.test_link_in_browser import CHROMIUM, QUIET, SIZES, is_sound
from perf_alerts_tests.server.apps import KEYS, Proxy

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
OPEN = "document.querySelectorAll('details').forEach(one => one.open = true)"
PATHS = ("/alerts", "/rules", "/rules/drawdown", "/rules/mandates", "/silences", "/system")
OF_ADMINS = ("/system/audit", "/system/docs")
# How each role is tried: the judged sessions, a size, a scheme, and a zoom that halves the width.
WAYS = (
    ("admin", 40, "desk", "light", 1),
    ("admin", 0, "desk", "dark", 2),
    ("admin", 40, "small", "dark", 1),
    ("operator", 0, "phone", "light", 1),
    ("viewer", 40, "phone", "dark", 1),
)
# For a machine that is busy.
expect.set_options(timeout=60_000)


@asynccontextmanager
async def served(proxy: Proxy) -> AsyncIterator[str]:
    """The proxy on a port of its own; its address."""
    listening = socket.create_server(("127.0.0.1", 0))
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


@asynccontextmanager
async def shown(
    proxy: Proxy, role: str, size: str = "desk", scheme: str = "light", zoom: int = 1
) -> AsyncIterator[tuple[Page, str, int, list[str]]]:
    """A page of who is logged in, the address, the width, and what the console says."""
    width, height = (side // zoom for side in SIZES[size])
    async with served(proxy) as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        context = await browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        page = await context.new_page()
        page.set_default_timeout(120_000)
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        await page.goto(f"{url}/login")
        await page.locator("#api_key").fill(KEYS[role])
        await page.keyboard.press("Enter")
        await page.wait_for_url(lambda address: "/login" not in address)
        yield page, url, width, said
        await browser.close()


@pytest.mark.parametrize(("role", "sessions", "size", "scheme", "zoom"), WAYS)
async def test_every_page_is_sound_at_each_size_for_each_role(
    role: str, sessions: int, size: str, scheme: str, zoom: int
) -> None:
    async with shown(desk(sessions), role, size, scheme, zoom) as (page, url, width, said):
        for path in PATHS + (OF_ADMINS if role == "admin" else ()):
            await page.goto(url + path)
            await page.evaluate(OPEN)
            await is_sound(page, width)
        refused = [line for line in said if "403" not in line]
        assert (refused, len(said)) == ([], 1 if role == "viewer" else 0)


async def tab_to(page: Page, name: str) -> None:
    """Move the focus with the tab key to the control of a name."""
    wanted = page.get_by_role("button", name=name)
    for _ in range(200):
        await page.keyboard.press("Tab")
        if await wanted.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError(f"the tab key does not reach {name}")


async def test_an_alert_is_run_and_switched_by_keyboard() -> None:
    proxy = desk(10)
    async with shown(proxy, "operator", "phone") as (page, url, width, _):
        await page.goto(f"{url}/alerts")
        await page.locator("summary", has_text="Run now").first.focus()
        await page.keyboard.press("Enter")
        await tab_to(page, "Run Daily P&L check now")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("daily_pnl_check was started")
        await is_sound(page, width)
        await page.locator("summary", has_text="Run now").first.focus()
        await page.keyboard.press("Enter")
        await tab_to(page, "Switch Daily P&L check off")
        await page.keyboard.press("Enter")
        await expect(page.locator("section").first).to_contain_text("none: it is off")

    assert len(proxy.scheduler.launched) == 1
    assert proxy.scheduler.disabled == {"daily_pnl_check"}


async def test_a_silence_is_previewed_added_and_ended_in_the_browser() -> None:
    proxy = desk(10)
    async with shown(proxy, "operator", "phone") as (page, url, width, _):
        await page.goto(f"{url}/silences?strategy=trend")
        await page.locator("#ends_at").fill("2026-02-02T08:00")
        await page.locator("#reason").fill("rebalancing")
        await tab_to(page, "What would it mute?")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("It would mute 2 unresolved")
        await is_sound(page, width)
        await page.get_by_role("button", name="Add the silence").click()
        await expect(page.locator("main")).to_contain_text("rebalancing")
        await page.get_by_label("Reason to end it").fill("done")
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Reason to end it")).to_have_count(0)

    assert [each.action for each in proxy.incidents.audit] == ["silence", "end_silence"]


async def test_limits_keys_and_a_test_message_in_the_browser() -> None:
    proxy = desk(10)
    proxy.channels.append(Silent())
    async with shown(proxy, "admin", "small", "dark") as (page, url, width, _):
        await page.goto(f"{url}/rules/drawdown")
        await page.locator("#drawdown_warning").fill("much")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("drawdown_warning: a number")
        await expect(page.locator("#drawdown_warning")).to_have_value("much")
        await is_sound(page, width)
        await page.locator("#drawdown_warning").fill("0.07")
        await page.keyboard.press("Enter")
        await expect(page.locator("table")).to_contain_text("0.07")
        await page.goto(f"{url}/system")
        await page.locator("#name").fill("ci-bot")
        await page.keyboard.press("Enter")
        await expect(page.locator(".secret")).to_have_count(1)
        await is_sound(page, width)
        await page.get_by_role("button", name="Send a test to every channel").click()
        await expect(page.get_by_role("status")).to_contain_text("accepted")
        await page.get_by_role("button", name="End the key viewer:ci-bot").click()
        await expect(page.locator("main")).to_contain_text("revoked")
