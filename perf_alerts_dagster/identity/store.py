"""The stores of authentication, over one engine."""

from dataclasses import dataclass

from sqlalchemy import Engine

from perf_alerts_dagster.control.sql import SqlAudit
from perf_alerts_dagster.identity.login_links import SqlLoginLinks
from perf_alerts_dagster.identity.sessions import SqlSessions
from perf_alerts_dagster.identity.stored_keys import SqlKeys
from perf_alerts_dagster.identity.usage import SqlKeyUse


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityStores:
    """Audit, sessions, the links that begin one, keys and their uses."""

    audit: SqlAudit
    sessions: SqlSessions
    login_links: SqlLoginLinks
    keys: SqlKeys
    key_use: SqlKeyUse


def identity_stores(engine: Engine) -> IdentityStores:
    """All of them in one alert store, whose schema must be current."""
    return IdentityStores(
        audit=SqlAudit(engine),
        sessions=SqlSessions(engine),
        login_links=SqlLoginLinks(engine),
        keys=SqlKeys(engine),
        key_use=SqlKeyUse(engine),
    )
