"""Every page in its states in a real browser: wide, narrow, zoomed, dark, printed, by keyboard."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response

from perf_alerts_dagster.http.paths import PAGES
from perf_alerts_tests.pages.browsing import (
    MILLISECONDS,
    OF_LOOKS,
    OPEN,
    PAPER,
    SIZES,
    Scheme,
    broken_rules,
    chromium,
    cut_on_paper,
    lost_to_the_keyboard,
    needs_chromium,
    too_wide,
)
from perf_alerts_tests.pages.served_desks import Served, desk_at
from perf_alerts_tests.server.apps import KEYS

pytestmark = [pytest.mark.e2e, needs_chromium]
LARGEST = 300 * 1024
NOBODY = "nobody"


def incident(strategy: str, rule: str) -> Callable[[Served], str]:
    """The path of an incident's page."""

    def path(served: Served) -> str:
        found = served.incidents(strategy=strategy, rule=rule)
        assert found, f"no incident of {strategy}, {rule}"
        return f"/incidents/{found[0]['id']}"

    return path


def link(served: Served) -> str:
    """The path of the crash's link in a message."""
    return served.link(served.incidents(strategy="short_vol")[0]["event_id"])


LISTS = (
    "/", "/incidents", "/incidents?status=all", "/alerts", "/rules", "/rules/mandates", "/silences",
    "/system", "/system/audit",
)  # fmt: skip
# One of each state; the others that are like them are in MORE.
STRATEGIES = ("short_vol", "mean_rev", "stat_arb_eu", "new_ml", "group:vol")
MORE_STRATEGIES = ("flat_book", "macro", "ALL")
INCIDENTS = (
    ("short_vol", "policy_daily_loss"),
    ("mean_rev", "gap_since_launch"),
    ("stat_arb_eu", "no_data"),
    ("flat_book", "flat_run"),
    ("ALL", "policy_daily_loss"),
)
MORE_INCIDENTS = (
    ("short_vol", "daily_exceedance"),
    ("short_vol", "policy_drawdown"),
    ("flat_book", "volatility_shift"),
)
Path = str | Callable[[Served], str]
# What is looked at: the desk, who looks, and the page with what it is called.
CASES: list[tuple[str, str, str, Path]] = [
    *(("eight", "admin", path, path) for path in LISTS),
    *(("eight", "operator", f"/strategies/{name}", f"/strategies/{name}") for name in STRATEGIES),
    *(("eight", "operator", " ".join(pair), incident(*pair)) for pair in INCIDENTS),
    ("eight", NOBODY, "link", link),
    ("eight", NOBODY, "link that has ended", "/a/" + "A" * 22),
    ("eight", NOBODY, "login", "/login?next=/incidents"),
    ("eight", "operator", "sessions", "/sessions"),
    ("eight", "operator", "system", "/system"),
    ("eight", "admin", "rule", "/rules/drawdown"),
    ("eight", "admin", "endpoints", "/system/docs"),
    ("eight", "operator", "no such strategy", "/strategies/nobody"),
    ("eight", "operator", "no such incident", "/incidents/0123456789abcdef"),
    *(("eight", "viewer", path, path) for path in ("/", "/incidents", "/alerts")),
    ("eight", "viewer", "incident", incident("short_vol", "policy_daily_loss")),
    *(("empty", "admin", path, path) for path in LISTS),
    ("one", "operator", "/", "/"),
    ("one", "operator", "/incidents", "/incidents"),
    ("error", "operator", "/", "/"),
    ("error", "operator", "fx_value", "/strategies/fx_value"),
    ("error", "operator", "incident", incident("fx_value", "record_error")),
    ("many", "operator", "/", "/"),
    ("many", "operator", "/incidents", "/incidents"),
]
# The same again of what differs little from them.
MORE: list[tuple[str, str, str, Path]] = [
    *(
        ("eight", "operator", f"/strategies/{name}", f"/strategies/{name}")
        for name in MORE_STRATEGIES
    ),
    *(("eight", "operator", " ".join(pair), incident(*pair)) for pair in MORE_INCIDENTS),
    *(("eight", "viewer", path, path) for path in LISTS[3:]),
    ("eight", "viewer", "short_vol", "/strategies/short_vol"),
    *((desk, "admin", path, path) for desk in ("one", "error", "many") for path in LISTS),
    ("one", "operator", "carry", "/strategies/carry"),
    ("many", "operator", "short_vol_007", "/strategies/short_vol_007"),
]


def parametrized(
    cases: list[tuple[str, str, str, Path]], *more: tuple[str, str, str, Path]
) -> pytest.MarkDecorator:
    """The cases, and `more` where the long tests run."""
    return pytest.mark.parametrize(
        ("desk", "role", "path"),
        [
            pytest.param(
                desk,
                role,
                path,
                id=f"{desk}-{role}-{name}",
                marks=() if place < len(cases) else pytest.mark.long,
            )
            for place, (desk, role, name, path) in enumerate([*cases, *more])
        ],
    )


