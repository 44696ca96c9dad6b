"""The desk's page: the answer first, every strategy once, and missing is never good news."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from perf_alerts_dagster.incidents.model import SOURCE_SHRUNK
from perf_alerts_dagster.incidents.ports import Decisions
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.system import firing_of
from perf_alerts_dagster.incidents.transitions import open_incident
from perf_alerts_dagster.judging.standings.model import Cell
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.pages.desk.marks import gauge, odds, percent, sparkline, strip
from perf_alerts_dagster.scheduler.port import RunState, SchedulerUnreachable
from perf_alerts_tests.incidents.incident_desk import DAILY, fine, judged
from perf_alerts_tests.incidents.post import Post
from perf_alerts_tests.pages.desks import (
    CRASH,
    RULES,
    SESSION,
    as_shown,
    eight,
    figures,
    many,
    open_incidents,
    stand,
    standing,
)
from perf_alerts_tests.pages.test_routes import HOSTILE, browser, login
from perf_alerts_tests.server.apps import Proxy, serving
from perf_alerts_tests.server.fakes import alert_run

BUDGET = 300_000


@asynccontextmanager
async def seen(proxy: Proxy, role: str = "viewer") -> AsyncIterator[httpx.AsyncClient]:
    async with browser(proxy) as page:
        await login(page, role)
        yield page


async def text_of(proxy: Proxy, path: str = "/", status: int = 200) -> str:
    """The page, with runs of blanks as one."""
    async with seen(proxy) as page:
        answer = await page.get(path)
    assert answer.status_code == status, answer.text
    return " ".join(answer.text.replace("\u00a0", " ").split())


def words(text: str) -> str:
    """What people read of it."""
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def links(text: str) -> list[str]:
    """The strategies of its tables' rows."""
    return re.findall(r'<th scope="row"><a href="/strategies/([^"]*)"', text)


def shown() -> Proxy:
    proxy = Proxy()
    proxy.channels.append(Post())
    as_shown(proxy.database.engine)
    return proxy


async def test_the_desk_is_behind_the_login_and_the_first_page_after_it() -> None:
    async with browser(shown()) as page:
        assert (await page.get("/")).headers["location"] == "/login?next=%2F"
        assert (await login(page)).headers["location"] == "/"
        assert (await page.get("/")).status_code == 200


async def test_the_state_the_worst_and_the_tiles_come_before_the_table() -> None:
    text = await text_of(shown())
    above = words(text.partition("<table")[0])
    for said in (
        "Desk, session Fri 30 Jan",
        "6 of 8 strategies judged for Fri 30 Jan (1 without recent data, 1 with too little data)",
        "today 17:00 UTC, 59 min ago",
        "next check Sat 31 Jan 17:00 UTC · scheduler running",
        "last message delivered today 17:01 UTC",
        "critical short_vol −15.0 % on Fri 30 Jan linus · nobody has answered. "
        "Do: is the row right?",
        "Open incidents 2 1 critical, 1 warning; 2 unanswered",
        "The desk, Fri 30 Jan −2.1 % without 1 of 8 strategies; USD −207,000: short_vol "
        "−170,000 (linus)",
        "Notified this week 2 weak signs on 1 more",
        "Cannot be judged 2 stat_arb_eu (grace) no recent data; new_ml (ada) too little data",
    ):
        assert said in above
    assert "all is well" not in text.lower()


async def test_rows_are_the_whole_desk_then_the_worst_and_groups_are_folded() -> None:
    text = await text_of(shown())
    table, _, folded = text.partition('<details class="groups">')
    assert links(table)[:3] == ["ALL", "short_vol", "stat_arb_eu"]
    assert len(links(table)) == 9
    assert links(folded) == ["group%3Avol", "group%3Aequity"]
    assert "2 groups, the worst: group:vol, warning" in words(folded)
    assert 'href="/?group=vol">its members' in folded
    row = words(text[text.index("/strategies/short_vol") :].partition("</tr>")[0])
    for said in (
        "vol · linus",
        "critical −15.0 % on Fri 30 Jan",
        "−15.0 %",
        "0.0 %",
        "&lt; 1 in 700",
    ):
        assert said in row
    assert 'title="critical: interval breach −12.0 %, limit −10.0 %">!!' in text


async def test_a_group_has_its_own_row_above_its_members() -> None:
    text = await text_of(shown(), "/?group=equity")
    assert links(text)[0] == "group%3Aequity"
    assert set(links(text)[1:]) == {"momentum_us", "new_ml", "stat_arb_eu"}
    assert "Filter and sort: 3 of 8 strategies" in words(text)


