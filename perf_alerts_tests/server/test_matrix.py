"""Every operation of the OpenAPI document, asked by everyone: who gets in, and who does not.

The table is written out: an endpoint that is not in it fails the first test.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest

from perf_alerts_dagster.control.principal import ROLE_PERMISSIONS, Permission
from perf_alerts_dagster.http.paths import BASE
from perf_alerts_tests.server.apps import KEYS, Proxy, transport_of
from perf_alerts_tests.server.gated import COMINGS

OPEN = "open"
ANYONE = "anyone who is known"
NEEDS: dict[tuple[str, str], Permission | str] = {
    ("POST", "/auth/login"): OPEN,
    ("GET", "/health/live"): OPEN,
    ("GET", "/health/ready"): OPEN,
    ("GET", "/auth/me"): ANYONE,
    ("POST", "/auth/logout"): ANYONE,
    ("GET", "/schedule/status"): Permission.VIEW_STATUS,
    ("GET", "/desk"): Permission.VIEW_STATUS,
    ("GET", "/strategies"): Permission.VIEW_STATUS,
    ("GET", "/strategies/{name}"): Permission.VIEW_STATUS,
    ("GET", "/strategies/{name}/series"): Permission.VIEW_STATUS,
    ("GET", "/strategies/{name}/evaluations"): Permission.VIEW_STATUS,
    ("GET", "/strategies/{name}/calibrations"): Permission.VIEW_STATUS,
    ("GET", "/strategies/{name}/projections"): Permission.VIEW_STATUS,
    ("GET", "/strategies/{name}/projection"): Permission.VIEW_STATUS,
    ("POST", "/strategies/{name}/retire"): Permission.TOGGLE,
    ("GET", "/false-alarm-budget"): Permission.VIEW_STATUS,
    ("GET", "/strategies/{name}/baseline"): Permission.VIEW_STATUS,
    ("POST", "/strategies/{name}/rebaseline"): Permission.TOGGLE,
    ("GET", "/metrics"): Permission.VIEW_STATUS,
    ("GET", "/schedule/summary/{hours}"): Permission.VIEW_HISTORY,
    ("GET", "/schedule/executions"): Permission.VIEW_HISTORY,
    ("POST", "/schedule/trigger/{alert}"): Permission.TRIGGER,
    ("POST", "/schedule/enable/{alert}"): Permission.TOGGLE,
    ("POST", "/schedule/disable/{alert}"): Permission.TOGGLE,
    ("GET", "/incidents"): Permission.VIEW_HISTORY,
    ("GET", "/incidents/{id}"): Permission.VIEW_HISTORY,
    ("POST", "/incidents/{id}/acknowledge"): Permission.TOGGLE,
    ("POST", "/incidents/{id}/resolve"): Permission.TOGGLE,
    ("GET", "/events"): Permission.VIEW_HISTORY,
    ("GET", "/events/{id}"): Permission.VIEW_HISTORY,
    ("POST", "/events/{id}/acknowledge"): Permission.TOGGLE,
    ("POST", "/events/{id}/resolve"): Permission.TOGGLE,
    ("POST", "/events/{id}/silence"): Permission.TOGGLE,
    ("GET", "/alerts"): Permission.VIEW_HISTORY,
    ("GET", "/rules"): Permission.VIEW_STATUS,
    ("GET", "/doctor"): Permission.VIEW_STATUS,
    ("GET", "/channels"): Permission.VIEW_STATUS,
    ("GET", "/settings"): Permission.ADMIN,
    ("GET", "/silences"): Permission.VIEW_HISTORY,
    ("GET", "/silences/preview"): Permission.VIEW_HISTORY,
    ("POST", "/silences"): Permission.TOGGLE,
    ("DELETE", "/silences/{id}"): Permission.TOGGLE,
    ("GET", "/config/thresholds"): Permission.CONFIGURE,
    ("PUT", "/config/thresholds"): Permission.CONFIGURE,
    ("GET", "/admin/audit"): Permission.ADMIN,
    ("GET", "/keys"): Permission.ADMIN,
    ("POST", "/keys"): Permission.ADMIN,
    ("POST", "/keys/{id}/expire"): Permission.ADMIN,
    ("DELETE", "/keys/{id}"): Permission.ADMIN,
    ("GET", "/sessions"): ANYONE,
    ("POST", "/sessions/end"): ANYONE,
    ("POST", "/admin/test-notification"): Permission.ADMIN,
    ("POST", "/admin/reload"): Permission.ADMIN,
}
FILLED = {
    "{alert}": "daily_pnl_check",
    "{hours}": "24",
    "{name}": "nobody",
    "{id}": "0123456789abcdef",
}
CLOSED = [one for one, needed in NEEDS.items() if needed != OPEN]


@asynccontextmanager
async def running(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        transport_of(proxy) as transport,
        httpx.AsyncClient(transport=transport, base_url=f"http://localhost{BASE}") as http,
    ):
        yield http


async def ask(
    http: httpx.AsyncClient, operation: tuple[str, str], headers: dict[str, str]
) -> httpx.Response:
    method, path = operation
    for name, value in FILLED.items():
        path = path.replace(name, value)
    return await http.request(method, path, headers=headers)


async def token(http: httpx.AsyncClient, role: str) -> dict[str, str]:
    answer = await http.post("/auth/login", json={"api_key": KEYS[role]})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def operations(proxy: Proxy) -> Iterator[tuple[str, str]]:
    for path, found in proxy.app.openapi()["paths"].items():
        for method in found:
            yield method.upper(), path.removeprefix(BASE)


def test_the_table_has_every_operation_of_the_document() -> None:
    assert set(operations(Proxy())) == set(NEEDS)


@pytest.mark.parametrize("way", ["key", "token"])
@pytest.mark.parametrize("role", list(ROLE_PERMISSIONS))
async def test_a_role_gets_in_where_it_may_and_nowhere_else(role: str, way: str) -> None:
    async with running(Proxy()) as http:
        for operation, needed in NEEDS.items():
            headers = {"X-Alert-API-Key": KEYS[role]} if way == "key" else await token(http, role)
            answer = await ask(http, operation, headers)

            allowed = needed in (OPEN, ANYONE) or needed in ROLE_PERMISSIONS[role]
            assert (answer.status_code == 403) is not allowed, operation
            assert answer.status_code != 401, operation
            assert answer.status_code < 500 or operation[1] == "/health/ready", answer.text


NOBODY: dict[str, Callable[[dict[str, str]], dict[str, str]]] = {
    "anonymous": lambda _: {},
    "a wrong key": lambda _: {"X-Alert-API-Key": "wrong"},
    "a forged token": lambda good: {"Authorization": good["Authorization"][:-5] + "AAAAA"},
    "another scheme": lambda good: {
        "Authorization": good["Authorization"].replace("Bearer", "Mac")
    },
}


@pytest.mark.parametrize("who", list(NOBODY))
async def test_strangers_get_in_nowhere_and_change_nothing(who: str) -> None:
    proxy = Proxy(ALERT_AUTH_FAILURES_PER_MINUTE="1000")
    async with running(proxy) as http:
        good = await token(http, "admin")
        for operation in CLOSED:
            answer = await ask(http, operation, NOBODY[who](good))

            assert answer.status_code == 401, operation
            assert answer.headers["www-authenticate"].startswith("Bearer ")
    changed_nothing(proxy)


@pytest.mark.parametrize("role", list(ROLE_PERMISSIONS))
async def test_a_token_that_ran_out_or_was_ended_gets_in_nowhere(role: str) -> None:
    proxy = Proxy()
    async with running(proxy) as http:
        ended = await token(http, role)
        assert (await http.post("/auth/logout", headers=ended)).status_code == 200
        for operation in CLOSED:
            answer = await ask(http, operation, ended)
            assert (answer.status_code, answer.json()["code"]) == (401, "token_revoked")
        late = await token(http, role)
        await proxy.time.pause(24 * 3600)
        for operation in CLOSED:
            answer = await ask(http, operation, late)
            assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")
    changed_nothing(proxy)


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_who_may_not_is_told_so_before_anything_of_the_request_is_looked_at(
    role: str,
) -> None:
    proxy = Proxy()
    async with running(proxy) as http:
        for (method, path), needed in NEEDS.items():
            if needed in (OPEN, ANYONE) or needed in ROLE_PERMISSIONS[role]:
                continue
            for name in FILLED:
                path = path.replace(name, "%00no%20such")
            headers = {"X-Alert-API-Key": KEYS[role], "Content-Type": "text/plain"}
            answer = await http.request(method, f"{path}?x=%ff", content=b"{", headers=headers)

            assert answer.status_code == 403, (method, path)
    changed_nothing(proxy)


def changed_nothing(proxy: Proxy) -> None:
    assert proxy.scheduler.launched == []
    assert not {"switch", "launch", "reload"} & set(proxy.scheduler.calls)
    assert {row.action for row in proxy.audit.entries().rows} <= COMINGS
