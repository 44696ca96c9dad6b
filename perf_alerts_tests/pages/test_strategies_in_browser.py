"""The page of a strategy in a real browser (Debian's chromium): phone, keyboard, paper."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, expect

from perf_alerts_tests.pages.browsing import (
    PAPER,
    SIZES,
    Scheme,
    is_sound,
    log_in,
    needs_chromium,
    opened,
    served_by,
)
from perf_alerts_tests.pages.strategy_desk import NAME
from perf_alerts_tests.pages.test_strategies import HOSTILE, path_of, proxy

pytestmark = [pytest.mark.e2e, needs_chromium]


@asynccontextmanager
async def strategy(
    name: str, size: str, scheme: Scheme = "light"
) -> AsyncIterator[tuple[Page, str, list[str]]]:
    """The page of a strategy of a desk that was really judged, its address, the console."""
    async with served_by(proxy()) as url, opened(size, scheme) as (page, said):
        await log_in(page, url, "viewer", path_of(name))
        await expect(page.locator("h1")).to_contain_text(name)
        yield page, url, said


@pytest.mark.parametrize(
    "size", ["phone", *(pytest.param(size, marks=pytest.mark.long) for size in ("desk", "small"))]
)
async def test_a_strategy_is_read_at_every_size_and_by_keyboard(size: str) -> None:
    async with strategy(NAME, size) as (page, url, said):
        # What is wrong and how bad is on the first screen.
        box = await page.locator("p strong", has_text="judged for").first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < SIZES[size][1]
        await page.locator("summary", has_text="Numbers").first.focus()
        await page.keyboard.press("Enter")
        await expect(page.locator(".plot-figure details[open] table").first).to_be_visible()
        await is_sound(page)

        await page.locator("summary", has_text="Other days").focus()
        await page.keyboard.press("Enter")
        await page.get_by_label("As of").fill("2001-01-01")
        await page.get_by_role("button", name="Show").click()
        await expect(page.get_by_role("alert")).to_contain_text("as_of: ")
        await is_sound(page)

        width, height = SIZES["small"]
        await page.set_viewport_size({"width": width, "height": height})
        for name in ("new", HOSTILE):
            await page.goto(f"{url}{path_of(name)}")
            await expect(page.locator("h1")).to_contain_text(name)
            await is_sound(page)
        # A status of 422 is said on the console; nothing was refused by the page's own policy.
        assert [line for line in said if "422" not in line] == []


async def test_it_prints_to_a4_without_navigation_and_nothing_is_cut() -> None:
    async with strategy(NAME, "desk", "dark") as (page, _, _):
        await page.set_viewport_size({"width": PAPER, "height": 1000})
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