async def test_groups_have_a_list_of_their_own() -> None:
    text = await text_of(shown(), "/?kind=group&sort=strategy")
    assert links(text) == ["ALL", "group%3Aequity", "group%3Avol"]


async def test_a_filter_that_finds_nobody_says_so() -> None:
    text = await text_of(shown(), "/?text=nobody&group=&owner=&state=")
    assert "No strategy is like that. All strategies" in words(text)
    assert 'value="nobody"' in text


async def test_sorting_and_paging_keep_the_filter() -> None:
    proxy = Proxy()
    stand(proxy.database.engine, many(120))
    first = await text_of(proxy, "/?state=ok&sort=last&refresh=60")
    assert (
        'aria-sort="ascending"><a href="/?state=ok&amp;sort=last&amp;refresh=60&amp;order=desc"'
        in (first)
    )
    found = re.search(r'<a href="([^"]*)" rel="next">', first)
    assert found is not None
    assert found[1].startswith("/?state=ok&amp;sort=last&amp;refresh=60&amp;cursor=")
    second = await text_of(proxy, found[1].replace("&amp;", "&"))
    assert "51 to 100 of 111" in words(second)
    assert not set(links(first)) & set(links(second))
    back = re.search(r'<a href="([^"]*)" rel="prev">', second)
    assert back is not None
    assert links(await text_of(proxy, back[1].replace("&amp;", "&"))) == links(first)
    assert "There is nobody on this page." in words(await text_of(proxy, "/?cursor=OTk5"))


async def test_a_page_is_read_again_only_where_that_is_asked_for() -> None:
    assert "http-equiv" not in await text_of(shown())
    assert '<meta http-equiv="refresh" content="60">' in await text_of(shown(), "/?refresh=60")
    for wrong in ("14", "3601", "soon"):
        text = await text_of(shown(), f"/?refresh={wrong}", status=422)
        assert "refresh: a whole number from 15 to 3600" in text
    assert "sort: one of worst" in await text_of(shown(), "/?sort=size", status=422)


async def test_a_thousand_strategies_are_a_page_of_bounded_weight() -> None:
    proxy = Proxy()
    stand(proxy.database.engine, many(1000))
    async with seen(proxy) as page:
        whole = await page.get("/")
        assert len(whole.content) <= BUDGET
        assert "1 to 50 of 1000" in words(whole.text)


async def test_more_names_than_a_list_holds_are_typed() -> None:
    proxy = Proxy()
    rows = [standing(f"s{number}", group=f"book {number}") for number in range(61)]
    groups = [standing(f"group:book {number}", is_group=True) for number in range(61)]
    stand(proxy.database.engine, [*rows, *groups])
    text = await text_of(proxy)
    assert '<input id="group" name="group" value="">' in text
    assert '<a href="/?kind=group">All 61 groups</a>' in text
    assert "group%3Abook%2060" in await text_of(proxy, "/?kind=group&cursor=NTA")


async def test_before_the_first_judgement_it_says_what_to_do() -> None:
    text = words(await text_of(Proxy()))
    assert "No session is judged yet, so nothing is known of any strategy." in text
    assert "The next check comes Sat 31 Jan 17:00 UTC" in text
    assert "perf-alerts check" in text


async def test_without_a_schedule_an_empty_desk_says_so() -> None:
    proxy = Proxy()
    proxy.scheduler.disabled = {DAILY}
    text = words(await text_of(proxy))
    assert "no next check" in text
    assert "The next check comes when its schedule is on" in text
    assert "the Daily P&amp;L check is switched off" in text


async def test_a_store_of_the_version_before_fills_with_the_next_check() -> None:
    proxy = Proxy()
    proxy.store.record(judged(fine(), as_of=SESSION), watermark=SESSION)
    text = words(await text_of(proxy))
    assert "Sessions up to Fri 30 Jan are judged, by the version before" in text
    assert "This page fills with the next check, Sat 31 Jan 17:00 UTC" in text


async def test_all_late_is_nobody_judged() -> None:
    proxy = Proxy()
    late: dict[str, Any] = {"only": True, "figures": figures(last_row=date(2026, 1, 23), late=5)}
    rows = [standing(name, {"no_data": Cell.NO_DATA}, **late) for name in ("a", "b")]
    stand(proxy.database.engine, rows)
    text = await text_of(proxy)
    assert "0 of 2 strategies judged for Fri 30 Jan (2 without recent data)" in words(text)
    assert text.count("last row Fri 23 Jan") == 2
    assert "Open incidents 0 none of 0 judged" in words(text)


