"""Events on the pages: one line for each, and one answer for all of it or for one incident."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape

import httpx
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.model import Resolution, ResolutionRecord, Status
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_tests.incidents.incident_desk import DAILY, breach, event, judged
from perf_alerts_tests.pages.test_routes import browser, login, word
from perf_alerts_tests.server.apps import Proxy

CHANNEL = "webhook:hook.example:0123abcd"


@pytest.fixture
def proxy() -> Proxy:
    return Proxy(ALERT_TIMEZONE="Europe/Berlin")


@pytest.fixture
async def page(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(proxy) as client:
        await login(client)
        yield client


def lifecycle_of(proxy: Proxy) -> Lifecycle:
    return Lifecycle(store=proxy.incidents, settings=NotificationSettings(channels=(CHANNEL,)))


def judge(proxy: Proxy, *found: Evaluation) -> None:
    run_id = f"run-{len(proxy.incidents.judgements)}"
    proxy.incidents.add_judgement(judged(*found, run_id=run_id))
    lifecycle_of(proxy).apply_judgements(DAILY, run_id=run_id, now=proxy.time())


def bad_day(strategy: str = "trend") -> tuple[Evaluation, Evaluation]:
    parts = {"headline": "-15.0 % on Mon 5 Jan"}
    return event(strategy=strategy, severity=Severity.CRITICAL, parts=parts), breach(
        strategy=strategy
    )


def ids(proxy: Proxy) -> dict[str, str]:
    """The incidents' ids by their rule."""
    return {one.rule: one.id for one in proxy.incidents.by_id.values()}


async def lines(page: httpx.AsyncClient, status: str = "open", query: str = "") -> list[str]:
    """The lines of the list, as text, without the incidents of an event behind them."""
    text = (await page.get(f"/incidents?status={status}{query}")).text
    shut = re.sub(r"(?s)<details>.*?</details>", "", text)
    return [
        words_of(line) for line in re.findall(r'(?ms)^<li(?: class="chosen")?>(.*?)^</li>', shut)
    ]


def words_of(html: str) -> str:
    """What HTML says, without its tags."""
    text = " ".join(unescape(re.sub("<[^>]+>", " ", html)).split())
    return re.sub(r" ([,;])", r"\1", text)


async def press(
    page: httpx.AsyncClient, path: str, action: str, of: str | None, **form: str
) -> httpx.Response:
    given = {"form_word": await word(page, path)} | form | ({"of": of} if of else {})
    return await page.post(f"{path}/{action}", data=given)


async def test_an_event_is_one_line_of_the_list(proxy: Proxy, page: httpx.AsyncClient) -> None:
    judge(proxy, *bad_day())
    await proxy.time.pause(30 * 60)
    judge(proxy, breach(strategy="carry"))

    assert await lines(page) == [
        "critical trend \u221215.0 % on Mon 5 Jan \u22120.3 sigma; limit \u22120.2 sigma. "
        "open, 2 rules, today 19:00 CET, 30 min ago",
        "warning carry max drawdown \u22120.3; limit \u22120.2. "
        "open, 1 rule, today 19:30 CET, just now",
    ]
    text = (await page.get("/incidents")).text
    assert f'href="/incidents/{ids(proxy)["daily_exceedance"]}"' in text


