"""What the endpoints of identity and control work with: two values on the application's state.

`controlling` puts them there for as long as an application runs: `app.state.identity` for the
authentication middleware and `/auth`, `app.state.control` for `/config` and `/admin/audit`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from fastapi import FastAPI, Request

from perf_alerts_dagster.application.control import Audit, Change, Thresholds
from perf_alerts_dagster.application.identity import KeyUse, Principal, Revocations
from perf_alerts_dagster.domain.evaluation import Json
from perf_alerts_dagster.proxy.authentication import address_of
from perf_alerts_dagster.proxy.identity import secrets
from perf_alerts_dagster.proxy.identity.attempts import Attempts
from perf_alerts_dagster.proxy.identity.gate import Identity
from perf_alerts_dagster.proxy.identity.revoked import Revoked
from perf_alerts_dagster.proxy.identity.tokens import Tokens
from perf_alerts_dagster.proxy.identity.uses import Uses
from perf_alerts_dagster.proxy.problems import request_id_of
from perf_alerts_dagster.settings import Settings

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Records and thresholds; `configured` is ALERT_THRESHOLDS, which counts until one is set."""

    audit: Audit
    thresholds: Thresholds
    configured: Mapping[str, Json]
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """What the alert store keeps for identity and control."""

    audit: Audit
    thresholds: Thresholds
    revocations: Revocations
    key_use: KeyUse


@asynccontextmanager
async def controlling(
    app: FastAPI,
    settings: Settings,
    tables: Tables,
    *,
    clock: Callable[[], datetime],
    seconds: Callable[[], float],
) -> AsyncIterator[None]:
    """Let callers in while this is open; what an earlier process left open is closed first.

    Raises:
        SettingsError: the secrets in the state folder cannot be read or made.
        StoreUnavailable: the store cannot be read or written.
    """
    swept = await asyncio.to_thread(tables.audit.sweep_open, clock())
    if swept:
        LOG.warning("cut off by a crash, and unknown in the audit: %d changes", swept)
    await asyncio.to_thread(tables.revocations.prune, clock())
    uses = Uses(tables.key_use)
    await uses.load()
    app.state.identity = await asyncio.to_thread(_identity, settings, tables, uses, clock, seconds)
    app.state.control = Control(
        audit=tables.audit,
        thresholds=tables.thresholds,
        configured=settings.thresholds,
        clock=clock,
    )
    try:
        yield
    finally:
        await uses.close()


def _identity(
    settings: Settings,
    tables: Tables,
    uses: Uses,
    clock: Callable[[], datetime],
    seconds: Callable[[], float],
) -> Identity:
    return Identity(
        enabled=settings.auth_enabled,
        key_header=settings.api_key_header,
        own_hosts=_own_hosts(settings),
        registry=secrets.registry(settings),
        tokens=Tokens(
            secret=secrets.token_secret(settings),
            algorithm=settings.jwt_algorithm,
            lifetime=timedelta(hours=settings.jwt_expire_hours),
            clock=clock,
        ),
        attempts=Attempts(settings.auth_failures_per_minute, seconds),
        revoked=Revoked(tables.revocations, seconds),
        uses=uses,
        clock=clock,
    )


def _own_hosts(settings: Settings) -> frozenset[str]:
    public = urlsplit(settings.public_url or "").hostname or ""
    return frozenset({"localhost", "127.0.0.1", "[::1]", settings.proxy_host.lower(), public})


def identity_of(request: Request) -> Identity:
    """The application's `Identity`."""
    found: Identity = request.app.state.identity
    return found


def control_of(request: Request) -> Control:
    """The application's `Control`."""
    found: Control = request.app.state.control
    return found


def change_of(
    request: Request, who: Principal, action: str, target: str, *, at: datetime
) -> Change:
    """A change as the audit tells it: who asks for it, from where, with which request."""
    return Change(
        at=at,
        actor=who.user_id,
        key_id=who.key_id,
        address=address_of(request.scope),
        action=action,
        target=target,
        request_id=request_id_of(request),
    )
