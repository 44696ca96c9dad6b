"""A strategy's baseline over REST: what is in force, what is proposed, and a new one."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from typing import Any

import httpx
import numpy as np
import pytest

from perf_alerts_dagster.api.strategies.answers import in_force
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.projections.ports import StoredProjection
from perf_alerts_dagster.records.desk import Baseline
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_tests.builders import a_record, noise
from perf_alerts_tests.fakes import FakeAlertStore
from perf_alerts_tests.incidents.incident_desk import DAILY, breach, judged
from perf_alerts_tests.projections.test_baselines import spread
from perf_alerts_tests.server.apps import Proxy, serving
from perf_alerts_tests.server.fakes import NOW as NOON

BODY = {"from": "2026-01-30", "reason": "gap since launch"}
ENTRY = {"number": 1, "since": "2026-01-30", "haircut": 0.5, "reason": "gap since launch"}


@pytest.fixture
def proxy() -> Proxy:
    """`desk/b` has 100 live rows at half of its backtest's mean, up to the last weekday."""
    made = Proxy()
    today = np.datetime64(made.time().date(), "D")
    rows = np.busday_offset(today, np.arange(-400, 0), roll="backward")
    backtest = spread(0.002, 300)
    record = a_record(spread(0.001, 100), backtest=backtest, strategy="desk/b", dates=rows)
    other = a_record(noise(9), strategy="other", dates=rows[-9:])
    made.source.records = TrackRecords(source="test", strategies={"desk/b": record, "other": other})
    return made


