"""The pages of alerts, rules, silences and the system in a real browser (Debian's chromium)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, expect

from perf_alerts_tests.api.operations.test_system import Silent
from perf_alerts_tests.pages.admin_desk import desk
from perf_alerts_tests.pages.browsing import (
    OPEN,
    Scheme,
    is_sound,
    log_in,
    needs_chromium,
    opened,
    served_by,
)
from perf_alerts_tests.server.apps import Proxy

pytestmark = [pytest.mark.e2e, needs_chromium]
PATHS = ("/alerts", "/rules", "/rules/drawdown", "/rules/mandates", "/silences", "/system")
OF_ADMINS = ("/system/audit", "/system/docs")
# How each role is tried: the judged sessions, a size, a scheme.
TRIED = (
    ("admin", 40, "desk", "light"),
    ("admin", 0, "zoomed", "dark"),
    ("operator", 0, "phone", "light"),
    ("viewer", 40, "phone", "dark"),
)


@asynccontextmanager
async def shown(
    proxy: Proxy, role: str, size: str = "desk", scheme: Scheme = "light"
) -> AsyncIterator[tuple[Page, str]]:
    """A page of who is logged in, and the address."""
    async with served_by(proxy) as url, opened(size, scheme) as (page, said):
        await log_in(page, url, role)
        yield page, url
        # Answers to mistakes, and to a viewer who asks for the mandates, are said on the console.
        refused = {"422"} | ({"403"} if role == "viewer" else set())
        assert [line for line in said if not any(code in line for code in refused)] == []


@pytest.mark.parametrize(
    ("role", "sessions", "size", "scheme"),
    [
        ("admin", 40, "small", "dark"),
        *(pytest.param(*one, marks=pytest.mark.long) for one in TRIED),
    ],
)
async def test_every_page_is_sound_at_each_size_for_each_role(
    role: str, sessions: int, size: str, scheme: Scheme
) -> None:
    async with shown(desk(sessions), role, size, scheme) as (page, url):
        for path in PATHS + (OF_ADMINS if role == "admin" else ()):
            await page.goto(url + path)
            await page.evaluate(OPEN)
            await is_sound(page)


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
    async with shown(proxy, "operator", "phone") as (page, url):
        await page.goto(f"{url}/alerts")
        await page.locator("summary", has_text="Run now").first.focus()
        await page.keyboard.press("Enter")
        await tab_to(page, "Run Daily P&L check now")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("daily_pnl_check was started")
        await is_sound(page)
        await page.locator("summary", has_text="Run now").first.focus()
        await page.keyboard.press("Enter")
        await tab_to(page, "Switch Daily P&L check off")
        await page.keyboard.press("Enter")
        await expect(page.locator("section").first).to_contain_text("none: it is off")

    assert len(proxy.scheduler.launched) == 1
    assert proxy.scheduler.disabled == {"daily_pnl_check"}


async def test_a_silence_is_previewed_added_and_ended_in_the_browser() -> None:
    proxy = desk(10)
    async with shown(proxy, "operator", "phone") as (page, url):
        await page.goto(f"{url}/silences?strategy=trend")
        await page.locator("#ends_at").fill("2026-02-02T08:00")
        await page.locator("#reason").fill("rebalancing")
        await tab_to(page, "What would it mute?")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("It would mute 2 unresolved")
        await is_sound(page)
        await page.get_by_role("button", name="Add the silence").click()
        await expect(page.locator("main")).to_contain_text("rebalancing")
        await page.get_by_label("Reason to end it").fill("done")
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Reason to end it")).to_have_count(0)

    assert [each.action for each in proxy.incidents.audit] == ["silence", "end_silence"]


async def test_limits_keys_and_a_test_message_in_the_browser() -> None:
    proxy = desk(10)
    proxy.channels.append(Silent())
    async with shown(proxy, "admin", "small", "dark") as (page, url):
        await page.goto(f"{url}/rules/drawdown")
        await page.locator("#drawdown_warning").fill("much")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("drawdown_warning: a number")
        await expect(page.locator("#drawdown_warning")).to_have_value("much")
        await is_sound(page)
        await page.locator("#drawdown_warning").fill("0.07")
        await page.keyboard.press("Enter")
        await expect(page.locator("table")).to_contain_text("0.07")
        await page.goto(f"{url}/system")
        await page.locator("#name").fill("ci-bot")
        await page.keyboard.press("Enter")
        await expect(page.locator(".secret")).to_have_count(1)
        await is_sound(page)
        await page.get_by_role("button", name="Send a test to every channel").click()
        await expect(page.get_by_role("status")).to_contain_text("accepted")
        await page.get_by_role("button", name="End the key viewer:ci-bot").click()
        await expect(page.locator("main")).to_contain_text("revoked")
