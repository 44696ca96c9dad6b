"""ALERT_AUTH_ENABLED=false: everyone on this machine, and no page of a stranger."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.control.principal import Permission
from perf_alerts_tests.server.gated import (
    HEADER,
    KEYS,
    code,
    gated,
    settings_of,
)


async def test_without_authentication_everyone_is_system_and_may_do_anything(
    control_engine: Engine, tmp_path: Path
) -> None:
    async with gated(settings_of(tmp_path, ALERT_AUTH_ENABLED="false"), control_engine) as gate:
        me = await gate.http.get("/auth/me")
        wrong = await gate.http.get("/auth/me", headers={HEADER: "wrong"})
        probe = await gate.http.get("/probe/admin/x")
        login = await gate.http.post("/auth/login", json={"api_key": KEYS["admin"]})
        logout = await gate.http.post("/auth/logout")

    assert me.json()["user_id"] == "system"
    assert me.json()["permissions"] == sorted(Permission)
    assert (wrong.status_code, probe.status_code) == (200, 200)
    assert code(login) == (400, "authentication_disabled")
    assert code(logout) == (400, "no_token")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Host": "evil.example"}, (421, "unknown_host")),
        ({"Host": "evil.example:8089"}, (421, "unknown_host")),
        ({"Host": "localhost.evil.example"}, (421, "unknown_host")),
        ({"Host": "localhost@evil.example"}, (421, "unknown_host")),
        ({"Host": ""}, (421, "unknown_host")),
        ({"Origin": "https://evil.example"}, (403, "foreign_origin")),
        ({"Origin": "null"}, (403, "foreign_origin")),
        ({"Origin": "http://localhost:3000"}, (403, "foreign_origin")),
        ({"Sec-Fetch-Site": "cross-site"}, (403, "foreign_origin")),
        ({"Sec-Fetch-Site": "same-site"}, (403, "foreign_origin")),
    ],
)
async def test_without_authentication_pages_of_strangers_are_refused(
    control_engine: Engine, tmp_path: Path, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    async with gated(settings_of(tmp_path, ALERT_AUTH_ENABLED="off"), control_engine) as gate:
        answer = await gate.http.post("/probe/toggle/x", headers=headers)

    assert code(answer) == expected


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "127.0.0.1:8089"},
        {"Host": "[::1]:8089"},
        {"Host": "LOCALHOST"},
        {"Host": "localhost:8089", "Origin": "http://localhost:8089"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_without_authentication_this_machine_is_served(
    control_engine: Engine, tmp_path: Path, headers: dict[str, str]
) -> None:
    settings = settings_of(tmp_path, ALERT_AUTH_ENABLED="off")
    async with gated(settings, control_engine) as gate:
        answer = await gate.http.post("/probe/toggle/x", headers=headers)

    assert answer.status_code == 200
