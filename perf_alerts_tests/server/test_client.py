from datetime import UTC, date, datetime

import pytest

from perf_alerts_dagster.api.client import AlertsClient, ApiError
from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_dagster.scheduler.port import RunState, SchedulerUnreachable
from perf_alerts_tests.api.strategies.test_routes import found, record
from perf_alerts_tests.server.apps import KEYS, Proxy, client_of, transport_of
from perf_alerts_tests.server.fakes import alert_run


async def test_a_client_reads_status_and_summary() -> None:
    async with client_of(Proxy()) as client:
        status = await client.status()
        summary = await client.summary(24)

    assert status.data.scheduled_alerts[0].name == "daily_pnl_check"
    assert (status.authenticated_user, summary.requested_by) == ("admin", "admin")


async def test_a_client_logs_in_goes_on_by_token_and_logs_out() -> None:
    proxy = Proxy()
    async with transport_of(proxy) as transport:
        async with AlertsClient("http://t", api_key=KEYS["viewer"], transport=transport) as client:
            login = await client.login()
            me = await client.me()
        token = login["access_token"]
        async with AlertsClient("http://t", token=token, transport=transport) as client:
            await client.status()
            await client.logout()
        async with AlertsClient("http://t", token=token, transport=transport) as client:
            with pytest.raises(ApiError) as caught:
                await client.status()

    assert me["roles"] == ["viewer"]
    assert (caught.value.status, caught.value.code) == (401, "token_revoked")


async def test_a_client_triggers_once_per_key() -> None:
    proxy = Proxy()
    async with client_of(proxy) as client:
        answers = [
            await client.trigger(
                "daily_pnl_check", as_of=date(2026, 1, 29), wait=0, idempotency_key="k"
            )
            for _ in range(2)
        ]

    assert len({answer.data.run_id for answer in answers}) == 1
    assert proxy.scheduler.launched[0].as_of == date(2026, 1, 29)


async def test_a_client_switches_alerts() -> None:
    until = datetime(2026, 2, 1, tzinfo=UTC)
    async with client_of(Proxy()) as client:
        off = await client.disable("daily_pnl_check", reason="closed", until=until)
        on = await client.enable("daily_pnl_check")

    assert (off.data.enabled, off.data.until, on.data.enabled) == (
        False,
        "2026-02-01T00:00:00Z",
        True,
    )


async def test_a_client_follows_all_pages() -> None:
    proxy = Proxy()
    proxy.scheduler.history = [alert_run(run_id=str(number)) for number in range(120)]
    proxy.history.found = [found(f"s{number:03}", "r", Outcome.OK) for number in range(120)]
    async with client_of(proxy) as client:
        runs = [one async for one in client.executions(alert="daily_pnl_check", status="success")]
        states = [one async for one in client.strategies()]

    assert len(runs) == len(states) == 120
    assert runs[0].state is RunState.SUCCESS


async def test_a_client_reads_projections_and_readiness_and_reloads() -> None:
    proxy = Proxy()
    proxy.source.records = TrackRecords(source="test", strategies={"fx/eur": record("fx/eur")})
    async with client_of(proxy) as client:
        projection = await client.projection("fx/eur", as_of=date(2026, 1, 5))
        proxy.scheduler.heartbeat = None
        ready = await client.ready()
        reload = await client.reload()
        thresholds = await client.call("GET", "/config/thresholds")

    assert projection.data.strategy == "fx/eur"
    assert (ready.ready, ready.failing) == (False, ["daemon_heartbeat"])
    assert reload.success
    assert thresholds["success"] is True


async def test_an_error_names_its_code_and_when_to_come_back() -> None:
    proxy = Proxy()
    async with client_of(proxy) as client:
        proxy.scheduler.fault = SchedulerUnreachable("Dagster's webserver cannot be reached")
        with pytest.raises(ApiError) as caught:
            await client.status()

    error = caught.value
    assert (error.status, error.code, error.retry_after) == (503, "upstream_unavailable", 5)
    assert error.request_id
    assert "cannot be reached" in str(error)


async def test_a_wrong_name_reaches_the_api_and_no_other_path() -> None:
    async with client_of(Proxy()) as client:
        with pytest.raises(ApiError) as caught:
            await client.trigger("../admin/reload")

    assert caught.value.status in (404, 405, 422)
