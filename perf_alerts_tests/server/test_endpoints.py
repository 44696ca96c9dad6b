import asyncio
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.core.errors import RecordsUnavailable, StoreUnavailable
from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_dagster.records.model import StrategyRecord, TrackRecords
from perf_alerts_dagster.scheduler.port import RunState, SchedulerHung
from perf_alerts_tests.api.strategies.test_routes import found, projection, record
from perf_alerts_tests.server.apps import Proxy, serving
from perf_alerts_tests.server.fakes import NOW, alert_run

TRIGGER = "/schedule/trigger/daily_pnl_check"
DISABLE = "/schedule/disable/daily_pnl_check"
ENABLE = "/schedule/enable/daily_pnl_check"


async def test_status_answers_as_documented() -> None:
    proxy = Proxy()
    async with serving(proxy) as client:
        answer = await client.get("/schedule/status", headers={"X-Role": "viewer"})
    body = answer.json()

    assert answer.status_code == 200
    assert (body["success"], body["timestamp"], body["authenticated_user"]) == (
        True,
        "2026-01-30T18:00:00Z",
        "viewer",
    )
    assert len(body["data"]["scheduled_alerts"]) == 5


async def test_a_change_shows_in_the_next_status() -> None:
    proxy = Proxy()
    async with serving(proxy) as client:
        await client.get("/schedule/status")
        await client.post(DISABLE)
        off = await client.get("/schedule/status")
        await client.post(TRIGGER)
        run = await client.get("/schedule/status")

    assert off.json()["data"]["scheduled_alerts"][0]["enabled"] is False
    assert len(run.json()["data"]["scheduled_alerts"][0]["recent_executions"]) == 1


async def test_a_change_made_in_the_web_ui_shows_after_a_second() -> None:
    proxy = Proxy()
    async with serving(proxy) as client:
        await client.get("/schedule/status")
        proxy.scheduler.disabled.add("daily_pnl_check")
        proxy.time.now += timedelta(seconds=1)
        body = (await client.get("/schedule/status")).json()

    assert body["data"]["scheduled_alerts"][0]["enabled"] is False


async def test_summary_names_who_asked() -> None:
    proxy = Proxy()
    proxy.scheduler.history = [alert_run()]
    async with serving(proxy) as client:
        body = (await client.get("/schedule/summary/24")).json()

    assert body["requested_by"] == "admin"
    assert body["data"]["executions"] == {
        "total": 1,
        "succeeded": 1,
        "failed": 0,
        "running": 0,
        "retried": 0,
    }


async def test_summary_counts_the_runs_of_all_pages() -> None:
    proxy = Proxy()
    proxy.scheduler.history = [alert_run(run_id=str(number)) for number in range(1100)]
    async with serving(proxy) as client:
        body = (await client.get("/schedule/summary/168")).json()

    assert body["data"]["executions"]["total"] == 1100


async def test_a_trigger_answers_with_the_run_and_the_audit_has_both_rows() -> None:
    # The web UI is on this machine only; what the world reaches is this proxy.
    proxy = Proxy(ALERT_WEBSERVER_PORT="3123", ALERT_PUBLIC_URL="https://alerts.example.org")
    async with serving(proxy) as client:
        answer = await client.post(TRIGGER, json={"as_of": "2026-01-29"})
    body = answer.json()
    (row,) = proxy.audit.rows

    assert answer.status_code == 202
    assert body["data"] == {
        "alert_name": "daily_pnl_check",
        "run_id": "00000000-0000-4000-8000-000000000000",
        "execution_id": "daily_pnl_check_20260130_180000",
        "state": "starting",
        "will_start": True,
        "reason": None,
        "run_url": "http://127.0.0.1:3123/runs/00000000-0000-4000-8000-000000000000",
    }
    assert (body["success"], body["triggered_by"]) == (True, "admin")
    assert row.key_id
    assert (row.actor, row.action, row.target, row.request_id) == (
        "admin",
        "trigger",
        "daily_pnl_check",
        "req-1",
    )
    assert (row.outcome, row.after) == (
        "done",
        {"as_of": "2026-01-29", "run_id": "00000000-0000-4000-8000-000000000000"},
    )