async def test_dagster_that_does_not_answer_is_said_and_waited_for_by_nobody() -> None:
    proxy = shown()
    proxy.scheduler.fault = SchedulerUnreachable("nothing answers")
    text = words(await text_of(proxy))
    assert "the next check is not known · Dagster does not answer , all else is as stored" in text
    proxy.scheduler.fault = None
    async with seen(proxy) as page:
        await page.get("/")
        proxy.scheduler.fault = SchedulerUnreachable("nothing answers")
        proxy.time.now += timedelta(seconds=2)
        stale = words((await page.get("/")).text)
    assert "scheduler running , as it last said: Dagster does not answer" in stale


async def test_dagster_that_is_only_slow_is_no_fault() -> None:
    proxy = shown()
    proxy.scheduler.gate = asyncio.Event()
    text = await text_of(proxy)
    proxy.scheduler.gate.set()
    assert "the next check is not known · Dagster has not answered yet" in words(text)
    assert "does not answer" not in text
    assert not re.search(r'class="negative">[^<]*Dagster', text)


async def test_the_desk_and_the_list_of_incidents_count_the_same_strategies_as_judged() -> None:
    proxy = shown()
    text = words(await text_of(proxy, "/incidents"))
    assert "Judged 6 of 8 strategies for Fri 30 Jan" in text
    assert "6 of 8 strategies judged for Fri 30 Jan" in words(await text_of(proxy))


async def test_what_failed_or_did_not_run_is_said() -> None:
    proxy = shown()
    proxy.scheduler.heartbeat = timedelta(hours=1)
    proxy.scheduler.history = [alert_run(state=RunState.FAILURE)]
    text = words(await text_of(proxy))
    assert "no next check · scheduler silent" in text
    assert "the last Daily P&amp;L check failed" in text


async def test_a_desk_that_nothing_ran_on_since_says_so() -> None:
    proxy = shown()
    proxy.time.now += timedelta(days=6)
    text = words(await text_of(proxy))
    assert "6 days ago" in text
    assert "nothing was judged since" in text


async def test_a_session_that_is_open_is_provisional() -> None:
    proxy = Proxy()
    found = judged(fine(strategy="trend"), as_of=SESSION, provisional=True)
    SqlAlertStore(proxy.database.engine).record(found, watermark=None)
    text = words(await text_of(proxy))
    assert "1 of 1 strategies judged for Fri 30 Jan (its session is still open" in text


async def test_an_answered_incident_is_still_shown_as_such() -> None:
    proxy = Proxy()
    lifecycle = open_incidents(proxy.database.engine, CRASH)
    crash = lifecycle.store.live_incident(CRASH.dedup_key)
    assert crash is not None
    lifecycle.acknowledge(crash.id, by="ann", now=proxy.time())
    with proxy.database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM standings")
    stand(proxy.database.engine, eight())
    text = words(await text_of(proxy))
    assert "Open incidents 1 1 critical; all answered" in text
    assert "linus · answered. Do:" in text


async def test_names_of_strategies_cannot_write_the_page() -> None:
    proxy = Proxy()
    note = f"{HOSTILE} lacks rows"
    row = standing(HOSTILE, state=Cell.PARTIAL, note=note, group=HOSTILE, owner=HOSTILE)
    stand(proxy.database.engine, [row])
    text = await text_of(proxy)
    assert "<script" not in text
    assert 'href="/strategies/%3Cscript%3E' in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&gt;&amp;{{7*7}} lacks rows" in text


async def test_columns_are_those_that_anybody_has_something_in() -> None:
    proxy = Proxy()
    stand(
        proxy.database.engine, [standing("a", {"policy_drawdown": Cell.OK, "new_rule": Cell.INFO})]
    )
    text = await text_of(proxy)
    heads = re.findall(r'<th scope="col" class="cell"><abbr title="[^"]*">([a-z]+)</abbr>', text)
    assert "limit" in heads
    assert heads[-1] == "other"
    assert "model" not in heads
    assert len(heads) < len(RULES)


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (0.0, "0.0 %"), (-0.00001, "0.0 %"), (-0.15, "−15.0 %"), (12.5, "+1,250.0 %")],
)
def test_percentages_have_fixed_decimals_and_a_real_minus(value: float | None, said: str) -> None:
    assert percent(value).replace("\u00a0", " ") == said


