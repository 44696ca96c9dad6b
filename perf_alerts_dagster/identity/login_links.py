"""Links that log one person in, once: `up` prints one where a person reads along.

The token has 128 random bits; the alert store keeps its SHA-256 until it is used or has expired.
"""

import hashlib
import re
import secrets
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, delete, insert, select

from perf_alerts_dagster.control import sql
from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.identity.keys import Key
from perf_alerts_dagster.storage.engine import reading, writing
from perf_alerts_dagster.storage.event_tables import login_links

LIFETIME = timedelta(minutes=10)
_BYTES = 16
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)


class LoginLinkEnded(Exception):
    """The link was used by another request, or has expired."""


class SqlLoginLinks:
    """The login links in the alert store; every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def issue(self, key: Key, change: Change) -> str:
        """A new link's token, for the holder of a key from now on; audited, without the token."""
        token = secrets.token_urlsafe(_BYTES)
        row = {
            "token_hash": hash_of(token),
            "user_id": key.user_id,
            "key_id": key.key_id,
            "expires_at": change.at + LIFETIME,
        }
        with writing(self.engine) as connection:
            connection.execute(delete(login_links).where(login_links.c.expires_at <= change.at))
            connection.execute(insert(login_links), row)
            sql.add(connection, change)
        return token

    def holder(self, token: str, now: datetime) -> tuple[str, str] | None:
        """The user and key id of a link that goes on; None for any other token."""
        if not _TOKEN.fullmatch(token):
            return None
        query = select(login_links.c.user_id, login_links.c.key_id).where(
            login_links.c.token_hash == hash_of(token), login_links.c.expires_at > now
        )
        with reading(self.engine) as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (row.user_id, row.key_id)


def take(connection: Connection, token: str) -> None:
    """Use a link, in the transaction of its login.

    Raises:
        LoginLinkEnded: another request was faster.
    """
    used = delete(login_links).where(login_links.c.token_hash == hash_of(token))
    if not connection.execute(used).rowcount:
        raise LoginLinkEnded


def hash_of(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