async def test_a_trigger_works_on_a_disabled_alert() -> None:
    proxy = Proxy()
    async with serving(proxy) as client:
        await client.post(DISABLE)
        answer = await client.post(TRIGGER)

    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("state", "status"), [(RunState.SUCCESS, 200), (RunState.FAILURE, 200), (RunState.RUNNING, 202)]
)
async def test_wait_answers_200_only_where_the_run_finished(state: RunState, status: int) -> None:
    proxy = Proxy()
    proxy.scheduler.state = state
    async with serving(proxy) as client:
        # The fake's runs change by hand only, so a wait would last: the clock stands still.
        answer = await client.post(TRIGGER, params={"wait": "0"})

    assert (answer.status_code, answer.json()["data"]["state"]) == (status, state.value)


async def test_a_finished_wait_is_in_the_next_status() -> None:
    proxy = Proxy()
    proxy.scheduler.state = RunState.SUCCESS
    async with serving(proxy) as client:
        answer = await client.post(TRIGGER, params={"wait": "60"})
        body = (await client.get("/schedule/status")).json()
    (run,) = body["data"]["scheduled_alerts"][0]["recent_executions"]

    assert answer.status_code == 200
    assert (run["run_id"], run["success"]) == (answer.json()["data"]["run_id"], True)


async def test_a_queued_run_without_a_daemon_says_why_it_will_not_start() -> None:
    proxy = Proxy()
    proxy.scheduler.state = RunState.QUEUED
    proxy.scheduler.heartbeat = timedelta(minutes=5)
    async with serving(proxy) as client:
        data = (await client.post(TRIGGER)).json()["data"]

    assert (data["state"], data["will_start"]) == ("queued", False)
    assert "no sign of life" in data["reason"]


