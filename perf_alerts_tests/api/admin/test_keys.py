"""Keys made at run time: shown once, valid at once, ended at once."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.identity import keys
from perf_alerts_dagster.identity.stored_keys import StoredKey
from perf_alerts_tests.server.gated import (
    HEADER,
    KEYS,
    Gated,
    bearer,
    code,
    gated,
    key,
    settings_of,
)


async def made(gate: Gated, role: str = "operator", name: str = "ci", **body: Any) -> Any:
    answer = await gate.http.post(
        "/keys", headers=key("master"), json={"role": role, "name": name, **body}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


async def me(gate: Gated, text: str) -> httpx.Response:
    return await gate.http.get("/auth/me", headers={HEADER: text})


async def test_a_new_key_works_at_once_and_is_shown_once(gate: Gated) -> None:
    new = await made(gate, expires_at="2026-03-01T00:00:00Z")
    found = await me(gate, new["api_key"])
    listed = await gate.http.get("/keys", headers=key("admin"))

    assert new["api_key"].startswith("pa_operator_")
    assert found.json()["user_id"] == "operator:ci"
    assert new["api_key"] not in listed.text
    rows = {row["user_id"]: row for row in listed.json()["data"]}
    assert {name: row["source"] for name, row in rows.items()} == dict.fromkeys(
        KEYS, "environment"
    ) | {"operator:ci": "store"}
    assert rows["operator:ci"] == {
        "key_id": new["data"]["key_id"],
        "role": "operator",
        "name": "ci",
        "user_id": "operator:ci",
        "source": "store",
        "status": "live",
        "created_at": "2026-01-30T12:00:00Z",
        "created_by": "master",
        "expires_at": "2026-03-01T00:00:00Z",
        "revoked_at": None,
        "revoked_by": None,
        "last_used": "2026-01-30T12:00:00Z",
    }
    (row,) = gate.stores.audit.entries(limit=1).rows
    assert (row.action, row.actor, row.target) == (
        "create_key",
        "master",
        f"keys/{new['data']['key_id']}",
    )
    assert new["api_key"] not in str(gate.stores.audit.entries().rows)


@pytest.mark.parametrize("way", ["revoked", "expired"])
async def test_a_key_that_ends_takes_its_tokens_along_at_once(gate: Gated, way: str) -> None:
    new = await made(gate)
    login = await gate.http.post("/auth/login", json={"api_key": new["api_key"]})
    token = login.json()["access_token"]
    path = f"/keys/{new['data']['key_id']}"
    if way == "revoked":
        answer = await gate.http.delete(path, headers=key("admin"))
    else:
        until = {"expires_at": "2026-01-30T12:00:30Z"}
        answer = await gate.http.post(f"{path}/expire", headers=key("admin"), json=until)
        assert (await me(gate, new["api_key"])).status_code == 200
        gate.clock.pass_by(seconds=30)

    assert answer.status_code == 200
    assert code(await me(gate, new["api_key"])) == (401, "invalid_credentials")
    assert code(await gate.http.get("/auth/me", headers=bearer(token))) == (401, "token_revoked")
    login = await gate.http.post("/auth/login", json={"api_key": new["api_key"]})
    assert code(login) == (401, "invalid_credentials")
    listed = (await gate.http.get("/keys", headers=key("admin"))).json()["data"]
    assert listed[-1]["status"] == way
    again = await gate.http.post(
        f"{path}/expire", headers=key("admin"), json={"expires_at": "2026-02-01T00:00:00Z"}
    )
    assert code(again) == (409, "key_refused")


async def test_another_proxy_follows_within_a_second_and_after_a_restart(
    control_engine: Engine, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path)
    async with gated(settings, control_engine) as one, gated(settings, control_engine) as two:
        assert (await me(two, "not-yet")).status_code == 401
        new = await made(one)
        two.clock.pass_by(seconds=1)
        assert (await me(two, new["api_key"])).status_code == 200
        await one.http.delete(f"/keys/{new['data']['key_id']}", headers=key("admin"))
        two.clock.pass_by(seconds=1)
        assert (await me(two, new["api_key"])).status_code == 401
        kept = await made(one)
    async with gated(settings, control_engine) as three:
        assert (await me(three, kept["api_key"])).status_code == 200


async def test_without_the_store_keys_of_the_settings_work_and_no_other_is_judged(
    gate: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = await made(gate)

    def down() -> dict[bytes, StoredKey]:
        raise StoreUnavailable("down")

    monkeypatch.setattr(gate.identity.stored.store, "unrevoked", down)
    gate.clock.pass_by(seconds=1)
    for text in (new["api_key"], "a-wrong-key"):
        answer = await me(gate, text)
        assert code(answer) == (503, "storage_unavailable")
        assert answer.headers["retry-after"] == "2"
    assert (await gate.http.get("/auth/me", headers=key("viewer"))).status_code == 200
    monkeypatch.undo()
    gate.clock.pass_by(seconds=1)
    assert (await me(gate, new["api_key"])).status_code == 200


async def test_a_key_of_the_settings_is_ended_there_and_the_answer_says_how(gate: Gated) -> None:
    listed = (await gate.http.get("/keys", headers=key("admin"))).json()["data"]
    viewer = next(row for row in listed if row["user_id"] == "viewer")
    answer = await gate.http.delete(f"/keys/{viewer['key_id']}", headers=key("admin"))

    assert code(answer) == (409, "settings_key")
    assert "ALERT_VIEWER_API_KEY" in answer.text


async def test_the_generated_admin_key_is_listed_and_ended_in_the_state_folder(
    control_engine: Engine, tmp_path: Path
) -> None:
    none = {f"ALERT_{role.upper()}_API_KEY": "" for role in KEYS}
    settings = settings_of(tmp_path, **none)
    text = keys.first_admin_key(settings) or ""
    async with gated(settings, control_engine) as gate:
        listed = (await gate.http.get("/keys", headers={HEADER: text})).json()["data"]
        (row,) = listed
        answer = await gate.http.delete(f"/keys/{row['key_id']}", headers={HEADER: text})

    assert (row["user_id"], row["source"]) == ("admin", "state_folder")
    assert code(answer) == (409, "settings_key")
    assert "admin_key.sha256" in answer.text


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
async def test_an_admin_makes_and_ends_all_but_a_master(gate: Gated, role: str) -> None:
    body = {"role": role, "name": "one"}
    assert (await gate.http.post("/keys", headers=key("admin"), json=body)).status_code == 201
    master = await made(gate, "master", "boss")
    asked = await gate.http.post(
        "/keys", headers=key("admin"), json={"role": "master", "name": "me"}
    )
    path = f"/keys/{master['data']['key_id']}"
    ended = await gate.http.delete(path, headers=key("admin"))

    assert code(asked) == (403, "insufficient_permission")
    assert code(ended) == (403, "insufficient_permission")
    boss = {HEADER: master["api_key"]}
    assert (await gate.http.delete(path, headers=boss)).status_code == 200


async def test_a_name_is_unique_among_the_live_keys_of_a_role(
    control_engine: Engine, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, ALERT_VIEWER_API_KEY=f"wall:{KEYS['viewer']}")
    async with gated(settings, control_engine) as gate:
        first = await made(gate)
        statuses = []
        for role, name in (("operator", "ci"), ("viewer", "ci"), ("viewer", "wall")):
            answer = await gate.http.post(
                "/keys", headers=key("admin"), json={"role": role, "name": name}
            )
            statuses.append(answer.status_code)
        await gate.http.delete(f"/keys/{first['data']['key_id']}", headers=key("admin"))
        second = await made(gate)

    assert statuses == [409, 201, 409]
    assert second["data"]["key_id"] != first["data"]["key_id"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"role": "operator"},
        {"role": "root", "name": "x"},
        {"role": "operator", "name": ""},
        {"role": "operator", "name": "a b"},
        {"role": "operator", "name": "x" * 65},
        {"role": "operator", "name": "x", "expires_at": "2026-01-30T11:59:59Z"},
        {"role": "operator", "name": "x", "expires_at": None},
        {"role": "operator", "name": "x", "key": "mine"},
    ],
)
async def test_another_body_makes_no_key(gate: Gated, body: dict[str, object]) -> None:
    answer = await gate.http.post("/keys", headers=key("admin"), json=body)

    assert code(answer) == (422, "validation")
    assert gate.stores.keys.all() == []


@pytest.mark.parametrize("id_", ["0123456789abcdef", "ffffffffffffffff"])
async def test_a_key_that_is_not_there_is_not_found(gate: Gated, id_: str) -> None:
    assert code(await gate.http.delete(f"/keys/{id_}", headers=key("admin"))) == (
        404,
        "unknown_key",
    )


async def test_a_key_in_the_store_is_hashed_and_in_no_repr(gate: Gated) -> None:
    new = await made(gate)
    (stored,) = gate.stores.keys.all()

    assert new["api_key"] not in repr(stored)
    assert stored.hash.hex() not in repr(stored)
    assert timedelta(0) == stored.created_at - gate.clock()
