"""Makes the pictures of README.md and docs/ui.md from the bundled sample: `make pictures`.

It starts the whole stack on free ports over a state folder of its own, waits until the sample is
judged, looks at the pages in Debian's chromium, and ends everything. The sample moves on with each
weekday, so that the numbers in the pictures do too; their names and sizes stay.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Page

from perf_alerts_dagster.http.paths import BASE
from perf_alerts_tests.pages.browsing import CHROMIUM, Scheme, chromium
from perf_alerts_tests.receivers import Receiver, http_receiver
from perf_alerts_tests.stack.real import System, real_system

IMAGES = Path(__file__).with_name("images")
KEY = "operator-key-of-the-pictures-0123456789abcdef"
LARGEST = 300_000
DESK, PHONE = (1280, 860), (390, 844)
# The first start judges 18 strategies with all five alerts.
SECONDS = 1800


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A file, the address of its page, and how it is looked at."""

    name: str
    url: str
    size: tuple[int, int] = DESK
    scheme: Scheme = "light"
    logged_in: bool = True
    # A text that Dagster's UI, which is a script, shows when it is ready, and what is clicked then.
    ready: str = ""
    click: str = ""


class Sample:
    """The running sample, as an operator's key sees it."""

    def __init__(self, system: System, receiver: Receiver) -> None:
        self.pages = f"http://127.0.0.1:{system.proxy_port}"
        self.web_ui = f"http://127.0.0.1:{system.port}"
        self.receiver = receiver

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - JSON
        """What REST answers."""
        answer = httpx.get(
            f"{self.pages}{BASE}{path}",
            params=query,
            headers={"X-Alert-API-Key": KEY},
            timeout=60,
        )
        return answer.raise_for_status().json()["data"]

    def wait_until_judged(self) -> None:
        """Until every alert was executed once, and its messages came."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            alerts = self.get("/schedule/status")["scheduled_alerts"]
            runs = [run for alert in alerts for run in alert["recent_executions"][:1]]
            if len(runs) == len(alerts) and all(run["success"] for run in runs):
                return
            if any(run["success"] is False for run in runs):
                sys.exit(f"an execution of the sample failed: {runs}")
            time.sleep(2)
        sys.exit(f"the sample was not judged within {SECONDS} s")

    def run_of(self, alert: str) -> str:
        """The id of the newest run of an alert."""
        alerts = self.get("/schedule/status")["scheduled_alerts"]
        found = next(each for each in alerts if each["name"] == alert)
        return str(found["recent_executions"][0]["run_id"])

    def link(self) -> str:
        """The link that the first message about an event holds."""
        for request in self.receiver.got:
            for event in request.json.get("events", ()):
                if event["link"]:
                    return str(event["link"])
        sys.exit("no message with a link came")


@contextmanager
def sample(folder: Path) -> Iterator[Sample]:
    """The whole stack over the sample, until the end of the context."""
    with http_receiver() as receiver:
        environ = {
            "ALERT_OPERATOR_API_KEY": KEY,
            "ALERT_NOTIFY_URLS": f"http://127.0.0.1:{receiver.port}/desk",
            "ALERT_NOTIFY_ALLOWED_HOSTS": "127.0.0.1",
            # A busy machine must not lose the first executions.
            "ALERT_DAGSTER_SECONDS": "120",
        }
        with real_system(folder / "state", environ, words=()) as system:
            system.environ["ALERT_PUBLIC_URL"] = f"http://127.0.0.1:{system.proxy_port}"
            system.start()
            yield Sample(system, receiver)


def pictures(found: Sample) -> list[Picture]:
    """What is shown, in the order in which docs/ui.md walks through it."""
    worst = found.get("/incidents", status="open")
    first = next(each for each in worst if each["strategy"] == "made_up_undersized")
    strategy = f"{found.pages}/strategies/{first['strategy']}"
    incident = f"{found.pages}/incidents/{first['id']}"
    desk = f"{found.pages}/"
    run = f"{found.web_ui}/runs/{found.run_of('daily_pnl_check')}"
    asset = f"{found.web_ui}/assets/performance_alerts/strategy/{first['strategy']}"
    checks = f"{asset}?view=checks&checkDetail=projection"
    shown = "tr:has(td:text-is('{}')) >> text=/Show/"
    return [
        Picture(name="desk", url=desk),
        Picture(name="desk-phone", url=desk, size=PHONE),
        Picture(name="strategy", url=strategy, size=(1280, 1180)),
        Picture(name="strategy-phone", url=strategy, size=PHONE, scheme="dark"),
        Picture(name="incidents", url=f"{found.pages}/incidents", size=(1280, 700)),
        Picture(name="incident", url=incident),
        Picture(name="incident-phone", url=incident, size=PHONE),
        Picture(name="link-phone", url=found.link(), size=PHONE, logged_in=False),
        Picture(name="alerts", url=f"{found.pages}/alerts", size=(1280, 700)),
        Picture(name="rules", url=f"{found.pages}/rules", size=(1280, 700)),
        Picture(name="ui-run", url=run, ready="STEP_OUTPUT"),
        Picture(name="ui-plots", url=run, ready="STEP_OUTPUT", click=shown.format("plots")),
        Picture(name="ui-catalog", url=checks, ready="projection"),
        Picture(name="ui-schedules", url=f"{found.web_ui}/automation", ready="daily_pnl_check"),
    ]


def logged_in(browser: Browser, found: Sample) -> BrowserContext:
    """A browser in which the operator is logged in."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{found.pages}/login")
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{found.pages}/")
    page.close()
    return context


def take(page: Page, picture: Picture) -> None:
    """Write the file of a picture, its first screen.

    A picture that is too large for a page of documentation ends the script.
    """
    width, height = picture.size
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=picture.scheme, reduced_motion="reduce")
    page.goto(picture.url)
    # A busy machine shows a page before Dagster has answered it.
    while page.get_by_text("Dagster does not answer").count():
        page.wait_for_timeout(5_000)
        page.reload()
    if picture.ready:
        page.locator(f"text={picture.ready} >> visible=true").first.wait_for(timeout=120_000)
        page.wait_for_timeout(2_000)
    if picture.click:
        page.locator(picture.click).first.click()
        page.wait_for_timeout(2_000)
    path = IMAGES / f"{picture.name}.png"
    page.screenshot(path=path, animations="disabled")
    if path.stat().st_size > LARGEST:
        sys.exit(f"{path.name} has {path.stat().st_size} bytes; at most {LARGEST} are accepted")


def main() -> None:
    """Make them all anew."""
    if CHROMIUM is None:
        sys.exit("chromium is not installed: no picture was made")
    with (
        TemporaryDirectory(prefix="perf-alerts-pictures-", ignore_cleanup_errors=True) as folder,
        sample(Path(folder)) as found,
        chromium() as browser,
    ):
        found.wait_until_judged()
        inside, outside = logged_in(browser, found), browser.new_context()
        for picture in pictures(found):
            page = (inside if picture.logged_in else outside).new_page()
            take(page, picture)
            page.close()


if __name__ == "__main__":
    main()
