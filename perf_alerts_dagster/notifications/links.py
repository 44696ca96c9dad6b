"""Links in messages: each shows one event without a login, and may hold its escalation.

A link is of one event and one channel. Its token follows from both and from a secret, so that
every attempt of a message holds the same; the store knows only the token's hash.
"""

import hashlib
import hmac
import logging
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
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
        self, events: Mapping[str, str], *, channel: str, until: datetime, now: datetime
    ) -> None:
        """Store the links to a channel until a time, by token hash the id of the event.

        Also those that are stored already; expired ones are forgotten.
        """

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

    def links_of(self, event_ids: Sequence[str], channel: str) -> Mapping[str, str]:
        """The links of a message to a channel, by the ids of its events; they last a week from now.

        None without a public address, and, with a warning, where they could not be stored: the
        message matters more.
        """
        if self.public_url is None:
            return {}
        now = self.clock()
        try:
            tokens = {event_id: self._token(event_id, channel) for event_id in event_ids}
            hashes = {_hash(token): event_id for event_id, token in tokens.items()}
            self.store.keep(hashes, channel=channel, until=now + LIFETIME, now=now)
        except (SettingsError, StoreUnavailable) as error:
            LOG.warning("a message to %s has no link: %s", channel, error)
            return {}
        return {event_id: f"{self.public_url}{LINK}{token}" for event_id, token in tokens.items()}

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
