"""The web UI in a real browser (Debian's chromium): log in, launch a run, toggle, be refused."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from perf_alerts_dagster.http.paths import BASE
from perf_alerts_tests.pages.browsing import chromium, needs_chromium
from perf_alerts_tests.stack.real import Ledger, System, real_system
from perf_alerts_tests.stack.stacks import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack"), needs_chromium]


DAILY = "daily_pnl_check"
KEYS = {
    role: f"pa_{role}_only-for-the-tests-0123456789abcdef"
    for role in ("viewer", "operator", "admin")
}
SCHEDULES = """
{ schedulesOrError(repositorySelector: {
    repositoryLocationName: "perf_alerts", repositoryName: "__repository__"}) {
  ... on Schedules { results { name scheduleState { status } } } } }
"""
RUNS = "{ runsOrError { ... on Runs { results { runId status jobName tags { key value } } } } }"
EVIL = """<!doctype html><title>elsewhere</title>
<form id="form" method="post" enctype="text/plain" target="frame"
  action="http://127.0.0.1:{port}/graphql">
  <input name='{{"query":"mutation{{{launch}}}","x":"' value='"}}'></form>
<iframe name="frame"></iframe>
<img src="http://127.0.0.1:{port}/graphql?query=mutation%7B{launch}%7D">
<script>
const body = JSON.stringify({{query: "mutation{{{launch}}}"}});
const to = "http://127.0.0.1:{port}/graphql";
const ways = [
  fetch(to, {{method: "POST", body, headers: {{"Content-Type": "application/json"}}}}),
  fetch(to, {{method: "POST", body, mode: "no-cors", headers: {{"Content-Type": "text/plain"}}}}),
  new Promise(done => {{ const s = new WebSocket("ws://127.0.0.1:{port}/graphql",
    "graphql-ws"); s.onopen = () => done("open"); s.onerror = () => done("refused"); }}),
];
document.getElementById("form").submit();
Promise.allSettled(ways).then(all => {{ document.title = "tried " + all.map(
  one => one.value === "open" ? "open" : one.status === "fulfilled" && one.value.ok
    ? "answered" : "refused").join(","); }});
</script>"""
LAUNCH = (
    'launchRun(executionParams:{selector:{repositoryLocationName:\\"perf_alerts\\",'
    'repositoryName:\\"__repository__\\",jobName:\\"daily_pnl_check\\"}}){__typename}'
)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("browser")
    ledger = Ledger.grown(folder / "daily.csv", 3)
    environ = {
        "ALERT_RECORDS_URL": str(ledger.path),
        "ALERT_PROJECTION_PATHS": "1000",
        **{f"ALERT_{role.upper()}_API_KEY": key for role, key in KEYS.items()},
    }
    with real_system(folder / "state", environ) as running:
        running.start()
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1360, "height": 900})
    opened.set_default_timeout(60_000)
    yield opened
    opened.close()


def log_in(page: Page, system: System, path: str, role: str = "operator") -> None:
    """Open a page of the web UI without a session: the login page asks, and leads back to it."""
    page.goto(f"http://127.0.0.1:{system.port}{path}")
    assert page.url.startswith(f"http://127.0.0.1:{system.proxy_port}/login?")
    page.get_by_label("API key").fill(KEYS[role])
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"http://127.0.0.1:{system.port}{path}")


def audited(system: System, action: str) -> list[dict[str, Any]]:
    """The audit's rows of an action, newest first."""
    answer = httpx.get(
        f"http://127.0.0.1:{system.proxy_port}{BASE}/admin/audit?limit=500",
        headers={"X-Alert-API-Key": KEYS["admin"]},
        timeout=30,
    )
    return [row for row in answer.json()["data"] if row["action"] == action]


def runs(system: System) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = system.running.query(RUNS)["runsOrError"]["results"]
    return found


def is_on(system: System, name: str) -> bool:
    schedules = system.running.query(SCHEDULES)["schedulesOrError"]["results"]
    states = {one["name"]: one["scheduleState"]["status"] for one in schedules}
    return bool(states[f"{name}_schedule"] == "RUNNING")