@pytest.mark.parametrize(
    ("headers", "params", "body", "status", "code"),
    [
        ({}, {}, {"as_of": "2026-01-31"}, 422, "validation"),
        ({}, {}, {"as_of": 20260130}, 422, "validation"),
        ({}, {}, {"role": "admin"}, 422, "validation"),
        ({}, {}, [1], 422, "validation"),
        ({}, {"wait": "61"}, None, 422, "validation"),
        ({}, {"wait": "1.5"}, None, 422, "validation"),
        ({}, {"wait": ["1", "2"]}, None, 422, "validation"),
        ({"Idempotency-Key": "a" * 256}, {}, None, 422, "validation"),
        ({"Idempotency-Key": ""}, {}, None, 422, "validation"),
    ],
)
async def test_a_trigger_that_is_wrong_launches_nothing(
    headers: dict[str, str], params: dict[str, Any], body: object, status: int, code: str
) -> None:
    proxy = Proxy()
    async with serving(proxy) as client:
        answer = await client.post(TRIGGER, headers=headers, params=params, json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert proxy.scheduler.launched == []
    assert proxy.audit.rows == []


async def test_a_key_gives_the_same_run_and_another_request_with_it_is_refused() -> None:
    proxy = Proxy()
    key = {"Idempotency-Key": "k 1"}
    async with serving(proxy) as client:
        answers = [await client.post(TRIGGER, headers=key) for _ in range(2)]
        other = await client.post("/schedule/trigger/weekly_stability_check", headers=key)

    assert len({answer.json()["data"]["run_id"] for answer in answers}) == 1
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


async def test_nothing_is_launched_without_an_intent_on_record() -> None:
    proxy = Proxy()
    async with serving(proxy) as client:
        proxy.audit.fault = StoreUnavailable("/secret/place.db is full")
        answers = [await client.post(path) for path in (TRIGGER, DISABLE, "/admin/reload")]

    assert [answer.status_code for answer in answers] == [503] * 3
    assert {answer.json()["code"] for answer in answers} == {"storage_unavailable"}
    assert not any("secret" in answer.text for answer in answers)
    assert "launch" not in proxy.scheduler.calls
    assert "switch" not in proxy.scheduler.calls
    assert "reload" not in proxy.scheduler.calls


async def test_a_burst_of_triggers_is_bounded_and_the_others_are_told_when_to_come_back() -> None:
    proxy = Proxy(ALERT_MAX_TRIGGERED_RUNS="2")
    async with serving(proxy) as client:
        dates = [f"2026-01-{day:02d}" for day in range(1, 15)]
        answers = await asyncio.gather(
            *(client.post(TRIGGER, json={"as_of": as_of}) for as_of in dates)
        )
    refused = [answer for answer in answers if answer.status_code != 202]

    assert len(proxy.scheduler.launched) == 2
    assert [answer.status_code for answer in refused] == [429] * 12
    assert {answer.json()["code"] for answer in refused} == {"too_many_runs"}
    assert {answer.headers["retry-after"] for answer in refused} == {"10"}
    assert all("2 triggered runs" in answer.json()["detail"] for answer in refused)
    assert all("ALERT_MAX_TRIGGERED_RUNS" in answer.json()["detail"] for answer in refused)
    assert {row.outcome for row in proxy.audit.rows} <= {"done", "failed"}


async def test_a_hung_launch_is_unknown_in_the_audit_and_says_how_to_go_on() -> None:
    proxy = Proxy()
    async with serving(proxy) as client:
        proxy.scheduler.fault = SchedulerHung("no answer")
        answer = await client.post(TRIGGER)

    assert (answer.status_code, answer.json()["code"]) == (504, "upstream_timeout")
    assert "same Idempotency-Key" in answer.json()["detail"]
    assert proxy.audit.rows[0].outcome == "unknown"


async def test_disable_and_enable_are_recorded_and_answered_with_what_is_true_then() -> None:
    proxy = Proxy()
    body = {"reason": "exchange closed", "until": "2026-02-01T01:00:00+01:00"}
    async with serving(proxy) as client:
        off = (await client.post(DISABLE, json=body)).json()
        on = (await client.post(ENABLE)).json()

    assert off["modified_by"] == "admin"
    assert off["data"] == {
        "name": "daily_pnl_check",
        "enabled": False,
        "next_run": None,
        "until": "2026-02-01T00:00:00Z",
        "reason": "exchange closed",
    }
    assert (on["data"]["enabled"], on["data"]["next_run"]) == (True, "2026-01-31T17:00:00Z")
    assert [(row.action, row.outcome) for row in proxy.audit.rows] == [
        ("disable", "done"),
        ("enable", "done"),
    ]
    assert proxy.audit.rows[0].after == {
        "reason": "exchange closed",
        "until": "2026-02-01T00:00:00Z",
        "enabled": False,
    }


@pytest.mark.parametrize(
    "body", [{"until": "2026-01-30T18:00:00Z"}, {"until": "soon"}, {"reason": " "}, {"reasons": ""}]
)
async def test_a_disable_that_is_wrong_changes_nothing(body: dict[str, str]) -> None:
    proxy = Proxy()
    async with serving(proxy) as client:
        answer = await client.post(DISABLE, json=body)

    assert answer.status_code == 422
    assert proxy.scheduler.disabled == set()


async def test_executions_are_filtered_and_paged() -> None:
    proxy = Proxy()
    proxy.scheduler.history = [
        alert_run(run_id=str(number), state=RunState.FAILURE if number % 2 else RunState.SUCCESS)
        for number in range(10)
    ]
    seen: list[str] = []
    params = {"alert": "daily_pnl_check", "status": "failure", "limit": "2"}
    async with serving(proxy) as client:
        while True:
            page = (await client.get("/schedule/executions", params=params)).json()
            seen += [one["run_id"] for one in page["data"]]
            if page["next_cursor"] is None:
                break
            params["cursor"] = page["next_cursor"]

    assert seen == ["9", "7", "5", "3", "1"]
    assert page["success"] is True


@pytest.mark.parametrize(
    "params",
    [
        {"status": "broken"},
        {"since": "yesterday"},
        {"limit": "0"},
        {"limit": "501"},
        {"cursor": "!"},
        {"alert": "A"},
        {"status": ["success", "failure"]},
    ],
)
async def test_a_filter_that_is_wrong_is_refused(params: dict[str, Any]) -> None:
    async with serving(Proxy()) as client:
        answer = await client.get("/schedule/executions", params=params)

    assert (answer.status_code, answer.json()["code"]) == (422, "validation")


async def test_a_filter_by_an_unknown_alert_finds_no_alert() -> None:
    async with serving(Proxy()) as client:
        answer = await client.get("/schedule/executions", params={"alert": "nope"})

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_alert")


async def test_strategies_are_paged_by_name() -> None:
    proxy = Proxy()
    proxy.history.found = [found(name, "drawdown", Outcome.OK) for name in ("a", "b", "c")]
    async with serving(proxy) as client:
        first = (await client.get("/strategies", params={"limit": "2"})).json()
        cursor = first["next_cursor"]
        rest = (await client.get("/strategies", params={"limit": "2", "cursor": cursor})).json()

    assert [one["strategy"] for one in first["data"] + rest["data"]] == ["a", "b", "c"]
    assert rest["next_cursor"] is None


async def test_a_projection_is_drawn_with_the_path_lived_since() -> None:
    proxy = Proxy()
    proxy.store.save_projections([projection()])
    proxy.source.records = TrackRecords(source="test", strategies={"alpha": record()})
    async with serving(proxy) as client:
        body = (await client.get("/strategies/alpha/projection?as_of=2026-01-05")).json()
    (bands,) = body["data"]["projections"]

    assert (body["data"]["as_of"], bands["kind"]) == ("2026-01-05", "launch")
    assert bands["live"] == [{"date": "2026-01-05", "row": 1, "cumulative_return": 0.1}] or bands[
        "live"
    ][0]["cumulative_return"] == pytest.approx(0.1)


async def test_before_its_issue_a_projection_is_not_in_force() -> None:
    proxy = Proxy()
    proxy.store.save_projections([projection()])
    proxy.source.records = TrackRecords(source="test", strategies={"alpha": record()})
    async with serving(proxy) as client:
        body = (await client.get("/strategies/alpha/projection?as_of=2026-01-01")).json()

    assert body["data"]["projections"] == []


async def test_a_strategys_name_may_hold_a_slash() -> None:
    proxy = Proxy()
    proxy.source.records = TrackRecords(source="test", strategies={"fx/eur usd": a_record()})
    async with serving(proxy) as client:
        answer = await client.get("/strategies/fx%2Feur%20usd/projection")

    assert (answer.status_code, answer.json()["data"]["strategy"]) == (200, "fx/eur usd")


def a_record() -> StrategyRecord:
    return StrategyRecord(
        strategy="fx/eur usd",
        dates=np.array(["2026-01-05"], "datetime64[D]"),
        returns=np.array([0.1]),
        live=np.array([True]),
    )


async def test_a_source_that_is_away_is_a_503() -> None:
    proxy = Proxy()
    proxy.source.error = RecordsUnavailable("/secret/place.parquet is gone")
    async with serving(proxy) as client:
        answer = await client.get("/strategies/alpha/projection")

    assert (answer.status_code, answer.json()["code"]) == (503, "records_unavailable")
    assert "secret" not in answer.text


async def test_reload_asks_dagster_and_is_recorded() -> None:
    proxy = Proxy()
    async with serving(proxy) as client:
        answer = await client.post("/admin/reload")

    assert (answer.status_code, answer.json()["success"]) == (200, True)
    assert "reload" in proxy.scheduler.calls
    assert (proxy.audit.rows[0].action, proxy.audit.rows[0].outcome) == ("reload", "done")


async def test_not_being_ready_is_a_503_that_names_what_does_not_hold() -> None:
    proxy = Proxy()
    proxy.scheduler.heartbeat = None
    async with serving(proxy) as client:
        answer = await client.get("/health/ready")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["failing"] == ["daemon_heartbeat"]


async def test_being_alive_needs_nothing() -> None:
    proxy = Proxy()
    async with serving(proxy) as client:
        proxy.scheduler.fault = SchedulerHung("no answer")
        answer = await client.get("/health/live", headers={"X-Role": "nobody"})

    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_metrics_are_there_without_dagster() -> None:
    proxy = Proxy()
    async with serving(proxy) as client:
        proxy.scheduler.fault = SchedulerHung("no answer")
        answer = await client.get("/metrics")

    assert answer.status_code == 200
    assert "perf_alerts_dagster_up 0.0" in answer.text


NEEDS = {
    ("GET", "/schedule/status"): "viewer",
    ("GET", "/schedule/summary/24"): "viewer",
    ("GET", "/schedule/executions"): "viewer",
    ("GET", "/strategies"): "viewer",
    ("GET", "/strategies/a/projection"): "viewer",
    ("GET", "/metrics"): "viewer",
    ("GET", "/openapi.json"): "viewer",
    ("GET", "/docs"): "viewer",
    ("POST", TRIGGER): "operator",
    ("POST", ENABLE): "operator",
    ("POST", DISABLE): "operator",
    ("POST", "/admin/reload"): "admin",
}
ROLES = ("nobody", "viewer", "operator", "admin")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "path"), NEEDS)
async def test_each_role_may_do_what_it_may(role: str, method: str, path: str) -> None:
    proxy = Proxy()
    async with serving(proxy) as client:
        answer = await client.request(method, path, headers={"X-Role": role})
    allowed = ROLES.index(role) >= ROLES.index(NEEDS[method, path])

    assert (answer.status_code not in (401, 403)) == allowed
    assert allowed or {row.action for row in proxy.audit.rows} <= {"refused"}


