import logging

import pytest

from perf_alerts_dagster.core.errors import StackError
from perf_alerts_dagster.http import server
from perf_alerts_dagster.server import serve
from perf_alerts_tests.server.apps import KEYS, SECRETS, Proxy, serving
from perf_alerts_tests.stack.stacks import free_port


async def test_an_access_line_says_who_and_what_and_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "perf_alerts.access")
    async with serving(Proxy()) as client:
        await client.get("/schedule/status?api_key=very-secret")
        await client.get("/nope%0aINFO%20forged")
    first, second = (one.getMessage() for one in caplog.records if "access" in one.name)

    assert "GET /api/performance-alerts/schedule/status 200" in first
    assert "user=admin request=req-1" in first
    assert "secret" not in first
    assert KEYS["admin"] not in first
    assert "\n" not in second


async def test_requests_are_counted_by_the_routes_template() -> None:
    async with serving(Proxy()) as client:
        await client.get("/schedule/summary/24")
        await client.get("/schedule/status", headers={"X-Role": "nobody"})
        await client.get("/schedule/none/of/ours")
        text = (await client.get("/metrics")).text

    assert '{method="GET",route="/schedule/summary/{hours}",status="200"} 1.0' in text
    assert '{method="GET",route="unmatched",status="401"} 1.0' in text
    assert "none/of/ours" not in text


def test_a_taken_address_is_one_clear_line() -> None:
    with (
        server.listen("127.0.0.1", free_port()) as taken,
        pytest.raises(StackError, match="set ALERT_PROXY_HOST and ALERT_PROXY_PORT"),
    ):
        server.listen("127.0.0.1", taken.getsockname()[1])


def test_the_server_names_itself_nowhere_and_stops_in_time() -> None:
    proxy = Proxy()
    config = server.config(proxy.settings, proxy.app)

    assert (config.server_header, config.access_log, config.proxy_headers) == (False, False, False)
    assert config.timeout_graceful_shutdown == 12


def test_wrong_settings_end_the_process_with_one_line_and_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in SECRETS.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("ALERT_PROXY_PORT", "none")
    with pytest.raises(SystemExit) as caught:
        serve.main()

    assert caught.value.code == 2
    assert "ALERT_PROXY_PORT" in capsys.readouterr().err