@pytest.mark.parametrize(
    ("p_year", "said"),
    [
        (None, "–"),
        (0.0, "< 1 in 700"),
        (0.05, "1 in 20"),
        (0.2890625, "1 in 3"),
        (0.001997, "1 in 500"),
        (0.4, "4 in 10"),
        (0.6, "usual"),
        (1.0, "usual"),
    ],
)
def test_rarity_is_a_number_of_healthy_years(p_year: float | None, said: str) -> None:
    assert odds(p_year) == said


def test_a_strip_counts_its_sessions_and_merges_runs() -> None:
    drawn = strip("..  22w0")
    assert (
        "<title>last 8 sessions: 2 critical, 1 no recent data, 1 weak sign, 2 ok, 2 not judged"
        in drawn
    )
    assert drawn.count("<path") == 4
    assert 'viewBox="-82 0 90 8"' in drawn
    assert strip("") == ""


def test_a_sparkline_stays_in_its_frame_whatever_its_band() -> None:
    wide = sparkline([0.0, 0.01, -0.01, 0.02] * 3, [None, *[-9.0] * 11], [None, *[9.0] * 11])
    numbers = [int(each) for each in re.findall(r"-?\d+", wide.partition("spark-line")[2])]
    assert all(-1 <= each <= 120 for each in numbers)
    assert "spark-band" in wide
    assert "spark-band" not in sparkline([0.0, 0.1], [None, None], [None, None])
    assert sparkline([0.1], [None], [None]) == ""
    assert "spark-line" in sparkline([0.0, 0.0], [0.0, 0.0], [0.0, 0.0])


def test_a_gauge_says_its_number_and_marks_what_is_outside() -> None:
    assert "11\u00a0%" in gauge(0.11)
    assert "negative" not in gauge(0.11)
    assert 'class="negative">0.0\u00a0%' in gauge(0.0004)
    assert "negative" not in gauge(0.999)
    assert gauge(None) == "–"


async def test_a_row_says_all_of_why_it_was_not_judged_in_full() -> None:
    proxy = Proxy()
    note = "daily.csv, row 17, column pnl: is not a number; " * 4 + "the end"
    stand(proxy.database.engine, [standing("fx_value", state=Cell.PARTIAL, note=note)])
    text = words(await text_of(proxy))
    assert note in text
    assert "no strategy with only weak signs" in text


async def test_a_damaged_strategy_is_not_said_to_be_unread_by_this_version() -> None:
    proxy = Proxy()
    stand(proxy.database.engine, [standing("fx_value", state=Cell.ERROR)])
    text = words(await text_of(proxy, "/strategies/fx_value"))
    assert "Its rows cannot be read, so there is nothing to draw" in text
    assert "by this version" not in text


async def test_a_fault_of_the_system_is_the_first_thing_on_the_desk_and_on_a_strategy() -> None:
    proxy = shown()
    firing = firing_of(SOURCE_SHRUNK, "sample", shrunk="141 rows of alpha are gone")
    opened = open_incident(firing, now=proxy.time(), chain=None)
    SqlIncidents(proxy.database.engine).apply(Decisions(opened=(opened,)))

    async with browser(proxy) as page:
        await login(page, "viewer")
        for path in ("/", "/strategies/carry_fx"):
            text = (await page.get(path)).text
            above = words(text[: text.index("<details")])
            assert "critical the system" in above
            assert f'href="/incidents/{opened.id}"' in text
    async with serving(proxy) as client:
        (found,) = (await client.get("/desk")).json()["data"]["system"]
    assert (found["id"], found["rule"], found["severity"]) == (opened.id, SOURCE_SHRUNK, "critical")


async def test_a_desk_without_channels_says_that_nobody_is_notified() -> None:
    proxy = shown()
    proxy.channels.clear()
    assert "no channel is set: nobody is notified" in words(await text_of(proxy))


async def test_who_could_not_be_read_made_nothing_of_the_session() -> None:
    text = words(await text_of(shown()))
    tile = text[text.index("The desk, Fri 30 Jan") :].partition("Notified this week")[0]
    assert "without 1 of 8 strategies" in tile
    assert "stat_arb_eu" not in tile


async def test_a_viewer_is_led_to_no_page_that_is_closed_to_viewers() -> None:
    async with browser(shown()) as page:
        await login(page, "viewer")
        assert 'href="/system"' not in (await page.get("/")).text
        assert (await page.get("/strategies")).headers["location"] == "/"
        await login(page, "operator")
        assert 'href="/system"' in (await page.get("/")).text
