"""Sets up authentication: the `Identity` on the application's state, while it runs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from fastapi import FastAPI

from perf_alerts_dagster.control.sql import SqlAudit
from perf_alerts_dagster.identity import keys
from perf_alerts_dagster.identity.authenticator import Attempts, Identity
from perf_alerts_dagster.identity.key_usage import SqlKeyUse, Uses
from perf_alerts_dagster.identity.revocations import Revoked, SqlRevocations
from perf_alerts_dagster.identity.tokens import Tokens
from perf_alerts_dagster.settings import Settings

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityStores:
    """What the alert store keeps about callers."""

    audit: SqlAudit
    revocations: SqlRevocations
    key_use: SqlKeyUse


@asynccontextmanager
async def open_identity(
    app: FastAPI,
    settings: Settings,
    stores: IdentityStores,
    *,
    clock: Callable[[], datetime],
    seconds: Callable[[], float],
) -> AsyncIterator[None]:
    """Authenticate callers while this is open, after closing audit rows that a crash left open.

    Raises:
        SettingsError: the secrets in the state folder cannot be read or made.
        StoreUnavailable: the store cannot be read or written.
    """
    swept = await asyncio.to_thread(stores.audit.sweep_open, clock())
    if swept:
        LOG.warning("cut off by a crash, and unknown in the audit: %d changes", swept)
    await asyncio.to_thread(stores.revocations.prune, clock())
    uses = Uses(stores.key_use)
    await uses.load()
    app.state.identity = await asyncio.to_thread(_identity, settings, stores, uses, clock, seconds)
    try:
        yield
    finally:
        await uses.close()


def _identity(
    settings: Settings,
    stores: IdentityStores,
    uses: Uses,
    clock: Callable[[], datetime],
    seconds: Callable[[], float],
) -> Identity:
    return Identity(
        enabled=settings.auth_enabled,
        key_header=settings.api_key_header,
        own_hosts=_own_hosts(settings),
        registry=keys.registry(settings),
        tokens=Tokens(
            secret=keys.token_secret(settings),
            algorithm=settings.jwt_algorithm,
            lifetime=timedelta(hours=settings.jwt_expire_hours),
            clock=clock,
        ),
        attempts=Attempts(settings.auth_failures_per_minute, seconds),
        revoked=Revoked(stores.revocations, seconds),
        uses=uses,
        clock=clock,
    )


def _own_hosts(settings: Settings) -> frozenset[str]:
    public = urlsplit(settings.public_url or "").hostname or ""
    return frozenset({"localhost", "127.0.0.1", "[::1]", settings.proxy_host.lower(), public})
