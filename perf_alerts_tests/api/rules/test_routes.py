"""GET /rules: limits, worth and budget of each rule."""

from typing import Any

import pytest

from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_dagster.judging.rules.catalogue import RULES
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_tests.incidents.incident_desk import fine, judged
from perf_alerts_tests.judged_desk import judged_desk
from perf_alerts_tests.server.apps import Proxy, serving


async def rules_of(proxy: Proxy) -> dict[str, Any]:
    async with serving(proxy) as http:
        data: dict[str, Any] = (await http.get("/rules")).json()["data"]
    return data


async def test_every_rule_is_there_before_anything_was_judged() -> None:
    data = await rules_of(Proxy())

    assert [each["rule"] for each in data["rules"]] == [rule.id for rule in RULES]
    assert {each["cannot_see"] for each in data["rules"]} == {"It has judged no strategy yet."}
    assert {each["worth"]["power_252"] for each in data["rules"]} == {None}
    assert (data["version"], data["versions"], data["holds"]) == (0, [], True)


async def test_what_a_rule_is_worth_is_the_median_over_strategies_each_counted_once() -> None:
    proxy = Proxy()
    store = SqlAlertStore(proxy.database.engine)
    found = [fine(strategy=f"s{n}", rule="drawdown", power_252=n / 10) for n in range(1, 5)]
    lacking = fine(strategy="young", rule="drawdown", outcome=Outcome.INSUFFICIENT_DATA, value=None)
    lost = fine(strategy="lost", rule="drawdown", outcome=Outcome.NO_DATA, value=None)
    store.record(judged(*found, lacking, lost), watermark=None)
    store.record(judged(*found, alert="evening_performance_check"), watermark=None)
    data = await rules_of(proxy)

    one = next(each for each in data["rules"] if each["rule"] == "drawdown")
    counts = {name: one["worth"][name] for name in ("strategies", "lacking", "unmeasured")}
    assert counts == {"strategies": 6, "lacking": 1, "unmeasured": 1}
    assert (one["worth"]["measured"], one["worth"]["power_252"]) == (4, pytest.approx(0.25))
    assert one["worth"]["share_of_limit"] is None
    assert one["cannot_see"] == (
        "It misses the change that it looks for in 75.0 % of first years; 1 of 6 strategies has "
        "too little data; 1 of 6 strategies could not be measured."
    )


async def test_limits_are_in_force_by_default_and_where_a_strategy_differs() -> None:
    proxy = Proxy()
    async with serving(proxy) as http:
        body = {
            "default": {"drawdown_warning": 0.07},
            "strategies": {"carry": {"drawdown_warning": 0.05}, "trend": {"volatility_low": 0.4}},
            "mandates": {"default": {"daily_loss": 0.03}},
        }
        await http.put("/config/thresholds", json=body)
        data = (await http.get("/rules")).json()["data"]

    one = next(each for each in data["rules"] if each["rule"] == "drawdown")
    assert one["limits"][0] == {
        "name": "drawdown_warning",
        "documented": 0.08,
        "default": 0.07,
        "strategies": {"carry": 0.05},
    }
    assert one["limits"][1]["strategies"] == {}
    assert data["mandates"] == {"default": {"daily_loss": 0.03}, "strategies": {}}
    assert (data["version"], data["versions"][0]["actor"]) == (1, "admin")


async def test_the_budget_of_a_rule_is_that_of_the_ledger() -> None:
    proxy = Proxy()
    judged_desk(proxy.settings, proxy.database.engine, proxy.time())
    async with serving(proxy) as http:
        data = (await http.get("/rules")).json()["data"]
        budget = (await http.get("/false-alarm-budget")).json()["data"]

    accounts = {each["rule"]: each for each in budget["by_rule"]}
    shown = {each["rule"]: each["false_alarms"] for each in data["rules"]}
    assert shown["drawdown"] == {
        name: accounts["drawdown"][name] for name in ("warnings", "criticals", "limit_messages")
    }
    assert shown["no_data"] is None
    assert sum(each["opened"] for each in data["rules"]) > 0
