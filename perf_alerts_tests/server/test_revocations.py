"""Roles and the lives of tokens: what counts, for whom, and until when."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.control.principal import ROLE_PERMISSIONS, Permission
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.identity.sessions import Session, Sessions, SqlSessions
from perf_alerts_tests.server.gated import (
    KEYS,
    Gated,
    bearer,
    code,
    gated,
    key,
    settings_of,
)


@pytest.mark.parametrize("role", list(KEYS))
@pytest.mark.parametrize("permission", list(Permission))
@pytest.mark.parametrize("way", ["key", "token"])
async def test_a_role_may_do_what_it_may_and_nothing_else(
    gate: Gated, role: str, permission: Permission, way: str
) -> None:
    headers = key(role) if way == "key" else bearer(await gate.login(role))

    answer = await gate.http.get(f"/probe/{permission.name.lower()}/x", headers=headers)

    if permission in ROLE_PERMISSIONS[role]:
        assert answer.status_code == 200
        return
    assert code(answer) == (403, "insufficient_permission")
    scope = f'error="insufficient_scope", scope="{permission}"'
    assert (scope in answer.headers.get("www-authenticate", "")) == (way == "token")


async def test_permission_is_asked_for_before_the_body_is_read(gate: Gated) -> None:
    answer = await gate.http.post("/probe/admin/x", headers=key("viewer"), content=b"{" * 100_000)

    assert code(answer) == (403, "insufficient_permission")


async def test_a_token_ends_with_its_key(control_engine: Engine, tmp_path: Path) -> None:
    rotating = f"old:{KEYS['operator']},new:{'n' * 20}{KEYS['viewer']}"
    async with gated(
        settings_of(tmp_path, ALERT_OPERATOR_API_KEY=rotating), control_engine
    ) as gate:
        token = await gate.login("operator")
        before = await gate.http.get("/auth/me", headers=bearer(token))
    without = rotating.partition(",")[2]
    async with gated(settings_of(tmp_path, ALERT_OPERATOR_API_KEY=without), control_engine) as gate:
        after = await gate.http.get("/auth/me", headers=bearer(token))

    assert before.json()["user_id"] == "operator:old"
    assert code(after) == (401, "token_revoked")


async def test_a_key_that_moves_to_another_role_takes_no_token_along(
    control_engine: Engine, tmp_path: Path
) -> None:
    async with gated(settings_of(tmp_path), control_engine) as gate:
        token = await gate.login("admin")
    moved = settings_of(tmp_path, ALERT_ADMIN_API_KEY="", ALERT_VIEWER_API_KEY=KEYS["admin"])
    async with gated(moved, control_engine) as gate:
        answer = await gate.http.get("/auth/me", headers=bearer(token))

    assert code(answer) == (401, "token_revoked")


async def test_a_token_counts_for_its_lifetime_and_not_a_second_longer(gate: Gated) -> None:
    token = await gate.login("viewer")

    gate.clock.pass_by(hours=24, seconds=-1)
    last = await gate.http.get("/auth/me", headers=bearer(token))
    gate.clock.pass_by(seconds=1)
    expired = await gate.http.get("/auth/me", headers=bearer(token))

    assert last.status_code == 200
    assert code(expired) == (401, "token_expired")
    assert 'error_description="expired"' in expired.headers["www-authenticate"]


async def test_a_lifetime_that_was_shortened_ends_the_long_tokens_that_are_out(
    control_engine: Engine, tmp_path: Path
) -> None:
    async with gated(settings_of(tmp_path), control_engine) as gate:
        token = await gate.login("viewer")
    async with gated(settings_of(tmp_path, ALERT_JWT_EXPIRE_HOURS="1"), control_engine) as gate:
        answer = await gate.http.get("/auth/me", headers=bearer(token))

    assert code(answer) == (401, "invalid_token")


async def test_where_revocation_cannot_be_known_a_token_does_not_count(
    gate: Gated, control_engine: Engine
) -> None:
    token = await gate.login("admin")

    class Broken(SqlSessions):
        def state(self, token_id: str) -> tuple[bool, Session | None]:
            raise StoreUnavailable("down")

    sessions = Sessions(
        Broken(control_engine),
        lifetimes={},
        idle=timedelta(hours=1),
        seconds=gate.clock.seconds,
    )
    gate.app.state.identity = replace(gate.identity, sessions=sessions)
    answer = await gate.http.get("/auth/me", headers=bearer(token))

    assert code(answer) == (503, "storage_unavailable")
    assert answer.headers["retry-after"] == "2"
    assert (await gate.http.get("/auth/me", headers=key("admin"))).status_code == 200