async def test_a_missing_permission_comes_before_every_other_fault() -> None:
    async with serving(Proxy()) as client:
        answer = await client.post(
            "/schedule/trigger/nope?wait=x", content=b"{", headers={"X-Role": "viewer"}
        )

    assert answer.status_code == 403


async def test_two_proxies_over_one_store_agree() -> None:
    one = Proxy()
    two = Proxy(one)
    async with serving(one) as first, serving(two) as second:
        run = (await first.post(TRIGGER, headers={"Idempotency-Key": "k"})).json()
        same = (await second.post(TRIGGER, headers={"Idempotency-Key": "k"})).json()
        await first.post(DISABLE)
        body = (await second.get("/schedule/status")).json()

    assert run["data"]["run_id"] == same["data"]["run_id"]
    assert body["data"]["scheduled_alerts"][0]["enabled"] is False


def test_today_is_the_day_of_the_tests_clock() -> None:
    assert NOW.date() == date(2026, 1, 30)


async def test_without_authentication_everybody_is_the_system() -> None:
    proxy = Proxy(ALERT_AUTH_ENABLED="false")
    async with serving(proxy) as client:
        local = {"X-Role": "nobody", "Host": "localhost"}
        answers = [
            await client.get("/schedule/status", headers=local),
            await client.post(TRIGGER, headers=local),
        ]

    assert [answer.status_code for answer in answers] == [200, 202]
    assert answers[0].json()["authenticated_user"] == "system"
    assert proxy.audit.rows[0].actor == "system"


