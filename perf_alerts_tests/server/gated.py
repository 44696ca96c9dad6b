"""A small application behind the real authentication, over a real SQLite store."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import httpx
from fastapi import APIRouter, Depends, FastAPI, Request
from sqlalchemy import Engine

from perf_alerts_dagster.api.admin import access, routes
from perf_alerts_dagster.api.resources import Control
from perf_alerts_dagster.control.principal import Permission, Principal
from perf_alerts_dagster.control.sql import SqlThresholds
from perf_alerts_dagster.http.body import json_object
from perf_alerts_dagster.http.paths import BASE
from perf_alerts_dagster.http.problems import add_handlers
from perf_alerts_dagster.identity.authenticator import Identity
from perf_alerts_dagster.identity.middleware import Authentication, open_identity
from perf_alerts_dagster.identity.permissions import require
from perf_alerts_dagster.identity.store import IdentityStores, identity_stores
from perf_alerts_dagster.proxy import routes as proxy_routes
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_tests.server.apps import Stated

NOON = datetime(2026, 1, 30, 12, tzinfo=UTC)
KEYS = {
    role: f"{role}-0123456789abcdefghijklmnopqrstuvwxyz"
    for role in ("viewer", "operator", "admin", "master")
}
SECRET = "2Ys9vLqfJ3kXw8ZbN5tRgHc7Dm4PaEuVi6oTyW1x"
HEADER = "X-Alert-API-Key"
# The audited actions of callers that change nothing.
COMINGS = {"login", "logout", "failed_login", "wrong_key", "wrong_token", "no_role", "refused"}


@dataclass
class Hands:
    """A clock that tests move by hand."""

    now: datetime = NOON
    paused: list[float] = field(default_factory=list)

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    async def pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        await asyncio.sleep(0)

    def pass_by(self, **by: float) -> None:
        self.now += timedelta(**by)


def settings_of(folder: Path, **changes: str) -> Settings:
    """Settings with a key for each role, changed as asked; an empty text removes one."""
    given = {f"ALERT_{role.upper()}_API_KEY": key for role, key in KEYS.items()}
    given |= {"ALERT_JWT_SECRET": SECRET, "ALERT_STATE_DIR": str(folder)}
    return load_settings(given | changes, dotenv=None)


def gated_app() -> FastAPI:
    """The endpoints of identity and control, one per permission, one that reads, one that fails."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    base = APIRouter(prefix=BASE)
    for router in (
        proxy_routes.auth_router,
        routes.config,
        routes.router,
        access.keys,
        access.sessions,
    ):
        base.include_router(router)
    for permission in Permission:
        base.add_api_route(
            f"/probe/{permission.name.lower()}/{{name}}",
            _probe(permission),
            methods=["GET", "POST"],
        )

    @base.post("/echo")
    async def echo(request: Request) -> dict[str, object]:
        return {"body": await json_object(request, within=0.3)}

    @base.get("/boom")
    async def boom(request: Request) -> None:
        raise RuntimeError("a-secret-in-an-error")

    @base.get("/typed/{number}")
    async def typed(number: int) -> int:
        return number

    @base.get("/health/live")
    async def live(request: Request) -> str:
        return "alive"

    app.include_router(base)
    add_handlers(app)
    app.add_middleware(Authentication)
    return app


def _probe(permission: Permission) -> Callable[..., Awaitable[dict[str, object]]]:
    async def probe(
        request: Request, name: str, who: Annotated[Principal, Depends(require(permission))]
    ) -> dict[str, object]:
        return {"user": who.user_id, "name": name, "body": await json_object(request)}

    return probe


@dataclass
class Gated:
    """An application that runs, and a client of it."""

    app: FastAPI
    http: httpx.AsyncClient
    stores: IdentityStores
    thresholds: SqlThresholds
    clock: Hands
    settings: Settings

    @property
    def identity(self) -> Identity:
        found: Identity = self.app.state.identity
        return found

    async def login(self, role: str) -> str:
        """A token for the key of a role."""
        answer = await self.http.post("/auth/login", json={"api_key": KEYS[role]})
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token


@asynccontextmanager
async def gated(
    settings: Settings, engine: Engine, clock: Hands | None = None
) -> AsyncIterator[Gated]:
    """An application that runs over a store, with a client on loopback."""
    time = clock or Hands()
    app = gated_app()
    stores = identity_stores(engine)
    stored = SqlThresholds(engine)
    control = Control(
        identity=stores,
        thresholds=stored,
        configured=settings.thresholds,
        mandates=settings.policy_limits,
        clock=time,
    )
    stated = Stated(app, {"control": control})
    transport = httpx.ASGITransport(stated, client=("127.0.0.1", 50000))
    async with (
        open_identity(app, settings, stores, clock=time, seconds=time.seconds, pause=time.pause),
        httpx.AsyncClient(transport=transport, base_url=f"http://localhost{BASE}") as http,
    ):
        yield Gated(
            app=app, http=http, stores=stores, thresholds=stored, clock=time, settings=settings
        )


def bearer(token: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


def key(role: str) -> dict[str, str]:
    """The header that carries a role's key."""
    return {HEADER: KEYS[role]}


def code(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a problem, once its whole shape is right."""
    found = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert set(found) == {"type", "title", "status", "detail", "code", "request_id"}
    assert found["status"] == answer.status_code
    assert found["request_id"] == answer.headers["x-request-id"]
    assert all(isinstance(found[name], str) and found[name] for name in set(found) - {"status"})
    return answer.status_code, found["code"]
