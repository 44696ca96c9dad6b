"""The pages of incidents in a real browser: each state, by mouse and by keyboard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, expect

from perf_alerts_tests.pages.browsing import (
    OPEN,
    SIZES,
    TWO_WAYS,
    WAYS,
    Way,
    is_sound,
    log_in,
    needs_chromium,
    opened,
    served_by,
)
from perf_alerts_tests.pages.incident_states import STATES, answer, event_of, only
from perf_alerts_tests.server.apps import Proxy

pytestmark = [pytest.mark.e2e, needs_chromium]
# The last control of the first screen of a phone, which is 844 px high.
FOLD = 844


@asynccontextmanager
async def desk_in(
    state: str, size: str, role: str = "operator"
) -> AsyncIterator[tuple[Proxy, str, Page]]:
    """A desk in a state, its address, and a page of a person who is logged in."""
    proxy = Proxy(ALERT_RUNBOOK_URL="https://wiki.example/runbooks")
    STATES[state](proxy)
    async with served_by(proxy) as url, opened(size) as (page, said):
        await log_in(page, url, role)
        yield proxy, url, page
        # A status of 409 or 422 is said on the console; nothing was refused by the policy.
        assert [line for line in said if "409" not in line and "422" not in line] == []


async def is_sound_in(page: Page, ways: tuple[Way, ...] = TWO_WAYS) -> None:
    for size, scheme in ways:
        width, height = SIZES[size]
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme=scheme)
        await is_sound(page)


async def reach(page: Page, name: str) -> None:
    """Press Tab until the control of this name has the focus."""
    for _ in range(120):
        await page.keyboard.press("Tab")
        wanted = page.get_by_role("button", name=name, exact=True)
        if await wanted.evaluate("each => each === document.activeElement"):
            return
    raise AssertionError(f"Tab does not reach {name}")


@pytest.mark.parametrize(
    "ways",
    [
        pytest.param(TWO_WAYS, id="two ways"),
        pytest.param(WAYS, id="every way", marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("state", list(STATES))
async def test_each_state_is_sound_at_its_widths_and_schemes(
    state: str, ways: tuple[Way, ...]
) -> None:
    async with desk_in(state, "phone") as (proxy, url, page):
        paths = [f"/incidents?status={'resolved' if state == 'resolved' else 'open'}"]
        paths += [f"/incidents/{one.id}" for one in [*proxy.incidents.by_id.values()][-1:]]
        for path in paths:
            await page.goto(f"{url}{path}")
            await page.evaluate(OPEN)
            await is_sound_in(page, ways)


async def test_a_mistake_in_the_address_is_sound() -> None:
    async with desk_in("one", "phone") as (_, url, page):
        await page.goto(f"{url}/incidents?severity=evil")
        await expect(page.get_by_role("alert")).to_contain_text("severity: one of")
        await is_sound_in(page)


async def test_a_viewer_finds_everything_and_no_form() -> None:
    async with desk_in("silenced", "phone", "viewer") as (proxy, url, page):
        await page.goto(f"{url}/incidents")
        await expect(page.locator("main li").first).to_contain_text("silenced until")
        await expect(page.locator("main form[method=post]")).to_have_count(0)
        await is_sound_in(page)
        await page.goto(f"{url}/incidents/{only(proxy, rule='daily_exceedance').id}")
        await expect(page.locator("main form[method=post]")).to_have_count(0)
        await is_sound_in(page)


@pytest.mark.parametrize("state", ["one", "group"])
async def test_the_answer_and_its_buttons_are_on_the_first_screen_of_a_phone(state: str) -> None:
    async with desk_in(state, "phone") as (proxy, url, page):
        for one in proxy.incidents.by_id.values():
            await page.goto(f"{url}/incidents/{one.id}")
            for name in ("I look after it", "Known", "False alarm", "Wrong data", "Silence 1 day"):
                box = await page.get_by_role("button", name=name).bounding_box()
                assert box is not None
                assert box["y"] + box["height"] <= FOLD, (one.strategy, name, box)
                assert box["height"] >= 40


BUTTONS = {
    "I look after it": "acknowledged by operator",
    "Known": "known already",
    "False alarm": "a false alarm",
    "Wrong data": "wrong data",
    "True alarm": "a true alarm",
    "Silence 1 day": "silenced until",
}


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
async def test_each_button_answers_the_whole_event(by: str) -> None:
    async with desk_in("many", "phone") as (proxy, url, page):
        listed = [*proxy.incidents.by_id.values()]
        for (name, says), one in zip(BUTTONS.items(), listed, strict=False):
            await page.goto(f"{url}/incidents/{one.id}")
            if by == "mouse":
                await page.get_by_label("Comment").fill(f"seen: {name}")
                await page.get_by_role("button", name=name).click()
            else:
                await page.get_by_label("Comment").focus()
                await page.keyboard.type(f"seen: {name}")
                await reach(page, name)
                await page.keyboard.press("Enter")
            await expect(page.locator("main p.soft").first).to_contain_text(says)
            after = proxy.incidents.by_id[one.id]
            reasons = [each.reason for each in proxy.incidents.silence_rows.values()]
            if name == "Silence 1 day":
                assert (after.status, reasons) == ("open", [f"seen: {name}"])
            else:
                assert (after.status == "open", reasons) == (False, [])
                await expect(page.locator(".timeline")).to_contain_text(f"seen: {name}")


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
async def test_only_this_one_is_answered_where_its_box_is_checked(by: str) -> None:
    async with desk_in("one", "desk") as (proxy, url, page):
        one = only(proxy, rule="drawdown")
        await page.goto(f"{url}/incidents/{one.id}")
        summary = page.locator("summary", has_text="or only this one")
        if by == "mouse":
            await summary.click()
            await page.get_by_label("Answer only this incident").check()
            await page.get_by_role("button", name="Known").click()
        else:
            await summary.focus()
            await page.keyboard.press("Enter")
            await page.keyboard.press("Tab")
            await page.keyboard.press("Space")
            await page.get_by_role("button", name="Known").focus()
            await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_contain_text("this answers what goes on of its event")
        status = {each.rule: each.status.value for each in proxy.incidents.by_id.values()}
        assert status["drawdown"] == "resolved"
        assert status["daily_exceedance"] == "open"


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
async def test_chosen_events_are_answered_from_the_list(by: str) -> None:
    async with desk_in("many", "phone") as (proxy, url, page):
        await page.goto(f"{url}/incidents?owner=team+3")
        boxes = page.get_by_role("checkbox")
        for place in (0, 1):
            if by == "mouse":
                await boxes.nth(place).check()
            else:
                await boxes.nth(place).focus()
                await page.keyboard.press("Space")
        if by == "mouse":
            await page.get_by_role("button", name="I look after them").click()
        else:
            await page.get_by_role("button", name="I look after them").focus()
            await page.keyboard.press("Enter")
        await page.wait_for_url(f"{url}/incidents?owner=team+3")
        await expect(page.get_by_role("link", name="acknowledged 2")).to_be_visible()
        answered = [one for one in proxy.incidents.event_rows.values() if one.status != "open"]
        assert {one.severity.value for one in answered} == {"emergency"}


async def test_a_refusal_from_the_list_is_sound_and_keeps_what_was_typed() -> None:
    async with desk_in("many", "small") as (proxy, url, page):
        await page.goto(f"{url}/incidents")
        boxes = page.get_by_role("checkbox")
        name = (await boxes.first.get_attribute("aria-label") or "").split()[1].rstrip(":")
        for place in (0, 1):
            await boxes.nth(place).check()
        await page.get_by_label("Comment").fill("feed was late")
        answer(proxy, name, "acknowledge")
        await page.get_by_role("button", name="I look after them").click()
        alert = page.get_by_role("alert")
        await expect(alert).to_contain_text("1 of 2 answered; refused were:")
        await expect(alert).to_contain_text("ann acknowledged it on")
        await expect(page.get_by_label("Comment")).to_have_value("feed was late")
        await is_sound_in(page)
        assert proxy.incidents.event_rows[event_of(proxy, name)].status == "acknowledged"


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
async def test_filters_tabs_and_pages_are_walked(by: str) -> None:
    async with desk_in("many", "desk") as (_, url, page):
        await page.goto(f"{url}/incidents")
        await page.locator("summary", has_text="Filter and sort").focus()
        await page.keyboard.press("Enter")
        await page.get_by_label("Owner").fill("team 3")
        await page.get_by_label("Severity").select_option("critical")
        if by == "mouse":
            await page.get_by_role("button", name="Show").click()
        else:
            await page.get_by_label("Owner").focus()
            await page.keyboard.press("Enter")
        await expect(page.get_by_role("link", name="open 14")).to_be_visible()
        await page.get_by_role("link", name="Without a filter").click()
        links = page.get_by_role("link", name="Less urgent ones")
        for _ in range(5):
            await links.focus()
            await page.keyboard.press("Enter")
            await page.wait_for_load_state()
        await expect(page.locator("main li").first).to_contain_text("warning")
        await expect(links).to_have_count(0)


async def test_the_list_holds_at_twice_the_size_and_in_print() -> None:
    async with desk_in("one", "desk") as (proxy, url, page):
        # 200 % of a window of 1280 px leaves half of it.
        await page.set_viewport_size({"width": 640, "height": 450})
        for path in ("/incidents", f"/incidents/{only(proxy, rule='daily_exceedance').id}"):
            await page.goto(f"{url}{path}")
            await is_sound(page)
            await page.emulate_media(media="print")
            await expect(page.locator("main form").first).to_be_hidden()
            await expect(page.locator("h1")).to_be_visible()
            await page.emulate_media(media="screen")