async def test_an_event_is_in_one_list_by_its_own_status(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    judge(proxy, *bad_day())
    first, second = proxy.incidents.by_id
    answers = {"by": "ann", "now": proxy.time()}
    lifecycle_of(proxy).acknowledge(first, **answers)  # type: ignore[arg-type] # as given

    counts = {status: len(await lines(page, status)) for status in (*Status, "all")}
    assert counts == {"open": 1, "acknowledged": 0, "resolved": 0, "all": 1}
    (line,) = await lines(page)
    assert line.endswith("acknowledged by ann today 19:00 CET")

    lifecycle_of(proxy).resolve(second, outcome=Resolution.FALSE, **answers)  # type: ignore[arg-type] # as given
    counts = {status: len(await lines(page, status)) for status in (*Status, "all")}
    assert counts == {"open": 0, "acknowledged": 1, "resolved": 0, "all": 1}
    (line,) = await lines(page, "acknowledged")
    assert "1 rule," in line

    lifecycle_of(proxy).resolve(first, outcome=Resolution.FALSE, **answers)  # type: ignore[arg-type] # as given
    (line,) = await lines(page, "resolved")
    assert "resolved by ann today 19:00 CET: a false alarm" in line


async def test_an_event_over_two_pages_is_on_one(
    proxy: Proxy, page: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perf_alerts_dagster.pages.incidents._PAGE", 2)
    rules = [breach(rule=f"rule_{n}") for n in range(5)]
    judge(proxy, *rules)
    found: list[tuple[str, str]] = []
    path = "/incidents?status=all"
    while path:
        text = (await page.get(path)).text
        found += re.findall(r"<small>(\S+), (\d+) rules", text)
        older = re.search(r'href="(/incidents\?[^"]*cursor[^"]*)"', text)
        path = older[1].replace("&amp;", "&") if older else ""

    assert found == [("open", "5")]


async def test_an_incident_that_was_over_before_there_were_events_is_still_listed(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    judge(proxy, breach())
    ((incident_id, old),) = proxy.incidents.by_id.items()
    ended = ResolutionRecord(by="system", at=proxy.time(), outcome=Resolution.RECOVERED)
    proxy.incidents.by_id[incident_id] = replace(
        old, event_id="", status=Status.RESOLVED, resolved=ended
    )
    proxy.incidents.event_rows.clear()

    for status in ("resolved", "all"):
        (line,) = await lines(page, status)
        assert line.startswith("warning trend max drawdown")
        assert "resolved, 1 rule," in line
    (line,) = await lines(page, "earlier")
    assert "resolved, 1 rule," in line
    assert await lines(page) == []
    assert (await page.get("/incidents?status=earlier&cursor=x")).status_code == 422
    text = (await page.get(f"/incidents/{incident_id}")).text
    assert "Its event" not in text
    assert '<form method="post" action="/incidents' not in text


async def test_an_incident_shows_its_event_and_the_others_of_it(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    judge(proxy, *bad_day())
    one, other = ids(proxy)["daily_exceedance"], ids(proxy)["max_drawdown"]
    text = (await page.get(f"/incidents/{one}")).text

    assert next(iter(proxy.incidents.event_rows)) in text
    assert f'href="/incidents/{other}"' in text
    assert f'href="/incidents/{one}"' not in text
    for button in ("I look after it", "Known", "False alarm", "Wrong data", "Silence 1 day"):
        assert f">{button}</button>" in text
    assert "For all 2 incidents of its event; or only this one" in text


async def test_one_button_answers_all_of_an_event(proxy: Proxy, page: httpx.AsyncClient) -> None:
    judge(proxy, *bad_day())
    path = f"/incidents/{ids(proxy)['max_drawdown']}"
    answer = await press(page, path, "acknowledge", "event", comment="on it")

    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert {one.status for one in proxy.incidents.by_id.values()} == {Status.ACKNOWLEDGED}
    again = await press(page, path, "acknowledge", "event")
    assert again.status_code == 409
    assert "operator acknowledged it on" in again.text
    assert ">I look after it" not in again.text

    answer = await press(page, path, "resolve", "event", outcome="known")
    assert answer.status_code == 303
    assert {one.status for one in proxy.incidents.by_id.values()} == {Status.RESOLVED}
    targets = [(one.action, one.target) for one in proxy.incidents.audit]
    event_id = next(iter(proxy.incidents.event_rows))
    assert targets == [("acknowledge", f"events/{event_id}"), ("resolve", f"events/{event_id}")]


@pytest.mark.parametrize("of", ["incident", None])
async def test_the_other_button_answers_one_incident(
    proxy: Proxy, page: httpx.AsyncClient, of: str | None
) -> None:
    judge(proxy, *bad_day())
    one, other = ids(proxy)["daily_exceedance"], ids(proxy)["max_drawdown"]
    assert (await press(page, f"/incidents/{one}", "acknowledge", of)).status_code == 303

    assert proxy.incidents.by_id[one].status is Status.ACKNOWLEDGED
    assert proxy.incidents.by_id[other].status is Status.OPEN
    text = (await page.get(f"/incidents/{one}")).text
    # The rest of the event is answered from here as well.
    assert ">I look after it</button>" in text

    form = {"outcome": "true"}
    assert (await press(page, f"/incidents/{one}", "resolve", of, **form)).status_code == 303
    text = (await page.get(f"/incidents/{one}")).text
    assert "It is over; this answers what goes on of its event (1)." in text
    assert "only this one" not in text


async def test_an_event_of_one_incident_has_one_button_each(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    judge(proxy, breach())
    text = (await page.get(f"/incidents/{ids(proxy)['max_drawdown']}")).text

    assert ">I look after it</button>" in text
    assert "only this one" not in text


async def test_what_happened_is_said_in_words(proxy: Proxy, page: httpx.AsyncClient) -> None:
    judge(proxy, *bad_day())
    await proxy.time.pause(60)
    path = f"/incidents/{ids(proxy)['daily_exceedance']}"
    await press(page, path, "acknowledge", "event", comment="on it")
    await proxy.time.pause(30 * 60)
    text = (await page.get(path)).text
    timeline = text[text.index("What happened") : text.index("<h2>Facts")]

    for part in (
        "opened as critical for Mon 5 Jan",
        "webhook hook.example notified: it is open",
        "acknowledged: on it</strong> by operator",
        "today 19:00 CET, 31 min ago</time>",
        '<time datetime="2026-01-30T18:00:00Z" title="2026-01-30T18:00:00Z">',
    ):
        assert part in timeline
    assert "0123abcd" not in text
    assert "run-0" not in timeline
    assert "-0.3" not in timeline
