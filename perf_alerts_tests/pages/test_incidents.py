"""The list of incidents and the page of one: order, counts, filters, answers, and what is said."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import httpx
import pytest

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.model import Resolution, Status
from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_tests.incidents.incident_desk import breach, fine
from perf_alerts_tests.pages import incident_states as states
from perf_alerts_tests.pages.incident_states import (
    DAY,
    answer,
    crash,
    event_of,
    judge,
    keep_plot,
    of_group,
    only,
    record,
    silence,
)
from perf_alerts_tests.pages.test_events import lines, press, words_of
from perf_alerts_tests.pages.test_routes import HOSTILE, browser, login, word
from perf_alerts_tests.server.apps import Proxy, serving

MINUS = "\u2212"


@pytest.fixture
def proxy() -> Proxy:
    return Proxy(ALERT_TIMEZONE="Europe/Berlin", ALERT_RUNBOOK_URL="https://wiki.example/runbooks")


@pytest.fixture
async def page(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(proxy) as client:
        await login(client)
        yield client


def names(listed: Sequence[str]) -> list[str]:
    """The strategies of lines."""
    return [line.split()[1] for line in listed]


async def text_of(page: httpx.AsyncClient, path: str = "/incidents") -> str:
    """What a page says, without its tags."""
    answer = await page.get(path)
    assert answer.status_code == 200, answer.text
    return said(answer)


def said(answer: httpx.Response) -> str:
    body = answer.text[answer.text.index("<main") :]
    return words_of(body)


def older(text: str) -> str:
    """The path of the next page; empty on the last one."""
    found = re.search(r'<a href="(/incidents\?[^"]*cursor[^"]*)"', text)
    return unescape(found[1]) if found else ""


SEVERITIES = [Severity.WARNING, Severity.CRITICAL, Severity.EMERGENCY]


async def test_the_worst_come_first_over_all_pages_as_in_rest(
    proxy: Proxy, page: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perf_alerts_dagster.pages.incidents._PAGE", 4)
    for n in range(9):
        judge(proxy, crash(f"s{n}", severity=SEVERITIES[n % 3], parts={}))
        await proxy.time.pause(60)
    path, found = "/incidents?status=open", list[str]()
    while path:
        found += names(await lines(page, query=path.removeprefix("/incidents?status=open")))
        path = older((await page.get(path)).text)
        # What opens meanwhile moves nothing.
        judge(proxy, crash(f"new{len(found)}", severity=Severity.EMERGENCY, parts={}))

    assert found == [f"s{n}" for n in (8, 5, 2, 7, 4, 1, 6, 3, 0)]
    async with serving(proxy) as http:
        rest = (await http.get("/events", params={"order": "worst", "status": "open"})).json()
    assert [one["leader"] for one in rest["data"] if one["leader"][0] == "s"] == found
    assert rest["counts"] == {"open": 12, "acknowledged": 0, "resolved": 0}


async def test_the_tabs_count_all_events_of_the_filter(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    judge(proxy, crash("a"), crash("b"), crash("c", parts={"owner": "carry"}), breach(strategy="d"))
    answer(proxy, "a", "acknowledge")
    answer(proxy, "d", "resolve", outcome=Resolution.KNOWN)

    assert "open 2 acknowledged 1 resolved 1 all 4" in await text_of(page)
    assert "open 2 acknowledged 1 resolved 1 all 4" in await text_of(page, "/incidents?status=all")
    shown = await text_of(page, "/incidents?owner=vol-desk")
    assert "open 1 acknowledged 1 resolved 0 all 2" in shown
    text = (await page.get("/incidents?owner=vol-desk")).text
    assert 'href="/incidents?status=acknowledged&amp;owner=vol-desk"' in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("severity=warning", ["carry"]),
        ("rule=max_drawdown", ["carry"]),
        ("strategy=short_vol", ["short_vol"]),
        ("strategy=group%3Avol", ["short_vol"]),
        ("leader=group%3Avol", []),
        ("owner=vol-desk", ["short_vol"]),
        ("text=CARR", ["carry"]),
        ("text=100%25", []),
        ("since=2026-01-30", ["short_vol", "carry"]),
        ("forgotten=true", []),
        ("order=newest", ["carry", "short_vol"]),
        ("severity=&rule=&strategy=&leader=&owner=&since=&text=&forgotten=&order=", [
            "short_vol", "carry",
        ]),
    ],
)  # fmt: skip
async def test_a_filter_is_over_all_rows_and_is_the_same_over_rest(
    proxy: Proxy, page: httpx.AsyncClient, query: str, found: list[str]
) -> None:
    judge(proxy, crash(), of_group())
    await proxy.time.pause(60)
    judge(proxy, breach(strategy="carry"))

    assert names(await lines(page, query=f"&{query}")) == found
    if query.endswith("=") or "since" in query:
        return
    async with serving(proxy) as http:
        asked = query if "order" in query else f"{query}&order=worst"
        rest = (await http.get(f"/events?status=open&{asked}")).json()
    assert [one["leader"] for one in rest["data"]] == found
    assert rest["counts"]["open"] == len(found)


async def test_a_day_of_the_filter_begins_in_the_desks_zone(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    proxy.time.now = proxy.time.now.replace(hour=23, minute=30)
    await login(page)
    judge(proxy, breach())

    assert len(await lines(page, query="&since=2026-01-31")) == 1
    assert "since: a date" in said(await page.get("/incidents?since=2026-02-01"))


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("status=evil", "status: all or one of"),
        ("severity=evil", "severity: one of"),
        ("since=yesterday", "since: a date YYYY-MM-DD"),
        ("order=evil", "order: one of newest, worst"),
        ("forgotten=perhaps", "forgotten"),
        ("cursor=evil", "cursor: the next_cursor of the page before"),
        ("strategy=%0a", "strategy: a name"),
    ],
)
async def test_a_mistake_in_the_filter_is_said_above_the_list(
    proxy: Proxy, page: httpx.AsyncClient, query: str, why: str
) -> None:
    judge(proxy, breach())
    answer = await page.get(f"/incidents?{query}")

    assert answer.status_code == 422
    assert why in said(answer)
    assert "trend" in said(answer)


async def test_a_typed_filter_stays_in_its_fields_and_harmless(
    page: httpx.AsyncClient,
) -> None:
    params = {"text": HOSTILE, "owner": "vol-desk", "severity": "warning", "rule": "no_data"}
    text = (await page.get("/incidents", params=params)).text

    assert "<script" not in text
    assert 'name="owner" type="text" maxlength="200" value="vol-desk"' in text
    for value in ("warning", "no_data"):
        assert f'<option value="{value}" selected>' in text
    assert "No incident matches the filter." in text
    assert '<details class="filters" open>' in text


async def test_an_empty_list_says_what_was_judged_and_what_was_not(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    unjudged = await text_of(page)
    assert re.search(
        "Nothing was judged yet; next check Sat 31 Jan [^.]*[.] Nothing open[.]", unjudged
    )
    states.empty(proxy)
    shown = await text_of(page)
    resolved = await text_of(page, "/incidents?status=resolved")

    judged = "Judged 2 of 3 strategies for Mon 5 Jan, today 17:00 CET (2 h ago)"
    assert f"{judged}; next check Sat 31 Jan" in shown
    assert shown.index(judged) < shown.index("Nothing open.")
    assert "stat_arb_eu, owner macro: no data no rows since Fri 2 Jan" in shown
    lacks = "not judged in full: stat_arb_eu (no rows since Fri 2 Jan)"
    assert f"{judged}; {lacks}; next check" in resolved
    assert resolved.index(lacks) < resolved.index("Nothing resolved.")
    assert "No incident yet." in await text_of(page, "/incidents?status=all")


async def test_of_many_that_are_not_judged_the_worst_are_named_and_the_rest_counted(
    proxy: Proxy, page: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perf_alerts_dagster.pages.incidents.SHOWN", 5)
    short = [fine(strategy=f"short{n}", outcome=Outcome.PARTIAL, message="one row") for n in "abcd"]
    blind = [fine(strategy=f"blind{n}", outcome=Outcome.NO_DATA, message="none") for n in "abc"]
    record(proxy, *short, *blind, fine())
    shown = await text_of(page)

    assert "Judged 5 of 8 strategies" in shown
    listed = shown.split("Not judged in full")[1]
    found = " ".join(re.findall(r"(blind.|short.)", listed))
    assert found == "blinda blindb blindc shorta shortb"
    assert "and 2 more" in listed


async def test_without_a_scheduler_the_next_check_is_not_made_up(
    proxy: Proxy, page: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perf_alerts_dagster.pages.events._SECONDS", 0.0)

    assert "when the next check is, the scheduler does not say" in await text_of(page)


async def test_a_line_has_value_limit_age_owner_and_whether_it_is_silenced(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    judge(proxy, crash(), crash(rule="drawdown", value=-0.15, limit=-0.12))
    await proxy.time.pause(2 * 3600)
    await login(page)
    silence(proxy, DAY, rule="daily_exceedance")
    (line,) = await lines(page)
    assert line == (
        f"critical short_vol {MINUS}15.0 % on Mon 5 Jan {MINUS}35.6 sigma; "
        f"limit {MINUS}11.1 sigma. open, 2 rules, today 19:00 CET, 2 h ago, owner vol-desk"
    )
    silence(proxy, 2 * DAY, event=event_of(proxy, "short_vol"))
    (line,) = await lines(page)

    assert "silenced until Sun 1 Feb 21:00 CET" in line
    async with serving(proxy) as http:
        (rest,) = (await http.get("/events")).json()["data"]
    assert rest["silenced_until"] == "2026-02-01T20:00:00Z"
    text = (await page.get("/incidents")).text.replace("\u00a0", " ")
    assert "<summary>Its 2 incidents</summary>" in text
    assert f"drawdown</a> {MINUS}15.0 %; limit {MINUS}12.0 %." in text


async def test_a_silence_that_begins_later_mutes_nothing_yet(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    judge(proxy, breach())
    silence(proxy, strategy="trend")
    ((name, made),) = proxy.incidents.silence_rows.items()
    proxy.incidents.silence_rows[name] = replace(made, starts_at=proxy.time() + DAY / 2)

    assert "silenced" not in await text_of(page)


async def test_what_was_acknowledged_over_a_week_ago_and_breaches_on_is_marked_and_found(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    judge(proxy, breach(), breach(strategy="other"))
    answer(proxy, "trend", "acknowledge")
    proxy.time.now += timedelta(days=7)
    answer(proxy, "other", "acknowledge")
    mark = "acknowledged over a week ago, and it breaches on"
    await login(page)
    assert mark not in await text_of(page, "/incidents?status=all")
    judge(proxy, breach(), breach(strategy="other"))

    marked = {line.split()[1]: mark in line for line in await lines(page, "acknowledged")}
    assert marked == {"trend": True, "other": False}
    shown = await page.get("/incidents")
    assert "1 acknowledged over a week ago, and breaching on" in said(shown)
    assert 'href="/incidents?status=all&amp;forgotten=true"' in shown.text
    assert names(await lines(page, "all", "&forgotten=true")) == ["trend"]
    async with serving(proxy) as http:
        rest = (await http.get("/events", params={"forgotten": "true"})).json()["data"]
    assert [(one["leader"], one["forgotten"]) for one in rest] == [("trend", True)]


async def test_an_event_with_many_incidents_lists_the_first_and_counts_the_rest(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    judge(proxy, *(breach(rule=f"rule_{n}") for n in range(60)))
    text = (await page.get("/incidents")).text
    assert "<summary>Its 60 incidents</summary>" in text
    assert text.count(">trend: rule ") == 20
    assert "and 40 more, on" in text

    one = next(iter(proxy.incidents.by_id))
    shown = await page.get(f"/incidents/{one}")
    assert "and 9 more" in said(shown)


async def choose(
    page: httpx.AsyncClient, *events: str, query: str = "", **form: str
) -> httpx.Response:
    """Press a button of the list with these events checked."""
    boxes = {f"event_{each}": "1" for each in events}
    given = {"form_word": await word(page, "/incidents")} | boxes | form
    return await page.post(f"/incidents{query}", data=given)


async def test_one_answer_is_for_all_that_are_checked(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    judge(proxy, crash("a"), breach(strategy="a"), crash("b"), crash("c"))
    ids = [event_of(proxy, name) for name in "ab"]
    query = "?status=open&owner=vol-desk"
    done = await choose(page, *ids, query=query, answer="acknowledge", comment="a feed")

    assert (done.status_code, done.headers["location"]) == (303, f"/incidents{query}")
    status = {one.leader: one.status for one in proxy.incidents.event_rows.values()}
    assert status == {"a": "acknowledged", "b": "acknowledged", "c": "open"}
    audited = [(one.action, one.target) for one in proxy.incidents.audit]
    assert audited == [("acknowledge", f"events/{each}") for each in ids]
    done = await choose(page, *ids, answer="data_error", comment="a feed")
    assert done.status_code == 303
    ends = {one.resolved and one.resolved.outcome for one in proxy.incidents.by_id.values()}
    assert ends == {Resolution.DATA_ERROR, None}


async def test_what_is_refused_is_listed_with_why_and_the_rest_is_answered(
    proxy: Proxy, page: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(proxy, crash("a"), crash("b"), crash("c"))
    answer(proxy, "a", "acknowledge")
    ids = [event_of(proxy, name) for name in "abc"]
    acknowledge = Lifecycle.acknowledge_event

    def busy(self: Lifecycle, event_id: str, **values: Any) -> object:
        if event_id == ids[2]:
            raise StoreUnavailable("the store is locked")
        return acknowledge(self, event_id, **values)

    monkeypatch.setattr(Lifecycle, "acknowledge_event", busy)
    done = await choose(page, *ids, "0" * 24, answer="acknowledge", comment="typed <b>")
    shown = said(done)

    assert done.status_code == 409
    assert "1 of 4 answered; refused were:" in shown
    assert "ann acknowledged it on 2026-01-30 at 18:00 UTC; nothing more to do" in shown
    assert f"c {MINUS}15.0 % on Mon 5 Jan: the store is locked" in shown
    assert "there is no event of this id" in shown
    # What was typed and chosen is still there, for those that are.
    assert ">typed &lt;b&gt;</textarea>" in done.text
    assert f'name="event_{ids[2]}" value="1"' in done.text
    assert proxy.incidents.event_rows[ids[1]].status is Status.ACKNOWLEDGED


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"answer": "acknowledge"}, "events: choose at least one of them"),
        ({"answer": "", "event_" + "0" * 24: "1"}, "outcome: choose what it was"),
        ({"answer": "recovered", "event_" + "0" * 24: "1"}, "outcome: choose what it was"),
        ({"answer": "known", "event_x'": "1"}, "events: 8 to 64 digits"),
        ({"answer": "known", "event_" + "0" * 24: "1", "comment": "\x07"}, "comment: at most"),
    ],
)
async def test_an_answer_to_many_that_is_not_accepted_changes_nothing(
    proxy: Proxy, page: httpx.AsyncClient, form: dict[str, str], why: str
) -> None:
    judge(proxy, crash())
    done = await choose(page, **form)

    assert (done.status_code, why in said(done)) == (422, True)
    assert proxy.incidents.audit == []


async def test_a_whole_page_is_answered_at_once_and_no_more(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    states.many(proxy)
    text = (await page.get("/incidents")).text
    boxes = re.findall(r'name="event_([0-9a-f]{24})"', text)
    assert len(boxes) == len(set(boxes)) == 50
    assert (await choose(page, *boxes, answer="known", comment="all")).status_code == 303
    assert sum(one.is_resolved for one in proxy.incidents.event_rows.values()) == 50
    refused = await choose(page, *proxy.incidents.event_rows, answer="known")
    assert refused.status_code == 400


async def test_a_viewer_sees_no_form_and_may_not_post_one(proxy: Proxy) -> None:
    states.one(proxy)
    one = only(proxy, rule="drawdown")
    async with browser(proxy) as page:
        await login(page, "viewer")
        for path in ("/incidents", f"/incidents/{one.id}"):
            text = (await page.get(path)).text
            assert '<form method="post" action="/incidents' not in text
            assert 'type="checkbox"' not in text
        given = {"form_word": await word(page, "/incidents"), f"event_{one.event_id}": "1"}
        for path in ("", *(f"/{one.id}/{each}" for each in ("acknowledge", "resolve", "silence"))):
            done = await page.post(f"/incidents{path}", data=given | {"answer": "acknowledge"})
            assert done.status_code == 403
    assert proxy.incidents.audit == []
    assert proxy.incidents.silence_rows == {}


async def test_the_form_of_another_page_answers_nothing(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    states.one(proxy)
    given = {"answer": "known", f"event_{event_of(proxy, 'short_vol')}": "1"}
    assert (await page.post("/incidents", data=given)).status_code == 403
    given["form_word"] = await word(page, "/incidents")
    evil = {"Origin": "https://evil.example"}
    assert (await page.post("/incidents", data=given, headers=evil)).status_code == 403

    assert proxy.incidents.audit == []


def path_of(proxy: Proxy, **wanted: str) -> str:
    return f"/incidents/{only(proxy, **wanted).id}"


async def test_an_incident_begins_with_the_answer_in_numbers_and_money(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    states.one(proxy)
    answer = await page.get(path_of(proxy, rule="daily_exceedance"))
    shown = said(answer)

    assert shown.startswith(
        f"critical short_vol {MINUS}15.0 % on Mon 5 Jan "
        "short_vol (vol, owner vol-desk) lost 15.0 % "
        f"= USD 112,500 on Mon 5 Jan. Worst day of the 3 years before: {MINUS}4.2 % on 5 Aug 2024. "
        "Fewer than 1 in 700 healthy years hold such a day. "
        "Do: is the row right? look at hedge, margin and positions of the day. Runbook "
        "short_vol : daily exceedance; open, since today 19:00 CET, just now; "
        "answered by nobody yet"
    )
    assert 'href="https://wiki.example/runbooks/daily_exceedance"' in answer.text
    assert 'href="/strategies/short_vol"' in answer.text


async def test_an_incident_shows_the_kept_plot_of_its_own_rule(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    states.one(proxy)
    first = (await page.get(path_of(proxy, rule="daily_exceedance"))).text
    second = (await page.get(path_of(proxy, rule="drawdown"))).text

    assert "<h2>As it was when it opened</h2>" in first
    assert "<desc>a day of \u221215.0 %</desc>" in first
    assert "the quantile" in first
    assert "The plot of its rule was not kept when it opened." in second
    assert "<svg" not in second


async def test_the_plot_of_a_hostile_name_is_harmless(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    judge(proxy, crash(HOSTILE), of_group(cause=HOSTILE))
    keep_plot(proxy, only(proxy, strategy=HOSTILE), text=HOSTILE)
    for one in proxy.incidents.by_id.values():
        text = (await page.get(f"/incidents/{one.id}")).text
        assert "<script" not in text
        assert "%3Cscript%3E" in text


async def test_the_incident_of_a_group_names_who_lost_it_and_the_rest_of_its_event(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    states.group(proxy)
    answer = await page.get(path_of(proxy, strategy="group:vol"))
    shown = said(answer)

    table = (
        "Who lost it Strategy Return P&L Share of the loss "
        f"short_vol {MINUS}8.0 % USD {MINUS}112,500 90.0 %"
    )
    assert table in shown
    assert "It belongs to short_vol." in shown
    assert f"Of the same event short_vol: daily exceedance {MINUS}35.6 sigma" in shown
    assert 'href="/strategies/group%3Avol"' in answer.text


async def test_contributions_of_another_version_are_left_out(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    judge(proxy, crash("ALL", parts={"contributions": ["x", {"strategy": "a", "return": "?"}]}))
    shown = await text_of(page, path_of(proxy, strategy="ALL"))

    assert "Share of the loss a " in shown


async def test_an_event_is_silenced_for_a_day_with_one_click(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    states.one(proxy)
    path = path_of(proxy, rule="daily_exceedance")
    done = await press(page, path, "silence", "event", comment="known\nroll")

    assert (done.status_code, done.headers["location"]) == (303, path)
    (made,) = proxy.incidents.silence_rows.values()
    assert (made.matchers.event, made.matchers.up_to) == (
        event_of(proxy, "short_vol"), Severity.CRITICAL,
    )  # fmt: skip
    assert (made.author, made.reason) == ("operator", "known roll")
    assert made.ends_at - made.starts_at == DAY
    assert proxy.incidents.audit[-1].target == f"silences/{made.id}"
    text = (await page.get(path)).text
    assert "silenced until Sat 31 Jan 19:00 CET" in text
    assert "Silence 1 day" not in text

    again = await press(page, path, "silence", "event", comment="mine")
    assert again.status_code == 409
    assert "operator silenced it until Sat 31 Jan 19:00 CET; nothing more to do" in again.text
    assert ">mine</textarea>" in again.text


async def test_a_silence_without_a_comment_says_what_made_it(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    states.one(proxy)
    path = path_of(proxy, rule="drawdown")
    long = await press(page, path, "silence", "event", comment="x" * 600)
    assert (long.status_code, "comment: a line of" in long.text) == (422, True)
    assert "x" * 600 in long.text
    await press(page, path, "silence", "event")

    (made,) = proxy.incidents.silence_rows.values()
    assert made.reason == "silenced for a day on its page"


async def test_what_is_over_is_not_silenced(proxy: Proxy, page: httpx.AsyncClient) -> None:
    states.resolved(proxy)
    one = only(proxy, rule="drawdown")
    given = {"form_word": await word(page, "/incidents")}
    done = await page.post(f"/incidents/{one.id}/silence", data=given)
    assert (done.status_code, "it is resolved already" in said(done)) == (409, True)
    proxy.incidents.by_id[one.id] = replace(one, event_id="")
    done = await page.post(f"/incidents/{one.id}/silence", data=given)

    assert (done.status_code, "it is resolved already" in said(done)) == (409, True)
    assert proxy.incidents.silence_rows == {}


async def test_only_this_one_leaves_the_rest_of_its_event(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    states.one(proxy)
    path = path_of(proxy, rule="drawdown")
    done = await press(page, path, "resolve", "event", outcome="known", only="1")

    assert done.status_code == 303
    status = {one.rule: one.status for one in proxy.incidents.by_id.values()}
    assert status == {"daily_exceedance": "open", "drawdown": "resolved", "max_drawdown": "open"}


async def test_of_two_people_the_second_gets_what_the_first_did_and_keeps_the_comment(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    states.one(proxy)
    path = path_of(proxy, rule="drawdown")
    given = {"form_word": await word(page, path), "of": "event", "comment": "it was <i>me</i>"}
    answer(proxy, "short_vol", "resolve", outcome=Resolution.DATA_ERROR, comment="a late row")
    for action in ("acknowledge", "resolve"):
        done = await page.post(f"{path}/{action}", data=given | {"outcome": "true"})
        shown = said(done)
        assert done.status_code == 409
        assert "ann resolved it on 2026-01-30 at 18:00 UTC; nothing more to do" in shown
        assert "resolved by ann today 19:00 CET: wrong data: a late row" in shown
        assert "<i>" not in done.text


@pytest.mark.parametrize("action", ["acknowledge", "resolve"])
async def test_a_comment_that_is_not_accepted_is_still_there(
    proxy: Proxy, page: httpx.AsyncClient, action: str
) -> None:
    states.one(proxy)
    form = {"outcome": "true", "comment": "bell \x07 <b>"}
    done = await press(page, path_of(proxy, rule="drawdown"), action, "event", **form)

    assert done.status_code == 422
    assert "bell \x07 &lt;b&gt;</textarea>" in done.text


async def test_a_resolved_incident_says_how_it_ended_and_asks_for_nothing(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    states.resolved(proxy)
    shown = await text_of(page, path_of(proxy, rule="daily_exceedance"))

    assert "It is resolved by now: ann resolved it as a false alarm." in shown
    assert "Do:" not in shown
    assert "I look after it" not in shown


async def test_a_message_says_when_it_was_sent_or_why_not_and_when_again(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    states.one(proxy)
    path = path_of(proxy, rule="daily_exceedance")
    (row,) = proxy.incidents.claim(proxy.time(), "w", DAY)
    proxy.incidents.mark_for_retry(row.id, row.fence, proxy.time() + DAY, "refused: <b>")
    failed = await text_of(page, path)
    proxy.time.now += DAY
    await login(page)
    (row,) = proxy.incidents.claim(proxy.time(), "w", DAY)
    proxy.incidents.mark_sent(row.id, row.fence, proxy.time())

    assert "1 attempt failed, the last one because: refused: <b>; again Sat 31 Jan" in failed
    assert "opened to mail: sent today 19:00 CET, just now" in await text_of(page, path)


async def test_an_incident_of_the_system_says_what_to_look_at(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    states.lifecycle_of(proxy).execution_failed(
        "daily_pnl_check", run_id="r", error=HOSTILE, now=proxy.time()
    )
    answer = await page.get(path_of(proxy, rule="execution_failed"))
    shown = said(answer)

    assert "Look at: the run's log in the web UI" in shown
    assert "<script" not in answer.text
    assert "was not kept" not in shown
    assert "/strategies/" not in answer.text.split("<main")[1]


@pytest.mark.parametrize(
    ("rule", "headline", "value", "limit", "further"),
    [
        ("policy_drawdown", "-22.2 % below its high", -0.222, -0.2, "limit \u221220.0 %."),
        ("policy_daily_loss", "-15.0 %, mandate -5.0 %", -0.15, -0.05, ""),
        ("gap_since_launch", "earns 27.9 % less", 1.78, None, ""),
        (
            "shadow_gap",
            "differs from its model since Fri 27 Nov",
            0.001,
            0.0042,
            "0.10 % of healthy years; limit 0.42 % of them.",
        ),
    ],
)
async def test_a_line_says_each_number_once_and_what_it_is_a_share_of(
    proxy: Proxy,
    page: httpx.AsyncClient,
    rule: str,
    headline: str,
    value: float,
    limit: float | None,
    further: str,
) -> None:
    judge(proxy, crash(rule=rule, value=value, limit=limit, parts={"headline": headline}))
    (line,) = await lines(page)
    said = headline.replace("-", MINUS)
    assert line.startswith(" ".join(f"critical short_vol {said} {further} open,".split()))


async def test_no_line_breaks_between_a_number_and_its_percent_sign(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    judge(proxy, crash())
    for path in ("/incidents", f"/incidents/{only(proxy).id}"):
        text = (await page.get(path)).text
        assert "15.0\u00a0%" in text
        assert not re.search("[0-9] %", text.partition("<svg")[0])


async def test_a_record_that_cannot_be_read_has_no_plot_and_says_why(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    judge(proxy, crash(rule="record_error", value=None, limit=None))
    text = await text_of(page, f"/incidents/{only(proxy).id}")
    assert "the record cannot be read; open" in text
    assert "cannot be read of" not in text
    assert "Its rows could not be read, so there is no plot of them." in text
    assert "was not kept" not in text