def test_a_run_is_launched_by_its_button_and_shows_its_table_and_bands(
    page: Page, system: System
) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    first = system.running.launch(DAILY)
    eventually(lambda: system.running.status(first) == "SUCCESS", seconds=60, what="the first run")
    log_in(page, system, f"/runs/{first}")
    page.get_by_role("button", name="Re-execute all").click()
    eventually(
        lambda: [run["status"] for run in runs(system)] == ["SUCCESS"] * 2,
        seconds=60,
        what="the run that the button launched",
    )

    # Who asked for it is the person, although the button copies the first run's tags.
    newest = {tag["key"]: tag["value"] for tag in runs(system)[0]["tags"]}
    assert newest["perf_alerts/triggered_by"] == "operator"
    (row,) = audited(system, "ui:launchPipelineReexecution")
    assert (row["actor"], row["target"], row["outcome"]) == ("operator", first, "done")

    page.goto(f"http://127.0.0.1:{system.port}/runs/{first}")
    page.get_by_text("[Show Markdown]").first.click()
    page.locator("img[alt^='band and live path']").first.wait_for()

    assert "rolling_sharpe" in page.inner_text("body")
    assert errors == []


def test_a_schedule_is_toggled_by_its_switch(page: Page, system: System) -> None:
    log_in(page, system, "/automation")
    # Rows move while the page loads and their switches come with a query of their own: hold on to
    # what stands beside the schedule's link.
    link = page.locator(f"a[href$='/schedules/{DAILY}_schedule']")
    selecting = link.locator("xpath=preceding-sibling::div//input[@type='checkbox']")
    switch = link.locator("xpath=following-sibling::div//input[@type='checkbox']")
    expect(switch).to_be_checked(timeout=60_000)
    assert is_on(system, DAILY)

    turn(switch, system, on=False)
    turn(switch, system, on=True)
    expect(selecting).not_to_be_checked()
    for action in ("ui:stopRunningSchedule", "ui:startSchedule"):
        row = audited(system, action)[0]
        assert (row["actor"], row["target"]) == ("operator", f"{DAILY}_schedule")


def test_a_viewer_sees_a_run_and_finds_no_button_that_works(page: Page, system: System) -> None:
    run = runs(system)[-1]["runId"] if runs(system) else system.running.launch(DAILY)
    before = len(runs(system))

    log_in(page, system, f"/runs/{run}", "viewer")

    expect(page.get_by_role("button", name="Re-execute all")).to_be_disabled(timeout=60_000)
    page.goto(f"http://127.0.0.1:{system.port}/automation")
    link = page.locator(f"a[href$='/schedules/{DAILY}_schedule']")
    switch = link.locator("xpath=following-sibling::div//input[@type='checkbox']")
    expect(switch).to_be_disabled(timeout=60_000)
    assert len(runs(system)) == before


def test_an_operator_who_deletes_a_run_is_refused_in_words_and_the_page_goes_on(
    page: Page, system: System
) -> None:
    run = system.running.launch(DAILY)
    eventually(lambda: system.running.status(run) == "SUCCESS", seconds=120, what="the run")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    log_in(page, system, "/runs")

    expect(page.locator(f"a[href='/runs/{run}']").first).to_be_visible(timeout=60_000)
    page.locator("button:has([aria-label=expand_more]):not([disabled])").first.click()
    page.get_by_text("Delete").last.click()
    page.get_by_role("button", name="Delete").last.click()

    expect(page.get_by_text("Could not delete 1 run")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Done").click()
    (row,) = audited(system, "ui:deletePipelineRun")
    assert (row["actor"], row["outcome"]) == ("operator", "failed")
    assert row["target"] in {found["runId"] for found in runs(system)}
    assert errors == []


def turn(switch: Locator, system: System, *, on: bool) -> None:
    """Click a switch as a person does: once more where the page, still loading, ignored it.

    A click asks for the contrary of what the page shows, so only what still shows the contrary of
    what is wanted is clicked, and only after the click before had its time.
    """

    def is_turned() -> bool:
        if is_on(system, DAILY) == on:
            return True
        switch.dispatch_event("click")
        with suppress(AssertionError):
            expect(switch).to_be_checked(checked=on, timeout=10_000)
        return is_on(system, DAILY) == on

    expect(switch).to_be_checked(checked=not on, timeout=60_000)
    eventually(is_turned, seconds=60, what=f"the schedule is {'on' if on else 'off'}")
    expect(switch).to_be_checked(checked=on, timeout=60_000)


@contextmanager
def elsewhere(text: str, name: str) -> Iterator[str]:
    """A page of another origin on this machine, under one of its names."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://{name}:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_page_of_another_origin_launches_nothing_by_any_way(
    page: Page, system: System, name: str
) -> None:
    log_in(page, system, "/runs")
    before = len(runs(system))
    text = EVIL.format(port=system.port, launch=LAUNCH.replace('\\"', "&quot;"))
    with elsewhere(text, name) as url:
        page.goto(url)
        page.wait_for_function("document.title.startsWith('tried')")
        title = page.title()

    assert "answered" not in title
    assert "open" not in title
    assert len(runs(system)) == before
