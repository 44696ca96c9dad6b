"""A real browser (Debian's chromium), and what is asked of every page in it."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright import async_api
from playwright.sync_api import Browser, Page, sync_playwright

from perf_alerts_dagster.http.server import config
from perf_alerts_tests.asgi import running
from perf_alerts_tests.server.apps import KEYS, Proxy

# The shell draws the same pages without the windows around them, and starts sooner.
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
# With `-ra`, which pyproject.toml sets, the summary shows the reason.
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed: no page was looked at in a browser"
)
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
# A desk's screen, the same at 200 % zoom (half as many CSS pixels, as browsers lay it out), a
# phone, and the narrowest that WCAG asks for, which is a desk's screen at 400 %.
SIZES = {"desk": (1280, 900), "zoomed": (640, 450), "phone": (390, 844), "small": (320, 640)}
# What A4 leaves between margins of 14 mm, in CSS pixels.
PAPER = 687
Scheme = Literal["light", "dark"]
Way = tuple[str, Scheme]
# Every width but the zoomed, in each scheme; `test_all_pages_in_browser` looks at each page once.
WAYS: tuple[Way, ...] = tuple(
    (size, scheme) for size in ("desk", "phone", "small") for scheme in ("light", "dark")
)
# Narrow in the dark and wide in the light.
TWO_WAYS: tuple[Way, ...] = (("small", "dark"), ("desk", "light"))
# A busy machine needs longer than a person would wait.
MILLISECONDS = 120_000
async_api.expect.set_options(timeout=MILLISECONDS)
OPEN = "document.querySelectorAll('details').forEach(one => one.open = true)"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window, until the end of the context."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@asynccontextmanager
async def served_by(proxy: Proxy, port: int = 0) -> AsyncIterator[str]:
    """The address of a proxy that runs in this process."""
    async with running(config(proxy.settings, proxy.app), port) as url:
        yield url


@asynccontextmanager
async def opened(
    size: str = "desk", scheme: Scheme = "light"
) -> AsyncIterator[tuple[async_api.Page, list[str]]]:
    """A page of a fresh browser, and what its console says."""
    width, height = SIZES[size]
    async with async_api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        context = await browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        page = await context.new_page()
        page.set_default_timeout(MILLISECONDS)
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        yield page, said
        await browser.close()


async def log_in(page: async_api.Page, url: str, role: str, path: str = "/login") -> None:
    """Log in with the key of a role, on the way to a page."""
    await page.goto(url + path)
    await page.get_by_label("API key").fill(KEYS[role])
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url(lambda address: "/login" not in address)


async def is_sound(page: async_api.Page) -> None:
    """Nothing is wider than the screen; no rule of axe is broken."""
    size = page.viewport_size
    assert size is not None
    assert await page.evaluate(_SIDEWAYS, size["width"]) == []
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE_SCRIPT)
    assert violations(await page.evaluate("axe.run({resultTypes: ['violations']})")) == []


def violations(found: Any) -> list[str]:
    """A line per rule of axe that is broken, with the first three elements."""
    return [
        f"{each['id']}: {each['help']}: "
        + "; ".join(node["html"][:160] for node in each["nodes"][:3])
        for each in found["violations"]
    ]


# What changes with the scheme of colours and the width; the others ask about the markup.
OF_LOOKS = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")


def broken_rules(page: Page, *only: str) -> list[str]:
    """The rules of axe that the page breaks as it is shown now: of all, or of these."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    options = {"resultTypes": ["violations"], **({"runOnly": list(only)} if only else {})}
    return violations(page.evaluate("options => axe.run(options)", options))


_SIDEWAYS = """(width) => {
  if (document.documentElement.scrollWidth <= width) return [];
  const inside = (each) => each.parentElement && (each.parentElement.closest(".scroll") !== null);
  return [...document.querySelectorAll("body *")]
    .filter(each => !inside(each) && each.getBoundingClientRect().right > width + 0.5)
    .map(each => each.outerHTML.slice(0, 120)).slice(0, 5)
    .concat([`${document.documentElement.scrollWidth} px wide`]);
}"""


def too_wide(page: Page, width: int) -> list[str]:
    """What makes the page wider than the screen; a wide table scrolls within its own box."""
    found: list[str] = page.evaluate(_SIDEWAYS, width)
    return found


_CUT = """() => [...document.querySelectorAll(".scroll")]
  .filter(each => each.scrollWidth > each.clientWidth + 1)
  .map(each => `${each.getAttribute("aria-label")}: ${each.scrollWidth} of ${each.clientWidth} px`)
"""


def cut_on_paper(page: Page) -> list[str]:
    """What a printed page cuts off: paper does not scroll."""
    found: list[str] = page.evaluate(_CUT)
    return found


_CONTROLS = """() => {
  const all = "a[href], button, input, select, textarea, summary, [tabindex]";
  const found = [...document.querySelectorAll(all)].filter(each =>
    each.type !== "hidden" && !each.disabled && each.tabIndex >= 0
    && each.checkVisibility({visibilityProperty: true}));
  found.forEach((each, place) => { each.dataset.place = place; });
  return found.map(each => each.outerHTML.slice(0, 160));
}"""
_FOCUSED = """() => {
  const each = document.activeElement;
  const style = getComputedStyle(each);
  // Within a field of a date the browser marks the part of it.
  const shown = style.outlineStyle !== "none" || style.boxShadow !== "none"
    || (each.type || "").startsWith("date");
  return [each.dataset.place === undefined ? -1 : Number(each.dataset.place), shown];
}"""


_PARTS_OF_A_DATE = 7


def lost_to_the_keyboard(page: Page) -> list[str]:
    """The controls that Tab does not reach, or reaches without showing it.

    Of a group of radio buttons one is reached; arrows lead to the others.
    """
    controls: list[str] = page.evaluate(_CONTROLS)
    reached: dict[int, bool] = {}
    dates = sum('type="date' in each for each in controls)
    for _ in range(len(controls) + 2 + dates * _PARTS_OF_A_DATE):
        page.keyboard.press("Tab")
        place, shown = page.evaluate(_FOCUSED)
        reached[place] = shown or reached.get(place, False)
    return [
        each
        for place, each in enumerate(controls)
        if not reached.get(place) and 'type="radio"' not in each
    ]
