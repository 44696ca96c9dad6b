"""Retiring a strategy over REST."""

from collections.abc import AsyncIterator
from datetime import date

import httpx
import pytest

from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_dagster.records.desk import Seen, SourceReading
from perf_alerts_tests.incidents.incident_desk import DAILY, breach, judged
from perf_alerts_tests.server.apps import Proxy, serving

DAY = date(2026, 1, 2)
SEEN = Seen(rows=1, first=DAY, last=DAY, capital=1.0)
BODY = {"from": "2026-01-05", "reason": "closed"}


@pytest.fixture
def proxy() -> Proxy:
    """Two strategies were read; one of them vanished, and has an incident."""
    made = Proxy()
    reading = SourceReading(accepted={"a": SEEN}, vanished={"desk/b": SEEN})
    made.desk.save_source("daily.csv", reading)
    parts = {"last_seen": DAY.isoformat()}
    missing = breach(strategy="desk/b", rule="no_data", outcome=Outcome.NO_DATA, parts=parts)
    made.incidents.add_judgement(judged(missing))
    lifecycle = Lifecycle(store=made.incidents, settings=NotificationSettings())
    lifecycle.apply_judgements(DAILY, run_id="run", now=made.time())
    return made


@pytest.fixture
async def http(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(proxy) as client:
        yield client


async def test_an_operator_ends_a_strategy_and_its_missing_data(
    proxy: Proxy, http: httpx.AsyncClient
) -> None:
    answer = await http.post("/strategies/desk/b/retire", json=BODY, headers={"X-Role": "operator"})

    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert data["at"] == answer.json()["timestamp"]
    del data["at"]
    assert data == {
        "strategy": "desk/b", "since": "2026-01-05", "reason": "closed", "by": "operator",
    }  # fmt: skip
    assert proxy.desk.kept().retired["desk/b"].since == date(2026, 1, 5)
    (incident,) = proxy.incidents.by_id.values()
    assert incident.status is Status.RESOLVED
    (row,) = [one for one in proxy.audit.entries().rows if one.action == "retire"]
    assert (row.actor, row.target, row.before) == ("operator", "strategies/desk/b", None)
    assert isinstance(row.after, dict)
    assert row.after["reason"] == "closed"


async def test_an_unknown_strategy_is_refused_with_the_known_ones(
    proxy: Proxy, http: httpx.AsyncClient
) -> None:
    answer = await http.post("/strategies/evil/retire", json=BODY)

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_strategy")
    assert answer.json()["detail"] == "there is no strategy of this name; known are: a, desk/b"
    assert proxy.desk.kept().retired == {}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"from": "2999-01-01"}, "from: "),
        ({"from": "5 Jan"}, "from: "),
        ({"from": None}, "from: "),
        ({"reason": ""}, "reason: "),
        ({"more": 1}, "known: from, reason"),
    ],
)
async def test_a_body_that_is_not_accepted_changes_nothing(
    proxy: Proxy, http: httpx.AsyncClient, changes: dict[str, object], why: str
) -> None:
    answer = await http.post("/strategies/a/retire", json=BODY | changes)

    assert answer.status_code == 422
    assert why in answer.json()["detail"]
    assert proxy.desk.kept().retired == {}
