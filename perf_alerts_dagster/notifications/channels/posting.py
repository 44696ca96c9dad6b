"""Posts JSON to a checked address: what a webhook and a pager's intake have in common."""

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from urllib.parse import urlsplit

from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.delivery import DeliveryFailed

# Retried; any other 4xx means that the request itself is wrong.
_RETRIABLE = (408, 425, 429)


@dataclass(frozen=True, kw_only=True)
class Posting:
    """Posts of one message to one URL, a secret.

    Args:
        url: An `https` URL; `http` only to hosts that `addresses` allows.
        addresses: Which hosts may be connected to.
        outgoing: The trusted certificates and the proxy.
        clock: Seconds since 1970.
    """

    url: str
    addresses: Addresses
    outgoing: Outgoing = field(default_factory=Outgoing)
    clock: Callable[[], float]

    def checked(self) -> Sequence[str]:
        """The addresses to connect to.

        Raises:
            DeliveryFailed: the URL leads where nothing may be sent to.
        """
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

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return self.outgoing.context()

    async def post(
        self, body: bytes, *, addresses: Sequence[str], seconds: float, headers: Mapping[str, str]
    ) -> None:
        """Post JSON to the addresses, in turn until one accepts.

        Raises:
            DeliveryFailed: it was not accepted within `seconds`.
        """
        status, answered = await self.outgoing.request(
            "POST",
            self.url,
            seconds=seconds,
            addresses=addresses,
            content=body,
            headers={"Content-Type": "application/json", **headers},
            context=self._context,
        )
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            raise DeliveryFailed(
                f"answered with {status}; redirects are not followed", permanent=True
            )
        raise DeliveryFailed(
            f"answered with {status}",
            permanent=400 <= status < 500 and status not in _RETRIABLE,
            retry_after=retry_after(answered.get("Retry-After"), self.clock()),
        )


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
