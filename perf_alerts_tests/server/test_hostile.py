"""Over HTTP: no token, key, header or body of any shape is accepted, repeated, or breaks it."""

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perf_alerts_tests.identity.hostile import hostile
from perf_alerts_tests.server.gated import COMINGS, HEADER, KEYS, SECRET, Gated, bearer, code

FIXTURE = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=300)


async def test_hundreds_of_hostile_tokens_are_refused(gate: Gated) -> None:
    good = await gate.login("admin")
    tokens = [one for one in hostile(SECRET, SECRET * 2, good) if one.isascii()]
    statuses: dict[int, int] = {}
    for token in tokens:
        headers = {"Authorization": f"Bearer {token}"}
        answer = await gate.http.get("/probe/admin/x", headers=headers)
        found, _ = code(answer)
        statuses[found] = statuses.get(found, 0) + 1
        assert token[:40] not in answer.text or len(token) < 40

    assert len(tokens) > 300
    assert set(statuses) <= {401, 429, 431}
    assert (await gate.http.get("/probe/admin/x", headers=bearer(good))).status_code == 200
    assert {row.action for row in gate.stores.audit.entries().rows} <= COMINGS


@FIXTURE
@given(value=PRINTABLE)
async def test_no_value_of_a_credential_header_gets_in(gate: Gated, value: str) -> None:
    for name in (HEADER, "Authorization"):
        answer = await gate.http.get("/auth/me", headers={name.encode(): value.encode("latin-1")})

        assert code(answer)[0] in (401, 429)


@FIXTURE
@given(
    path=st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X"]),
)
async def test_no_path_is_open_to_a_stranger(gate: Gated, path: str, method: str) -> None:
    answer = await gate.http.request(method, f"http://localhost/{quote(path, safe='/')}")

    # The pages have sessions of their own, and tests of their own.
    # The client has made the path a plain one.
    asked = answer.request.url.path
    is_page = asked in ("/", "/login", "/logout", "/incidents") or asked.startswith("/incidents/")
    is_open = is_page or (method, asked) == ("GET", "/health/live")
    assert code(answer)[0] in (401, 414) or is_open


@FIXTURE
@given(content=st.binary(max_size=200))
async def test_no_body_of_a_login_breaks_it(gate: Gated, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await gate.http.post("/auth/login", content=content, headers=headers)

    assert code(answer)[0] in (400, 401, 422, 429)


@FIXTURE
@given(
    name=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    role=st.sampled_from(list(KEYS)),
    content=st.binary(max_size=60),
)
async def test_no_name_and_no_body_break_an_endpoint(
    gate: Gated, name: str, role: str, content: bytes
) -> None:
    headers = {HEADER: KEYS[role], "Content-Type": "application/json"}
    url = f"/probe/toggle/{quote(name, safe='/')}"
    answer = await gate.http.post(url, content=content, headers=headers)

    assert answer.status_code < 500
    if answer.status_code >= 400:
        code(answer)


@pytest.mark.parametrize("secret", [*KEYS.values(), SECRET])
async def test_no_refusal_repeats_a_secret_that_was_sent_in_the_wrong_place(
    gate: Gated, secret: str
) -> None:
    answers = [
        await gate.http.get(f"/{secret}", headers={HEADER: KEYS["viewer"]}),
        await gate.http.get(f"/typed/{secret}", headers={HEADER: KEYS["viewer"]}),
        await gate.http.get(f"/admin/audit?since={secret}", headers={HEADER: KEYS["admin"]}),
        await gate.http.post("/auth/login", json={secret: secret}),
        await gate.http.put(
            "/config/thresholds",
            json={"default": {secret: secret}},
            headers={HEADER: KEYS["admin"]},
        ),
        await gate.http.post("/auth/login", content=secret, headers={"Content-Type": secret}),
        await gate.http.get("/auth/me", headers={"Authorization": f"Bearer {secret}"}),
    ]

    for answer in answers:
        code(answer)
        assert secret not in answer.text + str(answer.headers)
