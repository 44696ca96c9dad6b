"""The JSON webhook: posts a signed message with an idempotency key to a checked address."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.delivery import Channel, DeliveryFailed
from perf_alerts_dagster.notifications.messages import Message

_TOTAL_SECONDS = 10.0
# Retried; any other 4xx means that the request itself is wrong.
_RETRIABLE = (408, 425, 429)


@dataclass(eq=False, repr=False)
class Webhook(Channel):
    """Posts each message as JSON to one URL, which is a secret: only its host is shown.

    Args:
        url: An `https` URL; `http` only to hosts that `addresses` allows.
        name: The channel's name, which shows no secret.
        minimum: The lowest severity of its messages.
        secret: Signs each message; None leaves them unsigned.
        addresses: Which hosts may be connected to.
        outgoing: The trusted certificates and the proxy.
        clock: Seconds since 1970.
    """

    url: str
    _: KW_ONLY
    name: str
    minimum: Severity
    secret: str | None
    addresses: Addresses
    outgoing: Outgoing = field(default_factory=Outgoing)
    clock: Callable[[], float] = time.time

    def __repr__(self) -> str:
        return f"Webhook({self.name})"

    def send(self, message: Message) -> None:
        """Post the message to the checked addresses, in at most 10 s."""
        addresses = self._addresses()
        body = json.dumps(message.payload, allow_nan=False).encode()
        posted = self.outgoing.request(
            "POST",
            self.url,
            seconds=_TOTAL_SECONDS,
            addresses=addresses,
            content=body,
            headers=self._headers(body, message.key),
        )
        self._check(*asyncio.run(posted))

    def _headers(self, body: bytes, key: str) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        }
        if self.secret is not None:
            headers["X-Signature"] = signature(self.secret, body, int(self.clock()))
        return headers

    def _addresses(self) -> Sequence[str]:
        url = urlsplit(self.url)
        host = url.hostname or ""
        if url.scheme != "https" and not self.addresses.is_allowed(host):
            raise DeliveryFailed(
                "http is refused; https is accepted, http for the hosts of "
                "ALERT_NOTIFY_ALLOWED_HOSTS",
                permanent=True,
            )
        return self.addresses.checked(
            host,
            url.port or (443 if url.scheme == "https" else 80),
            proxied=self.outgoing.proxy_for(self.url) is not None,
        )

    def _check(self, status: int, headers: httpx.Headers) -> None:
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            raise DeliveryFailed(
                f"answered with {status}; redirects are not followed", permanent=True
            )
        raise DeliveryFailed(
            f"answered with {status}",
            permanent=400 <= status < 500 and status not in _RETRIABLE,
            retry_after=retry_after(headers.get("Retry-After"), self.clock()),
        )


def signature(secret: str, body: bytes, at: int) -> str:
    """The `X-Signature` of a body sent `at` seconds since 1970: HMAC-SHA256 over `at.body`."""
    signed = f"{at}.".encode() + body
    return f"t={at},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def retry_after(value: str | None, now: float) -> timedelta | None:
    """The wait of a `Retry-After` header (seconds or a date); None where it is neither."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return timedelta(seconds=int(text))
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(timedelta(0), at - datetime.fromtimestamp(now, UTC))
