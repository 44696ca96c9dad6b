"""Who guesses is slowed down; nobody else is."""

import httpx

from perf_alerts_tests.server.gated import (
    HEADER,
    Gated,
    bearer,
    code,
    key,
)


async def guess(gate: Gated, number: int, address: str = "192.0.2.1") -> httpx.Response:
    transport = httpx.ASGITransport(gate.app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url=gate.http.base_url) as http:
        match number % 3:
            case 0:
                return await http.post("/auth/login", json={"api_key": f"guess-{number}"})
            case 1:
                return await http.get("/auth/me", headers={HEADER: f"guess-{number}"})
            case _:
                return await http.get("/auth/me", headers=bearer(f"guess.{number}.x"))


async def test_guessing_is_slowed_for_its_address_whichever_way_it_goes(gate: Gated) -> None:
    for number in range(10):
        assert (await guess(gate, number)).status_code == 401
    gate.clock.pass_by(seconds=20.5)

    for number in range(10, 16):
        answer = await guess(gate, number)
        assert code(answer) == (429, "rate_limited")
        assert answer.headers["retry-after"] == "40"

    assert (await guess(gate, 0, "192.0.2.2")).status_code == 401
    gate.clock.pass_by(seconds=39.5)
    assert (await guess(gate, 0)).status_code == 401


async def test_right_keys_and_tokens_work_from_an_address_that_guesses(gate: Gated) -> None:
    token = await gate.login("viewer")
    for number in range(15):
        await guess(gate, number, "127.0.0.1")

    assert (await guess(gate, 0, "127.0.0.1")).status_code == 429
    for headers in (key("operator"), bearer(token)):
        assert (await gate.http.get("/auth/me", headers=headers)).status_code == 200
    assert await gate.login("admin")


async def test_what_is_no_guess_is_not_charged(gate: Gated) -> None:
    token = await gate.login("viewer")
    await gate.http.post("/auth/logout", headers=bearer(token))
    for _ in range(30):
        await gate.http.get("/auth/me")
        await gate.http.get("/auth/me", headers=bearer(token))
        await gate.http.get("/auth/me", headers=key("viewer"))
        await gate.http.post("/auth/login", json={})

    assert code(await gate.http.get("/auth/me", headers={HEADER: "x"})) == (
        401,
        "invalid_credentials",
    )


async def test_a_forwarded_address_is_not_believed(gate: Gated) -> None:
    found = []
    for number in range(12):
        headers = {HEADER: "x", "X-Forwarded-For": f"192.0.2.{number}", "X-Real-IP": f"{number}"}
        found.append((await gate.http.get("/auth/me", headers=headers)).status_code)

    assert found == [401] * 10 + [429] * 2
