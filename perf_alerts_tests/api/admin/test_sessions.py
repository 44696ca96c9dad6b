"""Sessions: one's own, and everybody's for administrators."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete

from perf_alerts_dagster.storage.engine import writing
from perf_alerts_dagster.storage.tables import sessions
from perf_alerts_tests.server.gated import Gated, bearer, code, gated, key, settings_of


async def test_who_asks_sees_its_own_sessions_and_an_administrator_all(gate: Gated) -> None:
    token = await gate.login("operator")
    await gate.login("viewer")
    own = (await gate.http.get("/sessions", headers=bearer(token))).json()["data"]
    by_key = (await gate.http.get("/sessions", headers=key("operator"))).json()["data"]
    every = (await gate.http.get("/sessions?all=true", headers=key("admin"))).json()["data"]
    one = (await gate.http.get("/sessions?user=viewer", headers=key("admin"))).json()["data"]

    assert [row["is_current"] for row in own + by_key] == [True, False]
    assert own[0] | {"token_id": "", "key_id": ""} == {
        "token_id": "",
        "user_id": "operator",
        "key_id": "",
        "kind": "token",
        "address": "127.0.0.1",
        "began_at": "2026-01-30T12:00:00Z",
        "seen_at": "2026-01-30T12:00:00Z",
        "expires_at": "2026-01-31T12:00:00Z",
        "is_current": True,
    }
    assert sorted(row["user_id"] for row in every) == ["operator", "viewer"]
    assert [row["user_id"] for row in one] == ["viewer"]


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_others_sessions_are_for_administrators(gate: Gated, role: str) -> None:
    for query in ("all=true", "user=admin"):
        answer = await gate.http.get(f"/sessions?{query}", headers=key(role))
        assert code(answer) == (403, "insufficient_permission")
    for body in ({"all": True}, {"user": "admin"}):
        answer = await gate.http.post("/sessions/end", headers=key(role), json=body)
        assert code(answer) == (403, "insufficient_permission")


async def test_all_own_sessions_end_at_once_and_nobody_elses(
    control_engine: Engine, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path)
    async with gated(settings, control_engine) as one, gated(settings, control_engine) as two:
        mine, other = await one.login("operator"), await two.login("operator")
        admin = await one.login("admin")
        assert (await two.http.get("/auth/me", headers=bearer(mine))).status_code == 200
        answer = await one.http.post("/sessions/end", headers=bearer(mine))

        assert answer.json()["ended"] == 2
        for token in (mine, other):
            found = await one.http.get("/auth/me", headers=bearer(token))
            assert code(found) == (401, "token_revoked")
        two.clock.pass_by(seconds=1)
        found = await two.http.get("/auth/me", headers=bearer(mine))
        assert code(found) == (401, "token_revoked")
        assert (await one.http.get("/auth/me", headers=bearer(admin))).status_code == 200
        (row,) = one.stores.audit.entries(limit=1).rows
        assert (row.action, row.actor, row.target, row.after) == (
            "end_sessions",
            "operator",
            "sessions/operator",
            {"ended": 2},
        )


async def test_an_administrator_ends_those_of_a_user_or_all(gate: Gated) -> None:
    viewer, operator = await gate.login("viewer"), await gate.login("operator")
    first = await gate.http.post("/sessions/end", headers=key("admin"), json={"user": "viewer"})
    kept = await gate.http.get("/auth/me", headers=bearer(operator))
    both = await gate.http.post("/sessions/end", headers=key("admin"), json={"all": True})

    assert (first.json()["ended"], kept.status_code, both.json()["ended"]) == (1, 200, 1)
    for token in (viewer, operator):
        assert (await gate.http.get("/auth/me", headers=bearer(token))).status_code == 401


async def test_a_token_of_the_version_before_goes_on_until_its_end(
    gate: Gated, control_engine: Engine
) -> None:
    token = await gate.login("operator")
    with writing(control_engine) as connection:
        connection.execute(delete(sessions))
    gate.clock.pass_by(hours=23)

    assert (await gate.http.get("/auth/me", headers=bearer(token))).status_code == 200
    gate.clock.pass_by(hours=1)
    answer = await gate.http.get("/auth/me", headers=bearer(token))
    assert code(answer) == (401, "token_expired")


async def test_a_token_of_the_api_does_not_idle_out(gate: Gated) -> None:
    token = await gate.login("admin")
    gate.clock.pass_by(hours=23)

    assert (await gate.http.get("/auth/me", headers=bearer(token))).status_code == 200


async def test_the_last_request_is_written_once_a_minute(gate: Gated) -> None:
    token = await gate.login("admin")
    writes = []
    store = gate.stores.sessions

    def save(times: Mapping[str, datetime]) -> None:
        writes.append(times)
        store.used(times)

    gate.identity.sessions.seen._save = save
    for _ in range(121):
        await gate.http.get("/auth/me", headers=bearer(token))
        gate.clock.pass_by(seconds=1)
        if (saving := gate.identity.sessions.seen._saving) is not None:
            await saving
    (session,) = gate.stores.sessions.listed(gate.clock())

    assert len(writes) == 3
    assert (gate.clock() - session.seen_at).total_seconds() <= 60
