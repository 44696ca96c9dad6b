"""Login, me, logout: the documented answers, and what ends a token."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.control.audit import AuditOutcome
from perf_alerts_dagster.control.principal import ROLE_PERMISSIONS
from perf_alerts_tests.server.gated import (
    KEYS,
    Gated,
    bearer,
    code,
    gated,
    key,
    settings_of,
)


async def test_a_login_answers_as_documented(gate: Gated) -> None:
    answer = await gate.http.post("/auth/login", json={"api_key": KEYS["admin"]})

    found = answer.json()
    assert answer.status_code == 200
    assert found.pop("access_token").count(".") == 2
    assert found == {
        "token_type": "bearer",
        "expires_in": 86400,
        "user": {
            "user_id": "admin",
            "username": "admin",
            "roles": ["admin"],
            "permissions": sorted(ROLE_PERMISSIONS["admin"]),
        },
    }
    assert answer.headers["cache-control"] == "no-store"


async def test_a_named_key_is_a_named_client(control_engine: Engine, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, ALERT_OPERATOR_API_KEY=f"ci-bot:{KEYS['operator']}")
    async with gated(settings, control_engine) as gate:
        me = (await gate.http.get("/auth/me", headers=key("operator"))).json()

    assert (me["user_id"], me["username"], me["roles"]) == (
        "operator:ci-bot",
        "ci-bot",
        ["operator"],
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", (422, "validation")),
        (b"{}", (422, "validation")),
        (b"[]", (422, "validation")),
        (b"null", (422, "validation")),
        (b'{"api_key": ""}', (422, "validation")),
        (b'{"api_key": null}', (422, "validation")),
        (b'{"api_key": 1}', (422, "validation")),
        (b'{"api_key": ["x"]}', (422, "validation")),
        (b'{"api_key": "x", "role": "admin"}', (422, "validation")),
        (b'{"api_key": "x", "api_key": "y"}', (400, "bad_json")),
        (b'{"api_key": "\\ud800"}', (400, "bad_json")),
        (b'{"api_key": NaN}', (400, "bad_json")),
        (b'{"api_key": 1e400}', (400, "bad_json")),
        (b'{"api_key": "x"', (400, "bad_json")),
        ('{"api_key": "x"}'.encode("utf-16"), (400, "bad_json")),
        (b'\xef\xbb\xbf{"api_key": "x"}', (400, "bad_json")),
        (b'{"api_key": "a b"}', (401, "invalid_credentials")),
        ('{"api_key": "ключ"}'.encode(), (401, "invalid_credentials")),
        (b'{"api_key": "\\u0000"}', (401, "invalid_credentials")),
        (b'{"api_key": "wrong"}', (401, "invalid_credentials")),
        (b'{"api_key": "' + b"x" * 5000 + b'"}', (401, "invalid_credentials")),
        (b'{"api_key": "' + b"x" * 70_000 + b'"}', (413, "body_too_large")),
    ],
)
async def test_another_body_is_refused_for_what_it_is(
    gate: Gated, content: bytes, expected: tuple[int, str]
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await gate.http.post("/auth/login", content=content, headers=headers)

    assert code(answer) == expected
    assert "x" * 20 not in answer.text


async def test_a_login_ignores_whatever_else_the_request_brings_along(gate: Gated) -> None:
    headers = bearer("no.token.atall") | {"X-Alert-API-Key": "wrong"}
    answer = await gate.http.post("/auth/login", json={"api_key": KEYS["viewer"]}, headers=headers)

    assert answer.status_code == 200


async def test_a_logout_ends_one_token_for_good_and_is_recorded(gate: Gated) -> None:
    token, other = await gate.login("operator"), await gate.login("operator")

    answer = await gate.http.post(
        "/auth/logout", headers=bearer(token) | {"X-Request-ID": "logout-1"}
    )

    assert answer.json() == {
        "success": True,
        "message": "the token counts no more",
        "timestamp": "2026-01-30T12:00:00Z",
    }
    assert code(await gate.http.get("/auth/me", headers=bearer(token))) == (401, "token_revoked")
    assert code(await gate.http.post("/auth/logout", headers=bearer(token))) == (
        401,
        "token_revoked",
    )
    assert (await gate.http.get("/auth/me", headers=bearer(other))).status_code == 200
    row, *logins = gate.stores.audit.entries().rows
    assert [one.action for one in logins] == ["login", "login"]
    assert (row.actor, row.action, row.outcome, row.address, row.request_id) == (
        "operator",
        "logout",
        AuditOutcome.DONE,
        "127.0.0.1",
        "logout-1",
    )
    assert token not in str(row)


async def test_a_logout_survives_a_restart(control_engine: Engine, tmp_path: Path) -> None:
    async with gated(settings_of(tmp_path), control_engine) as gate:
        token = await gate.login("operator")
        await gate.http.post("/auth/logout", headers=bearer(token))
    async with gated(settings_of(tmp_path), control_engine) as gate:
        answer = await gate.http.get("/auth/me", headers=bearer(token))

    assert code(answer) == (401, "token_revoked")


async def test_a_logout_reaches_another_proxy_within_a_second(
    control_engine: Engine, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path)
    async with gated(settings, control_engine) as one, gated(settings, control_engine) as two:
        token = await one.login("operator")
        assert (await two.http.get("/auth/me", headers=bearer(token))).status_code == 200
        await one.http.post("/auth/logout", headers=bearer(token))

        two.clock.pass_by(seconds=1)
        assert code(await two.http.get("/auth/me", headers=bearer(token))) == (
            401,
            "token_revoked",
        )


async def test_revoked_tokens_are_forgotten_once_they_have_run_out(gate: Gated) -> None:
    first = await gate.login("viewer")
    await gate.http.post("/auth/logout", headers=bearer(first))
    gate.clock.pass_by(hours=24)
    second = await gate.login("viewer")
    await gate.http.post("/auth/logout", headers=bearer(second))

    assert gate.stores.sessions.prune(gate.clock() + timedelta(hours=24)) == 1


async def test_who_came_with_a_key_has_no_token_to_end(gate: Gated) -> None:
    answer = await gate.http.post("/auth/logout", headers=key("admin"))

    assert code(answer) == (400, "no_token")
    assert gate.stores.audit.entries().rows == ()


async def test_the_last_use_is_the_one_before_and_survives_a_restart(
    control_engine: Engine, tmp_path: Path
) -> None:
    async with gated(settings_of(tmp_path), control_engine) as gate:
        first = await gate.http.get("/auth/me", headers=key("viewer"))
        gate.clock.pass_by(minutes=5)
        second = await gate.http.get("/auth/me", headers=key("viewer"))
    async with gated(settings_of(tmp_path), control_engine) as gate:
        third = await gate.http.get("/auth/me", headers=key("viewer"))

    assert [answer.json()["last_used"] for answer in (first, second, third)] == [
        None,
        "2026-01-30T12:00:00Z",
        "2026-01-30T12:05:00Z",
    ]
