"""The incident pages in a real browser (Debian's chromium), on a desk and on a phone."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from perf_alerts_tests.pages.browsing import SIZES, chromium, needs_chromium
from perf_alerts_tests.stack.real import Ledger, System, real_system, weekdays_before
from perf_alerts_tests.stack.stacks import eventually

# `test_login_link` opens the desk of a stack, and pages/ has these pages over the same application.
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,
    pytest.mark.xdist_group("stack"),
    needs_chromium,
]

DAILY = "daily_pnl_check"
KEY = "operator-key-of-the-tests-0123456789abcdef"
# For a machine that is busy.
expect.set_options(timeout=60_000)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system with incidents: the last session broke the mandate and the backtest's days."""
    folder = tmp_path_factory.mktemp("pages")
    ledger = Ledger(folder / "daily.csv")
    days = weekdays_before(datetime.now(UTC).date(), 5)
    ledger.begin(days[0])
    for day in days[:-1]:
        ledger.add(day)
    ledger.add(days[-1], -9_000.0)
    environ = {
        "ALERT_RECORDS_URL": str(ledger.path),
        "ALERT_PROJECTION_PATHS": "1000",
        "ALERT_SCHEDULES_START": "stopped",
        "ALERT_POLICY_LIMITS": '{"default": {"drawdown": 0.05, "daily_loss": 0.03}}',
        "ALERT_OPERATOR_API_KEY": KEY,
    }
    with real_system(folder / "state", environ) as made:
        made.start()
        run = made.running.launch(DAILY)
        eventually(
            lambda: made.running.status(run) == "SUCCESS", seconds=60, what="the run succeeds"
        )
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.mark.parametrize(
    ("size", "rule"), [("desk", "policy_drawdown"), ("phone", "policy_daily_loss")]
)
def test_a_link_leads_to_its_incident_which_is_answered(
    system: System, browser: Browser, tmp_path: Path, size: str, rule: str
) -> None:
    width, height = SIZES[size]
    base = f"http://127.0.0.1:{system.proxy_port}"
    answer = httpx.get(
        f"{base}/api/performance-alerts/incidents",
        params={"rule": rule},
        headers={"X-Alert-API-Key": KEY},
    )
    incident = answer.json()["data"][0]["id"]
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))

    # The link of a message, in a browser that nobody is logged in with.
    page.goto(f"{base}/incidents/{incident}")
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{base}/incidents/{incident}")
    expect(page.locator("h1")).to_contain_text("trend")
    expect(page.get_by_role("heading", name="As it was when it opened")).to_be_visible()
    # Lines, or the bars of days.
    expect(page.locator("figure svg").locator("path, rect")).not_to_have_count(0)
    expect(page.locator(".timeline li").first).to_contain_text("opened")
    fits(page, width)

    page.get_by_label("Comment").fill("I look at it")
    only_this(page, "I look after it")
    expect(page.locator("dl")).to_contain_text("by operator")
    only_this(page, "Wrong data")
    expect(page.locator("dl")).to_contain_text("wrong data")
    expect(page.locator(".timeline")).to_contain_text("resolved")
    fits(page, width)

    page.goto(f"{base}/incidents?status=all")
    fits(page, width)
    page.get_by_role("button", name="Log out").click()
    page.goto(f"{base}/incidents/{incident}")
    expect(page.get_by_label("API key")).to_be_visible()
    # Nothing was refused by the pages' own policy.
    assert said == []
    context.close()


def only_this(page: Page, button: str) -> None:
    """Answer one incident: the other test answers another one of the same event."""
    summary = page.locator("summary", has_text="or only this one")
    # There is none where the others of its event are answered.
    if summary.count():
        summary.click()
        page.get_by_label("Answer only this incident").check()
    page.get_by_role("button", name=button).click()


def fits(page: Page, width: int) -> None:
    """Nothing makes the page wider than the screen."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
