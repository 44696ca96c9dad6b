"""Who gets in: the case table of authentication, over an application with every permission."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.control.principal import ROLE_PERMISSIONS
from perf_alerts_tests.server.gated import (
    HEADER,
    KEYS,
    SECRET,
    Gated,
    bearer,
    code,
    gated,
    key,
    settings_of,
)

CHALLENGE = f'ApiKey realm="perf-alerts", header="{HEADER}"'
BLANKS = [{HEADER: ""}, {HEADER: "  "}, {"Authorization": ""}, {"Authorization": "  "}]


@pytest.mark.parametrize(
    "headers",
    [{}, *BLANKS, {"Authorization": "Basic YWRtaW46YWRtaW4="}, {"Authorization": KEYS["admin"]}],
)
async def test_no_credential_is_told_that_one_is_needed_and_nothing_more(
    gate: Gated, headers: dict[str, str]
) -> None:
    answer = await gate.http.get("/auth/me", headers=headers)

    assert code(answer) == (401, "missing_credentials")
    assert answer.headers["www-authenticate"] == f'Bearer realm="perf-alerts", {CHALLENGE}'


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nowhere"),
        ("GET", "/"),
        ("GET", "/auth/login"),
        ("POST", "/auth/login/"),
        ("POST", "/auth//login"),
        ("POST", "/auth/LOGIN"),
        ("OPTIONS", "/auth/me"),
        ("TRACE", "/auth/me"),
        ("POST", "/health/live"),
        ("GET", "/health/live/"),
        ("GET", "/openapi.json"),
        ("PUT", "/config/thresholds"),
    ],
)
async def test_everything_else_is_closed_whether_it_exists_or_not(
    gate: Gated, method: str, path: str
) -> None:
    answer = await gate.http.request(method, path)

    assert code(answer) == (401, "missing_credentials")


async def test_health_is_open(gate: Gated) -> None:
    assert (await gate.http.get("/health/live")).status_code == 200


@pytest.mark.parametrize("body", [b"{", b"\xff", b"x" * 100_000, b'{"a": NaN}'])
async def test_a_stranger_is_refused_before_its_body_is_looked_at(gate: Gated, body: bytes) -> None:
    answer = await gate.http.post("/echo", content=body)

    assert code(answer) == (401, "missing_credentials")


@pytest.mark.parametrize("role", list(KEYS))
async def test_a_key_and_its_token_are_the_same_client(gate: Gated, role: str) -> None:
    shown = "admin" if role == "master" else role

    by_key = (await gate.http.get("/auth/me", headers=key(role))).json()
    token = await gate.login(role)
    by_token = (await gate.http.get("/auth/me", headers=bearer(token))).json()

    assert by_key == {
        "user_id": role,
        "username": role,
        "roles": [shown],
        "permissions": sorted(ROLE_PERMISSIONS[role]),
        "last_used": None,
        "enabled": True,
    }
    assert by_token == by_key | {"last_used": "2026-01-30T12:00:00Z"}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
async def test_the_scheme_is_read_in_any_case(gate: Gated, scheme: str) -> None:
    token = await gate.login("viewer")

    answer = await gate.http.get("/auth/me", headers={"Authorization": f"{scheme} {token}"})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        "x",
        KEYS["admin"][:-1],
        KEYS["admin"] + "x",
        KEYS["admin"].upper(),
        "a" * 5000,
        "two words",
        "sha256:" + "0" * 64,
    ],
)
async def test_a_wrong_key_is_not_accepted_and_never_repeated(gate: Gated, wrong: str) -> None:
    answer = await gate.http.get("/auth/me", headers={HEADER: wrong})

    assert code(answer) == (401, "invalid_credentials")
    assert wrong not in answer.text or len(wrong) < 2
    assert "error=" not in answer.headers["www-authenticate"]


@pytest.mark.parametrize("wrong", [b"\xff\xfe", "ключ".encode(), b"\x7f" * 40, b"a\tb"])
async def test_bytes_that_are_no_text_are_a_wrong_key(gate: Gated, wrong: bytes) -> None:
    answer = await gate.http.get("/auth/me", headers={HEADER.encode(): wrong})

    assert code(answer) == (401, "invalid_credentials")


async def test_the_hash_of_a_key_is_no_key(control_engine: Engine, tmp_path: Path) -> None:
    from perf_alerts_dagster.settings.keys import digest

    hashed = f"sha256:{digest(KEYS['admin'])}"
    settings = settings_of(tmp_path, ALERT_ADMIN_API_KEY=hashed)
    async with gated(settings, control_engine) as gate:
        with_key = await gate.http.get("/auth/me", headers=key("admin"))
        with_hash = await gate.http.get("/auth/me", headers={HEADER: hashed})

    assert with_key.status_code == 200
    assert code(with_hash) == (401, "invalid_credentials")


@pytest.mark.parametrize(
    "names",
    [
        (HEADER, HEADER),
        ("Authorization", "Authorization"),
        (HEADER, "Authorization"),
        (HEADER.lower(), HEADER),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("other_is_good", [True, False])
async def test_two_credentials_are_refused_in_any_order_and_however_good(
    gate: Gated, names: tuple[str, str], order: int, other_is_good: bool
) -> None:
    token = await gate.login("admin")
    good = {HEADER.lower(): KEYS["admin"], "authorization": f"Bearer {token}"}
    first, second = names
    pairs = [
        (first, good[first.lower()]),
        (second, good[second.lower()] if other_is_good else "Bearer no"),
    ]

    answer = await gate.http.get("/auth/me", headers=pairs[::order])

    assert code(answer) == (400, "ambiguous_credentials")


async def test_a_reverse_proxys_own_authorization_does_not_hide_a_key(gate: Gated) -> None:
    headers = key("viewer") | {"Authorization": "Basic dXNlcjpwYXNz"}

    assert (await gate.http.get("/auth/me", headers=headers)).status_code == 200


async def test_a_key_outside_of_its_header_counts_for_nothing(gate: Gated) -> None:
    answers = [
        await gate.http.get("/auth/me", params={"api_key": KEYS["admin"], HEADER: KEYS["admin"]}),
        await gate.http.post("/echo", json={"api_key": KEYS["admin"]}),
        await gate.http.get("/auth/me", headers={"Cookie": f"{HEADER}={KEYS['admin']}"}),
        await gate.http.get("/auth/me", headers={"X-API-Key": KEYS["admin"]}),
    ]

    assert {code(answer) for answer in answers} == {(401, "missing_credentials")}


async def test_the_header_of_the_keys_is_the_configured_one(
    control_engine: Engine, tmp_path: Path
) -> None:
    async with gated(settings_of(tmp_path, ALERT_API_KEY_HEADER="X-Desk"), control_engine) as gate:
        right = await gate.http.get("/auth/me", headers={"x-desk": KEYS["viewer"]})
        wrong = await gate.http.get("/auth/me", headers=key("viewer"))

    assert right.status_code == 200
    assert code(wrong) == (401, "missing_credentials")
    assert 'header="X-Desk"' in wrong.headers["www-authenticate"]


@pytest.mark.parametrize(
    "value",
    ["Bearer", "Bearer ", "Bearer  x", "Bearer a b", "Bearer a.b.c", "Bearer ..", "bearer x"],
)
async def test_a_malformed_token_is_an_invalid_one(gate: Gated, value: str) -> None:
    answer = await gate.http.get("/auth/me", headers={"Authorization": value})

    assert code(answer) == (401, "invalid_token")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_no_secret_is_in_the_log_or_in_what_is_shown_of_the_identity(
    gate: Gated, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    token = await gate.login("master")
    wrong = "a-wrong-key-that-is-a-secret-of-somebody-else"
    await gate.http.get("/auth/me", headers={HEADER: wrong})
    await gate.http.post("/auth/login", json={"api_key": wrong})
    await gate.http.get("/auth/me", headers=bearer(token + "x"))

    shown = caplog.text + repr(gate.identity) + repr(gate.identity.registry.find(KEYS["admin"]))
    for secret in (*KEYS.values(), SECRET, token, wrong):
        assert secret not in shown
    assert "the master key" in caplog.text
    assert "invalid_credentials" in caplog.text
