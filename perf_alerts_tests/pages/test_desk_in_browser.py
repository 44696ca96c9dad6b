"""The desk's page in a real browser: on a phone, by keyboard, on paper."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
from playwright.async_api import Page, expect

from perf_alerts_tests.pages.browsing import (
    OPEN,
    SIZES,
    WAYS,
    is_sound,
    log_in,
    needs_chromium,
    opened,
    served_by,
)
from perf_alerts_tests.pages.desks import as_shown, many, stand
from perf_alerts_tests.server.apps import Proxy

pytestmark = [pytest.mark.e2e, needs_chromium]


@asynccontextmanager
async def desk_of(proxy: Proxy, size: str = "desk") -> AsyncIterator[Page]:
    """The desk before a viewer; its console says nothing."""
    async with served_by(proxy) as url, opened(size) as (page, said):
        await log_in(page, url, "viewer")
        await expect(page.locator("h1")).to_contain_text("Desk")
        yield page
        assert said == []


def of_eight() -> Proxy:
    """A desk of eight strategies, with their incidents."""
    proxy = Proxy()
    as_shown(proxy.database.engine)
    return proxy


def of(count: int) -> Proxy:
    """A desk of so many strategies, without incidents."""
    proxy = Proxy()
    stand(proxy.database.engine, many(count))
    return proxy


@pytest.mark.long
@pytest.mark.parametrize(
    "made",
    [partial(of, 0), partial(of, 1), of_eight, partial(of, 120)],
    ids=["empty", "one", "eight", "many"],
)
async def test_the_desk_is_sound_at_every_width_in_both_schemes(made: Callable[[], Proxy]) -> None:
    async with desk_of(made()) as page:
        await page.evaluate(OPEN)
        for size, scheme in (*WAYS, ("zoomed", "light"), ("zoomed", "dark")):
            width, height = SIZES[size]
            await page.set_viewport_size({"width": width, "height": height})
            await page.emulate_media(color_scheme=scheme)
            await is_sound(page)


async def test_a_phones_first_screen_says_what_is_wrong_how_bad_and_what_to_do() -> None:
    async with desk_of(of_eight(), "phone") as page:
        for first in (
            page.get_by_text("6 of 8"),
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
    async with desk_of(of(120)) as page:

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


async def test_on_paper_the_desk_has_its_table_and_no_controls() -> None:
    async with desk_of(of_eight()) as page:
        await page.emulate_media(media="print")
        await expect(page.locator("table.desk").first).to_be_visible()
        await expect(page.locator(".filter")).to_be_hidden()
        await expect(page.locator("header")).to_be_hidden()