@pytest.mark.parametrize(
    ("path", "body", "answered"),
    [
        ("/schedule/trigger/no_such_check", b"{", (400, "bad_json")),
        ("/schedule/trigger/no_such_check", b'{"other": "x"}', (422, "validation")),
        ("/schedule/trigger/no_such_check", b'{"as_of": 5}', (422, "validation")),
        ("/schedule/trigger/no_such_check", b'{"as_of": "x"}', (404, "unknown_alert")),
        ("/schedule/trigger/no_such_check?wait=x", b"", (404, "unknown_alert")),
        ("/schedule/trigger/daily_pnl_check?wait=x", b'{"as_of": "x"}', (422, "validation")),
        ("/schedule/enable/no_such_check", b"[]", (422, "validation")),
        ("/schedule/enable/no_such_check", b'{"other": "x"}', (422, "validation")),
        ("/schedule/enable/no_such_check", b"{}", (404, "unknown_alert")),
        ("/schedule/disable/no_such_check", b'{"other": "x"}', (422, "validation")),
        ("/schedule/disable/no_such_check", b'{"reason": null}', (422, "validation")),
        ("/schedule/disable/no_such_check", b'{"until": "x"}', (404, "unknown_alert")),
        ("/schedule/disable/no_such_check", b'{"reason": ""}', (404, "unknown_alert")),
        ("/schedule/disable/Wrong", b'{"until": "x"}', (422, "validation")),
    ],
)
async def test_an_unknown_alert_is_answered_after_an_unreadable_body_and_before_a_wrong_value(
    path: str, body: bytes, answered: tuple[int, str]
) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": ""}
    async with serving(Proxy()) as client:
        answer = await client.post(path, content=body, headers=headers)
        viewer = await client.post(path, content=body, headers=headers | {"X-Role": "viewer"})

    assert (answer.status_code, answer.json()["code"]) == answered
    assert (viewer.status_code, viewer.json()["code"]) == (403, "insufficient_permission")
