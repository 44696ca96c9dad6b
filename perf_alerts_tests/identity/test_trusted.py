"""The headers of an authenticating proxy: believed from it, and from nobody else."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

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

PROXY = "10.0.0.1"
ROLES = '{"viewer": ["*"], "operator": ["desk"], "admin": ["alice@example.org"]}'
ALICE = {"X-Forwarded-User": "alice@example.org"}
BOB = {"X-Forwarded-User": "bob@example.org", "X-Forwarded-Groups": "sales, desk"}


@asynccontextmanager
async def behind(
    engine: Engine, folder: Path, *, roles: str = ROLES, peer: str = PROXY, **more: str
) -> AsyncIterator[tuple[Gated, httpx.AsyncClient]]:
    settings = settings_of(
        folder,
        ALERT_TRUSTED_PROXIES="10.0.0.0/24, 2001:db8::1",
        ALERT_TRUSTED_ROLES=roles,
        **more,
    )
    async with gated(settings, engine) as gate:
        transport = httpx.ASGITransport(gate.http._transport.app, client=(peer, 1))  # type: ignore[attr-defined]
        async with httpx.AsyncClient(transport=transport, base_url=gate.http.base_url) as http:
            yield gate, http


@pytest.mark.parametrize(
    ("sent", "user_id"),
    [
        (ALICE, "admin:alice@example.org"),
        (BOB, "operator:bob@example.org"),
        ({"X-Forwarded-User": "Zoë"}, "viewer:Zoë"),
        (ALICE | {"X-Forwarded-Groups": "desk"}, "admin:alice@example.org"),
    ],
)
async def test_a_person_has_the_highest_role_of_its_name_and_groups(
    control_engine: Engine, tmp_path: Path, sent: Mapping[str, str], user_id: str
) -> None:
    headers = {name.encode(): value.encode() for name, value in sent.items()}
    async with behind(control_engine, tmp_path) as (_, http):
        found = (await http.get("/auth/me", headers=headers)).json()

    assert found["user_id"] == user_id
    assert found["roles"] == [user_id.partition(":")[0]]


@pytest.mark.parametrize("peer", ["10.0.1.1", "127.0.0.1", "2001:db8::2", "unix"])
async def test_from_another_peer_the_headers_mean_nothing_and_are_no_error(
    control_engine: Engine, tmp_path: Path, peer: str
) -> None:
    hostile = ALICE | {"X-Forwarded-For": "192.0.2.9", "X-Forwarded-Groups": "\x01"}
    async with behind(control_engine, tmp_path, peer=peer) as (gate, http):
        stranger = await http.get("/auth/me", headers=hostile)
        known = await http.get("/auth/me", headers=hostile | key("viewer"))
        await http.post("/auth/login", json={"api_key": KEYS["viewer"]}, headers=hostile)

    assert code(stranger) == (401, "missing_credentials")
    assert known.json()["user_id"] == "viewer"
    assert gate.stores.audit.entries().rows[0].address == peer


async def test_the_proxies_are_off_unless_they_are_set(gate: Gated) -> None:
    assert code(await gate.http.get("/auth/me", headers=ALICE)) == (401, "missing_credentials")


async def test_nobody_without_a_role_gets_in_and_is_recorded(
    control_engine: Engine, tmp_path: Path
) -> None:
    async with behind(control_engine, tmp_path, roles='{"operator": ["desk"]}') as (gate, http):
        answer = await http.get("/auth/me", headers=ALICE)
        assert (await http.get("/auth/me", headers=BOB)).status_code == 200

    assert code(answer) == (403, "no_role")
    assert "ALERT_TRUSTED_ROLES" in answer.text
    assert [row.actor for row in gate.stores.audit.entries().rows] == ["proxy:alice@example.org"]


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Forwarded-User", "alice@example.org"), ("X-Forwarded-User", "bob")],
        [("X-Forwarded-User", "a\x00b")],
        [("X-Forwarded-User", "a\tb")],
        [("X-Forwarded-User", "x" * 257)],
        [("X-Forwarded-User", b"\xff\xfe")],
        [("X-Forwarded-User", "a\u202eb".encode())],
        [("X-Forwarded-User", "bob"), ("X-Forwarded-Groups", "a"), ("X-Forwarded-Groups", "desk")],
        [("X-Forwarded-User", "bob"), ("X-Forwarded-Groups", "de\x7fsk")],
    ],
)
async def test_a_malformed_name_is_refused_and_never_guessed(
    control_engine: Engine, tmp_path: Path, headers: list[tuple[str, str]]
) -> None:
    async with behind(control_engine, tmp_path) as (_, http):
        answer = await http.get("/auth/me", headers=headers)

    assert code(answer) == (400, "bad_identity_header")


async def test_a_credential_of_its_own_comes_before_the_proxys_person(
    control_engine: Engine, tmp_path: Path
) -> None:
    async with behind(control_engine, tmp_path) as (gate, http):
        by_key = await http.get("/auth/me", headers=ALICE | key("viewer"))
        by_token = await http.get("/auth/me", headers=ALICE | bearer(await gate.login("viewer")))
        wrong = await http.get("/auth/me", headers=ALICE | {HEADER: "wrong"})

    assert [by_key.json()["user_id"], by_token.json()["user_id"]] == ["viewer", "viewer"]
    assert code(wrong) == (401, "invalid_credentials")


@pytest.mark.parametrize(
    ("sent", "address"),
    [
        (["192.0.2.7"], "192.0.2.7"),
        (["6.6.6.6, 192.0.2.7"], "192.0.2.7"),
        (["6.6.6.6, 192.0.2.7, 10.0.0.9"], "192.0.2.7"),
        (["6.6.6.6", "192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7:4711"], "192.0.2.7"),
        (["[2001:db8::5]:4711"], "2001:db8::5"),
        (["::ffff:192.0.2.7"], "192.0.2.7"),
        (["6.6.6.6, evil"], PROXY),
        ([""], PROXY),
        (["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ([], PROXY),
    ],
)
async def test_the_clients_address_is_the_last_hop_that_is_none_of_ours(
    control_engine: Engine, tmp_path: Path, sent: list[str], address: str
) -> None:
    headers = [("X-Forwarded-For", one) for one in sent]
    async with behind(control_engine, tmp_path) as (gate, http):
        await http.post("/auth/login", json={"api_key": KEYS["viewer"]}, headers=headers)

    assert [row.address for row in gate.stores.audit.entries().rows] == [address]


async def test_who_guesses_behind_the_proxy_is_limited_alone(
    control_engine: Engine, tmp_path: Path
) -> None:
    async with behind(control_engine, tmp_path) as (_, http):
        for _ in range(11):
            guess = {HEADER: "wrong", "X-Forwarded-For": "192.0.2.7"}
            last = await http.get("/auth/me", headers=guess)
        other = await http.get(
            "/auth/me", headers={HEADER: "wrong", "X-Forwarded-For": "192.0.2.8"}
        )

    assert (last.status_code, other.status_code) == (429, 401)


@pytest.mark.parametrize(
    "foreign",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
async def test_no_other_site_acts_by_a_person_whom_the_proxy_names(
    control_engine: Engine, tmp_path: Path, foreign: dict[str, str]
) -> None:
    public = {"ALERT_PUBLIC_URL": "https://alerts.example"}
    async with behind(control_engine, tmp_path, **public) as (_, http):
        forged = await http.post("/probe/toggle/x", headers=ALICE | foreign)
        own = await http.post(
            "/probe/toggle/x", headers=ALICE | {"Origin": "https://alerts.example"}
        )
        program = await http.post("/probe/toggle/x", headers=ALICE)

    assert code(forged) == (403, "foreign_origin")
    assert (own.status_code, program.status_code) == (200, 200)


async def test_what_a_person_does_is_in_the_audit_by_name(
    control_engine: Engine, tmp_path: Path
) -> None:
    async with behind(control_engine, tmp_path) as (gate, http):
        answer = await http.post("/keys", headers=ALICE, json={"role": "viewer", "name": "wall"})
        master = await http.post("/keys", headers=ALICE, json={"role": "master", "name": "me"})

    assert answer.json()["data"]["created_by"] == "admin:alice@example.org"
    assert code(master) == (403, "insufficient_permission")
    actors = {row.action: row.actor for row in gate.stores.audit.entries().rows}
    assert actors == dict.fromkeys(("create_key", "refused"), "admin:alice@example.org")