@pytest.fixture
async def http(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(proxy) as client:
        yield client


async def baseline(http: httpx.AsyncClient, name: str = "desk/b", **query: str) -> Any:
    answer = await http.get(f"/strategies/{name}/baseline", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_a_viewer_sees_what_is_proposed(http: httpx.AsyncClient) -> None:
    headers = {"X-Role": "viewer"}
    data = (await http.get("/strategies/desk/b/baseline", headers=headers)).json()["data"]

    assert (data["strategy"], data["in_force"], data["history"]) == ("desk/b", None, [])
    proposal = data["proposal"]
    assert (proposal["haircut"], proposal["rows"]) == (0.5, 100)
    assert proposal["live_mean"] == pytest.approx(0.001)
    assert proposal["reference_mean"] == pytest.approx(0.002)
    assert 0.0 < proposal["standard_error"] < 1.0


async def test_what_is_proposed_is_asked_for_a_day(proxy: Proxy, http: httpx.AsyncClient) -> None:
    first = proxy.source.records.strategies["desk/b"].dates[302]

    assert (await baseline(http, **{"from": str(first)}))["proposal"]["rows"] == 2
    assert (await baseline(http, **{"from": "2000-01-03"}))["proposal"] is None


async def test_an_operator_sets_the_proposed_one_and_then_another(
    proxy: Proxy, http: httpx.AsyncClient
) -> None:
    path, headers = "/strategies/desk/b/rebaseline", {"X-Role": "operator"}
    answer = await http.post(path, json=BODY, headers=headers)
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    entry = ENTRY | {"by": "operator", "at": answer.json()["timestamp"]}
    assert (data["in_force"], data["history"]) == (entry, [entry])
    assert data["proposal"]["haircut"] == 0.5

    again = {"from": "2026-01-29", "reason": "restored", "haircut": 0}
    assert (await http.post(path, json=again, headers=headers)).status_code == 200
    data = await baseline(http)
    assert [one["haircut"] for one in data["history"]] == [0.5, 0.0]
    assert data["in_force"] == data["history"][1]
    second, first = [one for one in proxy.audit.entries().rows if one.action == "rebaseline"]
    assert (first.actor, first.target) == ("operator", "strategies/desk/b")
    assert (first.before, second.before) == (None, first.after)
    assert isinstance(second.after, dict)
    assert second.after["haircut"] == 0.0


async def test_it_is_noted_with_the_open_incidents_of_the_strategy(
    proxy: Proxy, http: httpx.AsyncClient
) -> None:
    proxy.incidents.add_judgement(
        judged(*(breach(strategy=name, rule="mean_shortfall_252") for name in ("desk/b", "other")))
    )
    lifecycle = Lifecycle(store=proxy.incidents, settings=NotificationSettings())
    lifecycle.apply_judgements(DAILY, run_id="run", now=proxy.time())
    before = {one.strategy: one for one in proxy.incidents.by_id.values()}
    await http.post("/strategies/desk/b/rebaseline", json=BODY | {"haircut": 0.25})

    assert {one.strategy: one for one in proxy.incidents.by_id.values()} == before
    (entry,) = [
        one for one in proxy.incidents.timeline(before["desk/b"].id) if one.what == "baseline"
    ]
    assert entry.actor == "admin"
    assert entry.detail == {"since": "2026-01-30", "haircut": 0.25, "reason": BODY["reason"]}
    assert "baseline" not in [one.what for one in proxy.incidents.timeline(before["other"].id)]


async def test_nobody_without_the_permission_sets_one(
    proxy: Proxy, http: httpx.AsyncClient
) -> None:
    path = "/strategies/desk/b/rebaseline"
    answer = await http.post(path, json=BODY, headers={"X-Role": "viewer"})

    assert answer.status_code == 403
    assert proxy.desk.kept().baselines == {}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_strategy_is_refused_with_the_known_ones(
    http: httpx.AsyncClient, method: str
) -> None:
    path = f"/strategies/evil/{'baseline' if method == 'GET' else 'rebaseline'}"
    answer = await http.request(method, path, json=BODY if method == "POST" else None)

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_strategy")
    assert answer.json()["detail"] == (
        "there is no strategy of this name; known are: ALL, desk/b, other"
    )


async def test_a_group_has_one_by_its_own_name(proxy: Proxy, http: httpx.AsyncClient) -> None:
    day = proxy.source.records.strategies["other"].dates[-1]
    body = {"from": str(day), "reason": "gap", "haircut": 0.25}
    answer = await http.post("/strategies/other/rebaseline", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"] == (
        "from: no day: no row of other counts against its reference yet"
    )

    assert (await http.post("/strategies/ALL/rebaseline", json=body)).status_code == 200
    assert (await baseline(http, "ALL"))["in_force"]["haircut"] == 0.25
    assert (await baseline(http, "desk/b"))["in_force"] is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"from": "2999-01-01"}, "from: "),
        ({"from": None}, "from: "),
        (
            {"from": "2024-01-02"},
            "from: a session of desk/b from 2025-09-12, the first to count, to 2026-01-30",
        ),
        (
            {"from": "2026-01-25"},
            "to 2026-01-30; the next one is 2026-01-26",
        ),
        ({"reason": ""}, "reason: "),
        ({"haircut": -0.01}, "haircut: a number from 0 to 1"),
        ({"haircut": 1.01}, "haircut: a number from 0 to 1"),
        ({"haircut": "0.5"}, "haircut: a number from 0 to 1"),
        ({"haircut": True}, "haircut: a number from 0 to 1"),
        ({"haircut": None}, "haircut: "),
        ({"more": 1}, "known: from, reason, haircut"),
    ],
)
async def test_a_body_that_is_not_accepted_changes_nothing(
    proxy: Proxy, http: httpx.AsyncClient, changes: dict[str, object], why: str
) -> None:
    answer = await http.post("/strategies/desk/b/rebaseline", json=BODY | changes)

    assert answer.status_code == 422, answer.text
    assert why in answer.json()["detail"]
    assert proxy.desk.kept().baselines == {}
    assert [one for one in proxy.audit.entries().rows if one.action == "rebaseline"] == []


def test_the_projection_that_is_shown_is_the_one_that_was_issued_for_the_baseline() -> None:
    day = date(2026, 1, 28)
    plain = StoredProjection(
        strategy="a", kind="launch", issued_on=day, horizon=2, seed=1, settings_version="v1",
        data_hash="d", run_id="r",
    )  # fmt: skip
    store = FakeAlertStore()
    store.save_projections([plain, replace(plain, kind="launch-1"), replace(plain, kind="current")])
    given = Baseline(
        strategy="a", since=day, haircut=0.5, reason="gap", by="ann", at=NOON, number=1
    )
    record = a_record(noise(9), strategy="a", baselines=(given,))

    for known, kind in ((record, "launch-1"), (None, "launch")):
        found = in_force(store, "a", day, known)
        assert [one.kind for one in found] == [kind, "current"]
    assert in_force(store, "b", day, record) == []