class Browsing:
    """One browser, with a context per desk and role, each logged in once."""

    def __init__(self, browser: Browser, desk_of: Callable[[str], Served]) -> None:
        self.browser = browser
        self.desk_of = desk_of
        self.contexts: dict[tuple[str, str], BrowserContext] = {}
        self.said: list[str] = []

    def open(self, desk: str, role: str, path: Path, size: str = "desk") -> tuple[Page, Response]:
        """A page of its own, with its answer; what the console says is in `said`."""
        served = self.desk_of(desk)
        context = self.contexts.get((desk, role)) or self._logged_in(desk, role, served)
        page = context.new_page()
        width, height = SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("requestfailed", lambda request: self.said.append(f"failed: {request.url}"))
        answer = page.goto(served.url + (path if isinstance(path, str) else path(served)))
        assert answer is not None
        return page, answer

    def _logged_in(self, desk: str, role: str, served: Served) -> BrowserContext:
        context = self.contexts[desk, role] = self.browser.new_context()
        context.set_default_timeout(MILLISECONDS)
        if role != NOBODY:
            page = context.new_page()
            page.goto(f"{served.url}/login")
            page.get_by_label("API key").fill(KEYS[role])
            page.get_by_role("button", name="Log in").click()
            page.close()
        return context


@pytest.fixture(scope="module")
def _browsing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsing]:
    with ExitStack() as stack:
        served: dict[str, Served] = {}

        def desk_of(name: str) -> Served:
            if name not in served:
                folder = tmp_path_factory.mktemp(name)
                served[name] = stack.enter_context(desk_at(folder, name))
            return served[name]

        yield Browsing(stack.enter_context(chromium()), desk_of)


@pytest.fixture
def browsing(_browsing: Browsing) -> Iterator[Browsing]:
    """The browser, whose pages are closed after each test."""
    _browsing.said.clear()
    yield _browsing
    for context in _browsing.contexts.values():
        for page in context.pages:
            page.close()


def resized(page: Page, size: str) -> int:
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    return width


@parametrized(CASES, *MORE)
def test_a_page_fits_every_screen_and_paper_and_breaks_no_rule_of_axe(
    browsing: Browsing, desk: str, role: str, path: Path
) -> None:
    page, answer = browsing.open(desk, role, path)
    text = answer.text()
    policy = answer.headers["content-security-policy"]
    found = {"light, desk": broken_rules(page)}
    page.evaluate(OPEN)
    for size in SIZES:
        width = resized(page, size)
        found[f"{size} sideways"] = too_wide(page, width)
    page.emulate_media(color_scheme="dark")
    resized(page, "phone")
    found["dark, phone"] = broken_rules(page, *OF_LOOKS)
    page.set_viewport_size({"width": PAPER, "height": 1000})
    page.emulate_media(media="print", color_scheme="light")
    found["paper"] = too_wide(page, PAPER) + cut_on_paper(page)
    found["printed"] = [
        name
        for name in ("header", "nav", "button")
        if page.locator(name).locator("visible=true").count()
    ]
    found["markup"] = re.findall(r"<script|<style|\sstyle=|\son[a-z]+=|javascript:", text)
    # A refusal is said on the console; nothing was refused by the pages' own policy.
    found["console"] = [
        line for line in browsing.said if "the server responded with a status of 4" not in line
    ]

    assert {name: each for name, each in found.items() if each} == {}
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self'; form-action")
    assert len(text.encode()) <= LARGEST


@pytest.mark.long
@parametrized(CASES, *MORE)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_breaks_no_rule_of_axe_at_any_width_in_any_scheme(
    browsing: Browsing, desk: str, role: str, path: Path, scheme: Scheme
) -> None:
    page, _ = browsing.open(desk, role, path)
    page.emulate_media(color_scheme=scheme)
    found = {}
    for size in SIZES:
        resized(page, size)
        found[size] = broken_rules(page)
    assert {size: each for size, each in found.items() if each} == {}


@parametrized([case for case in CASES if case[0] == "eight" and case[1] != "viewer"])
def test_every_control_is_reached_by_the_keyboard_and_shows_it(
    browsing: Browsing, desk: str, role: str, path: Path
) -> None:
    page, _ = browsing.open(desk, role, path)

    assert lost_to_the_keyboard(page) == []


@pytest.mark.parametrize(
    ("role", "path", "answer"),
    [
        pytest.param("operator", "/", "main a[href^='/incidents/']", id="desk"),
        pytest.param(
            "operator", incident("short_vol", "policy_daily_loss"), "main button", id="incident"
        ),
        pytest.param(NOBODY, link, "main button", id="link"),
    ],
)
def test_what_is_wrong_how_bad_and_what_to_do_is_on_the_first_screen_of_a_phone(
    browsing: Browsing, role: str, path: Path, answer: str
) -> None:
    page, _ = browsing.open("eight", role, path, "phone")
    wanted = {
        "what": page.locator("main").get_by_text(re.compile("short_vol")).first,
        "how bad": page.locator("main").get_by_text(re.compile(r"−15.0\s%")).first,
        "how severe": page.locator("main .badge").filter(has_text="critical").first,
        "what to do": page.locator("main").get_by_text(re.compile(r"\bDo:")).first,
        "answer": page.locator(answer).first,
    }
    boxes = {name: each.bounding_box() for name, each in wanted.items()}

    assert {name for name, box in boxes.items() if box is None} == set()
    _, height = SIZES["phone"]
    ends = {name: box["y"] + box["height"] for name, box in boxes.items() if box}
    assert {name: end for name, end in ends.items() if end > height} == {}


def test_every_page_was_looked_at() -> None:
    paths = [path for *_, path in CASES if isinstance(path, str)]

    assert [page for page in PAGES if not any(path.startswith(page) for path in paths)] == []
