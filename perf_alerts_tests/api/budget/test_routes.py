"""GET /false-alarm-budget, and the totals of the status."""

from collections.abc import Mapping
from typing import Any

import pytest

from perf_alerts_dagster.core.errors import RecordsUnavailable
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_tests.builders import a_record, noise
from perf_alerts_tests.fakes import FakeRecordsSource
from perf_alerts_tests.judged_desk import NAMES, judged_desk
from perf_alerts_tests.server.apps import Proxy, serving

PATH = "/false-alarm-budget"
MANDATE = '{"default": {"daily_loss": 0.01}}'


def desk(**settings: str) -> Proxy:
    proxy = Proxy(None, **settings)
    judged_desk(proxy.settings, proxy.database.engine, proxy.time.now)
    return proxy


async def answer_of(proxy: Proxy, role: str = "viewer") -> Mapping[str, Any]:
    async with serving(proxy) as client:
        answer = await client.get(PATH, headers={"X-Role": role})
    assert answer.status_code == 200, answer.text
    data: Mapping[str, Any] = answer.json()["data"]
    return data


async def test_a_viewer_sees_what_is_stated_opened_and_left() -> None:
    data = await answer_of(desk())

    assert (data["days"], data["holds"], data["strategies"]) == (365, True, 3)
    assert data["stated"] == {"warning": 0.1, "critical": 0.02, "is_least": False}
    assert data["without_rate"] == ["young"]
    assert data["desk"]["warnings"] == {
        "set": pytest.approx(0.2, rel=0.02), "spent": 1, "left": pytest.approx(-0.8, rel=0.02),
    }  # fmt: skip
    assert data["desk"]["criticals"]["set"] == pytest.approx(0.06, rel=0.02)
    assert data["desk"]["criticals"]["spent"] == 1
    assert data["desk"]["limit_messages"]["spent"] == 1
    assert data["desk"]["limit_messages"]["set"] > 0.0


async def test_each_strategy_and_rule_has_its_account() -> None:
    data = await answer_of(desk())

    strategies = {each["strategy"]: each for each in data["by_strategy"]}
    assert list(strategies) == list(NAMES)
    assert [each["has_rate"] for each in strategies.values()] == [True, True, False]
    assert strategies["trend"]["warnings"]["spent"] == 1
    assert strategies["young"]["warnings"] == {"set": None, "spent": 0, "left": None}
    rules = {each["rule"]: each for each in data["by_rule"]}
    shortfall = rules["mean_shortfall_252"]
    assert shortfall["title"] == "mean shortfall of 252 sessions"
    assert (shortfall["notifies"], shortfall["criticals"]["spent"]) == (True, 1)
    assert shortfall["warnings"]["set"] > 0.0
    assert not rules["walk_forward_stability"]["notifies"]
    assert rules["policy_daily_loss"]["limit_messages"]["spent"] == 1


async def test_the_documented_preset_has_openings_and_no_budget() -> None:
    data = await answer_of(desk(ALERT_RULE_PRESET="documented"))

    assert not data["holds"]
    assert data["notes"][0].startswith("ALERT_RULE_PRESET=documented: ")
    assert data["desk"]["warnings"] == {"set": None, "spent": 1, "left": None}


async def test_before_the_first_judgement_it_says_that_nothing_was_judged() -> None:
    data = await answer_of(Proxy())

    assert data["strategies"] == 0
    assert data["notes"][-1].startswith("Nothing was judged yet")
    assert data["desk"]["warnings"] == {"set": None, "spent": 0, "left": None}


async def test_it_says_where_the_least_share_binds() -> None:
    data = await answer_of(desk(ALERT_FALSE_ALARMS_PER_YEAR="0.01"))

    # Criticals are among the warnings.
    assert data["stated"] == {"warning": 0.004, "critical": 0.004, "is_least": True}
    assert "least share" in data["notes"][-1]


@pytest.mark.parametrize("is_there", [True, False])
async def test_limits_of_losses_are_counted_where_the_source_can_be_read(is_there: bool) -> None:
    proxy = desk(ALERT_POLICY_LIMITS=MANDATE)
    rows = a_record(noise(300), strategy="carry")
    records = TrackRecords(source="test", strategies={"carry": rows})
    away = RecordsUnavailable("the source is away")
    proxy.source = FakeRecordsSource(records, error=None if is_there else away)
    data = await answer_of(proxy)

    rule = next(each for each in data["by_rule"] if each["rule"] == "policy_daily_loss")
    assert (rule["limit_messages"]["set"] > 10.0) is is_there


async def test_the_status_has_the_totals_of_the_desk() -> None:
    async with serving(desk()) as client:
        answer = await client.get("/schedule/status")

    found = answer.json()["data"]["false_alarms"]
    assert found["warnings"] == {
        "set": pytest.approx(0.3), "spent": 1, "left": pytest.approx(-0.7),
    }  # fmt: skip
    assert found["criticals"]["set"] == pytest.approx(0.09)
    assert found["limit_messages"] == {"set": None, "spent": 1, "left": None}


async def test_the_status_has_none_where_the_store_cannot_be_read() -> None:
    proxy = desk()
    proxy.database.engine.dispose()
    with proxy.database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE incidents")
    async with serving(proxy) as client:
        answer = await client.get("/schedule/status")

    assert answer.status_code == 200
    assert answer.json()["data"]["false_alarms"] is None
