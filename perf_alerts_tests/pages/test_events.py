"""Events on the pages: one line for each, and one answer for all of it or for one incident."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.model import Resolution, ResolutionRecord, Status
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import IncidentFilter
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


async def lines(page: httpx.AsyncClient, status: str = "open") -> list[str]:
    """The lines of the list, as text."""
    text = (await page.get(f"/incidents?status={status}")).text.partition("<h2>")[0]
    return [
        " ".join(re.sub("<[^>]+>", " ", line).split())
        for line in re.findall(r"<li>(.*?)</li>", text, re.DOTALL)
    ]


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
        "critical trend -15.0 % on Mon 5 Jan open, 2 rules, today 19:00 CET, 30 min ago",
        "warning carry max drawdown open, 1 rule, today 19:30 CET, just now",
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
        assert line.startswith("warning trend max drawdown resolved, 1 rule,")
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
    for button in ("Acknowledge all 2 of the event", "Resolve all 2 of the event"):
        assert f">{button}</button>" in text
    assert text.count(">Only this one</button>") == 2


async def test_one_button_answers_all_of_an_event(proxy: Proxy, page: httpx.AsyncClient) -> None:
    judge(proxy, *bad_day())
    path = f"/incidents/{ids(proxy)['max_drawdown']}"
    answer = await press(page, path, "acknowledge", "event", comment="on it")

    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert {one.status for one in proxy.incidents.by_id.values()} == {Status.ACKNOWLEDGED}
    again = await press(page, path, "acknowledge", "event")
    assert again.status_code == 409
    assert "operator acknowledged it on" in again.text
    assert ">Acknowledge all" not in again.text

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
    # The rest of the event is answered from here as well, and this one no second time.
    assert ">Acknowledge all 1 of the event</button>" in text
    assert text.count(">Only this one</button>") == 1

    form = {"outcome": "true"}
    assert (await press(page, f"/incidents/{one}", "resolve", of, **form)).status_code == 303
    text = (await page.get(f"/incidents/{one}")).text
    assert ">Resolve all 1 of the event</button>" in text
    assert ">Only this one</button>" not in text


async def test_an_event_of_one_incident_has_one_button_each(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    judge(proxy, breach())
    text = (await page.get(f"/incidents/{ids(proxy)['max_drawdown']}")).text

    assert ">Acknowledge</button>" in text
    assert ">Resolve</button>" in text
    assert "Only this one" not in text


async def test_what_happened_is_said_in_words(proxy: Proxy, page: httpx.AsyncClient) -> None:
    judge(proxy, *bad_day())
    await proxy.time.pause(60)
    path = f"/incidents/{ids(proxy)['daily_exceedance']}"
    await press(page, path, "acknowledge", "event", comment="on it")
    await proxy.time.pause(30 * 60)
    text = (await page.get(path)).text
    timeline = text[text.index("What happened") :]

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


async def test_an_event_that_is_answered_while_the_list_is_read_is_in_the_other_list(
    proxy: Proxy, page: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(proxy, *bad_day())
    (found,) = proxy.incidents.event_rows.values()
    before = proxy.incidents.incidents(IncidentFilter(status=Status.OPEN))
    lifecycle_of(proxy).acknowledge_event(found.id, by="ann", now=proxy.time())
    monkeypatch.setattr(proxy.incidents, "incidents", lambda *_, **__: before)
    assert await lines(page) == []
    proxy.incidents.event_rows[found.id] = found

    assert await lines(page) == []
