"""Links in messages: each shows one event without a login, and may hold its escalation.

A link is of one event and one channel. Its token follows from both and from a secret, so that
every attempt of a message holds the same; the store knows only the token's hash.
"""

import hashlib
import hmac
import logging
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from perf_alerts_dagster.core.errors import SettingsError, StoreUnavailable
from perf_alerts_dagster.core.urls import LINK

LOG = logging.getLogger(__name__)

# Since its newest message; it ends with its event before that.
LIFETIME = timedelta(days=7)
HOLD = timedelta(hours=2)
# 128 bits.
_BYTES = 16
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)


class LinkStore(Protocol):
    """Keeps links by the SHA-256 of their token.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    def keep(
        self, token_hash: str, *, event_id: str, channel: str, until: datetime, now: datetime
    ) -> None:
        """Store a link until a time, also one that is stored already, and forget expired ones."""

    def find(self, token_hash: str) -> tuple[str, str, datetime] | None:
        """The event and channel of a link and when it expires; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a link is of: an event, and the channel whose message held it."""

    event_id: str
    channel: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Makes the links of messages, and reads them.

    `public_url` is the address of the pages; without it there are no links. `secret` is kept for
    as long as links shall last, and asked for at first need.
    """

    store: LinkStore
    public_url: str | None
    secret: Callable[[], bytes]
    clock: Callable[[], datetime]

    def link_of(self, event_id: str, channel: str) -> str | None:
        """The link of a message to a channel about an event; it lasts a week from now on.

        None without a public address, and, with a warning, where it could not be stored: the
        message matters more.
        """
        if self.public_url is None:
            return None
        now = self.clock()
        try:
            token = self._token(event_id, channel)
            self.store.keep(
                _hash(token), event_id=event_id, channel=channel, until=now + LIFETIME, now=now
            )
        except (SettingsError, StoreUnavailable) as error:
            LOG.warning("a message to %s has no link: %s", channel, error)
            return None
        return f"{self.public_url}{LINK}{token}"

    def find(self, token: str) -> Link | None:
        """The link of a token, also one that has expired lately; None where nobody was sent it.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        found = self.store.find(_hash(token)) if _TOKEN.fullmatch(token) else None
        if found is None:
            return None
        event_id, channel, expires_at = found
        return Link(event_id=event_id, channel=channel, expires_at=expires_at)

    def _token(self, event_id: str, channel: str) -> str:
        text = f"{event_id}\0{channel}".encode()
        digest = hmac.digest(self.secret(), text, hashlib.sha256)
        return urlsafe_b64encode(digest[:_BYTES]).decode().rstrip("=")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
