"""GET /desk: what was judged when, what is wrong, and every strategy once over all pages."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from perf_alerts_dagster.scheduler.port import RunState, SchedulerUnreachable
from perf_alerts_tests.pages.desks import (
    CRASH,
    as_shown,
    figures,
    many,
    open_incidents,
    stand,
    standing,
)
from perf_alerts_tests.server.apps import Proxy, client_of, serving
from perf_alerts_tests.server.fakes import alert_run


def shown() -> Proxy:
    proxy = Proxy()
    as_shown(proxy.database.engine)
    return proxy


async def got(client: httpx.AsyncClient, **query: object) -> dict[str, Any]:
    answer = await client.get("/desk", params={name: str(value) for name, value in query.items()})
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def names(content: dict[str, Any]) -> list[str]:
    return [row["strategy"] for row in content["data"]["rows"]]


async def test_the_desk_says_what_was_judged_and_what_was_not() -> None:
    async with serving(shown()) as client:
        data = (await got(client))["data"]
    state = data["state"]
    assert (state["session"], state["judged_at"]) == ("2026-01-30", "2026-01-30T17:00:20Z")
    assert (state["judged"], state["strategies"], state["late"]) == (6, 8, 0)
    assert state["cells"]["insufficient_data"] == 1
    assert (state["scheduler"], state["stale"]) == ("running", False)
    assert state["last_message"] == "2026-01-30T17:01:20Z"
    assert [(one["strategy"], one["owner"], one["note"]) for one in data["blind"]] == [
        ("stat_arb_eu", "grace", "the newest row is of 2026-01-23, 5 sessions late"),
        ("new_ml", "ada", "40 of 252 rows; watched only for data and drawdown"),
    ]
    assert data["incidents"] == {
        "total": 2,
        "severities": {"critical": 1, "warning": 1},
        "unanswered": 2,
        "notified_this_week": 2,
    }
    assert (data["groups"], data["owners"]) == (
        ["carry", "equity", "trend", "vol"],
        ["ada", "grace", "linus"],
    )


async def test_the_desks_session_names_who_made_most_of_it() -> None:
    async with serving(shown()) as client:
        ((session,),) = ((await got(client))["data"]["sessions"],)
    assert (session["last_return"], session["last_pnl"], session["currency"]) == (
        -0.0207,
        -207_000.0,
        "USD",
    )
    first, *rest = session["contributors"]
    assert (first["strategy"], first["owner"], first["last_pnl"]) == (
        "short_vol",
        "linus",
        -170_000.0,
    )
    assert all(one["last_pnl"] < 0 for one in rest)


async def test_without_money_who_made_the_session_is_told_by_return() -> None:
    proxy = Proxy()
    none: dict[str, Any] = {"last_pnl": None, "capital": None}
    stand(
        proxy.database.engine,
        [
            standing("ALL:EUR", is_group=True, currency="EUR", figures=figures(last_return=0.01)),
            standing("ALL", is_group=True, figures=figures(last_return=0.02, **none)),
            standing("ALLIED", is_group=True, figures=figures(last_return=0.02, **none)),
            standing("up", figures=figures(last_return=0.03, **none)),
            standing("down", figures=figures(last_return=-0.05, **none)),
            standing("other", currency="EUR", figures=figures(last_return=0.05, last_pnl=None)),
            standing("unread", figures=None),
        ],
    )
    async with serving(proxy) as client:
        sessions = (await got(client))["data"]["sessions"]
    assert [one["strategy"] for one in sessions] == ["ALL", "ALL:EUR"]
    assert [one["strategy"] for one in sessions[0]["contributors"]] == ["up"]


async def test_a_row_has_its_incident_and_its_rules() -> None:
    async with serving(shown()) as client:
        content = await got(client, kind="strategy")
    row = content["data"]["rows"][0]
    assert (row["strategy"], row["owner"], row["group"], row["state"]) == (
        "short_vol",
        "linus",
        "vol",
        "critical",
    )
    assert row["incident"]["headline"] == "-15.0 % on Fri 30 Jan"
    assert (row["incident"]["status"], row["incident"]["count"]) == ("open", 1)
    assert row["incident"]["hint"].startswith("is the row right?")
    assert row["rules"]["daily_exceedance"]["cell"] == "critical"
    assert (len(row["strip"]), row["strip"][-1]) == (90, "2")
    assert len(row["path"]) == len(row["lower"]) == len(row["upper"]) == 60


async def test_who_has_an_open_incident_comes_before_who_is_weak() -> None:
    """A crash of the day before is no more in the cells, and nobody has answered it."""
    proxy = Proxy()
    open_incidents(proxy.database.engine, CRASH)
    with proxy.database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM standings")
    stand(proxy.database.engine, [standing("short_vol"), *many(20)])
    async with serving(proxy) as client:
        assert names(await got(client, kind="strategy"))[0] in ("s0006", "short_vol")
        assert names(await got(client, state="open")) == ["short_vol"]
        worst = names(await got(client, kind="strategy", limit=2))
        assert set(worst) == {"s0006", "short_vol"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"group": "equity", "sort": "strategy"}, ["momentum_us", "new_ml", "stat_arb_eu"]),
        ({"owner": "grace", "sort": "last"}, ["stat_arb_eu", "carry_fx", "flat_book"]),
        ({"state": "blind"}, ["stat_arb_eu", "new_ml"]),
        ({"state": "critical"}, ["ALL", "short_vol"]),
        ({"text": "TREND", "sort": "strategy", "order": "desc"}, ["trend_slow", "trend_fast"]),
        ({"kind": "group", "sort": "strategy"}, ["ALL", "group:equity", "group:vol"]),
        ({"text": "nobody"}, []),
    ],
)
async def test_filters_and_sorts_hold_over_all_rows(
    query: dict[str, str], expected: list[str]
) -> None:
    async with serving(shown()) as client:
        content = await got(client, **query)
        assert (names(content), content["data"]["total"]) == (expected, len(expected))
        first = await got(client, **query, limit=1)
        assert (names(first), first["data"]["total"]) == (expected[:1], len(expected))


async def test_all_pages_hold_every_strategy_once_in_one_order() -> None:
    proxy = Proxy()
    stand(proxy.database.engine, many(120))
    async with serving(proxy) as client:
        whole = names(await got(client, limit=500))
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            content = await got(client, limit=50, **cursor)
            found += names(content)
            if content["next_cursor"] is None:
                break
            cursor = {"cursor": content["next_cursor"]}
        beyond = await got(client, cursor="OTk5")
    assert (found, len(set(found))) == (whole, 131)
    assert (names(beyond), beyond["next_cursor"], beyond["data"]["total"]) == ([], None, 131)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"state": "fine"}, "state: one of open, blind, critical"),
        ({"sort": "shoe size"}, "sort: one of worst, strategy"),
        ({"order": "up"}, "order: one of asc, desc"),
        ({"kind": "person"}, "kind: one of strategy, group"),
        ({"cursor": "YWJj"}, "cursor: the next_cursor of the page before"),
        ({"cursor": "OTk5OTk5OTk"}, "cursor: the next_cursor of the page before"),
        ({"owner": "a\nb"}, "owner: a name of 1 to 200 printable characters"),
    ],
)
async def test_what_is_not_accepted_is_named(query: dict[str, str], field: str) -> None:
    async with serving(shown()) as client:
        answer = await client.get("/desk", params=query)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(field)


async def test_the_desk_is_there_while_dagster_does_not_answer() -> None:
    proxy = shown()
    proxy.scheduler.fault = SchedulerUnreachable("nothing answers")
    async with serving(proxy) as client:
        data = (await got(client))["data"]
        assert (data["state"]["scheduler"], data["state"]["next_check"]) == ("unknown", None)
        assert data["state"]["slow"] is False
        assert data["total"] == 11
        proxy.scheduler.fault = None
        assert (await got(client))["data"]["state"]["scheduler"] == "running"
        proxy.scheduler.fault = SchedulerUnreachable("nothing answers")
        proxy.time.now += timedelta(seconds=2)
        state = (await got(client))["data"]["state"]
        assert (state["scheduler"], state["stale"]) == ("running", True)


async def test_the_desk_does_not_wait_for_a_dagster_that_hangs() -> None:
    proxy = shown()
    proxy.scheduler.gate = asyncio.Event()
    async with serving(proxy) as client:
        state = (await got(client))["data"]["state"]
        assert (state["scheduler"], state["slow"], state["stale"]) == ("unknown", True, False)
        proxy.scheduler.gate.set()


async def test_what_does_not_go_on_is_said() -> None:
    proxy = shown()
    proxy.scheduler.heartbeat = timedelta(hours=1)
    proxy.scheduler.disabled = {"daily_pnl_check"}
    proxy.scheduler.history = [
        alert_run("weekly_stability_check", state=RunState.FAILURE),
        alert_run("weekly_stability_check", state=RunState.RUNNING, run_id="r2"),
        alert_run("daily_pnl_check"),
    ]
    async with serving(proxy) as client:
        state = (await got(client))["data"]["state"]
    assert (state["scheduler"], state["next_check"]) == ("silent", None)
    assert (state["off"], state["failed"]) == (["daily_pnl_check"], ["weekly_stability_check"])


async def test_an_empty_desk_is_no_good_news() -> None:
    async with serving(Proxy()) as client:
        content = await got(client)
    data, state = content["data"], content["data"]["state"]
    assert (data["rows"], data["total"], content["next_cursor"]) == ([], 0, None)
    assert (state["session"], state["judged_at"], state["judged"]) == (None, None, 0)
    assert (state["last_message"], data["sessions"], data["blind"]) == (None, [], [])


@pytest.mark.parametrize(("role", "status"), [("viewer", 200), ("nobody", 401)])
async def test_who_may_see_the_status_sees_the_desk(role: str, status: int) -> None:
    async with serving(shown()) as client:
        assert (await client.get("/desk", headers={"X-Role": role})).status_code == status


async def test_the_typed_client_reads_all_pages() -> None:
    proxy = Proxy()
    stand(proxy.database.engine, many(120))
    async with client_of(proxy, "viewer") as client:
        found = [row.strategy async for row in client.desk(state="ok", sort="strategy")]
    assert found == sorted(found)
    assert len(found) == 122
