"""The JSON webhook: posts a signed message with an idempotency key to a checked address."""

import asyncio
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.delivery import Channel, DeliveryFailed
from perf_alerts_dagster.notifications.messages import Message

_CONNECT_SECONDS = 5.0
_TOTAL_SECONDS = 10.0
_UNSENT = (httpx.HTTPError, httpx.InvalidURL, OSError)
_MAXIMUM_ANSWER = 64 * 1024
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
        trusted: The trusted certificates; the system's where None.
        clock: Seconds since 1970.
    """

    url: str
    _: KW_ONLY
    name: str
    minimum: Severity
    secret: str | None
    addresses: Addresses
    trusted: ssl.SSLContext | None = None
    clock: Callable[[], float] = time.time

    def __repr__(self) -> str:
        return f"Webhook({self.name})"

    def send(self, message: Message) -> None:
        """Post the message to the checked address, in at most 10 s."""
        address = self._address()
        body = json.dumps(message.payload, allow_nan=False).encode()
        try:
            status, headers = asyncio.run(self._post(address, body, message.key))
        # Python 3.11 loses its trace of this function inside `asyncio.run`; tests hold each line.
        except (TimeoutError, httpx.TimeoutException) as error:  # pragma: no cover - lost trace
            raise DeliveryFailed(f"no answer within {_TOTAL_SECONDS:g} s") from error
        except _UNSENT as error:  # pragma: no cover - lost trace
            # The error's text may contain the URL.
            raise DeliveryFailed(f"the request failed: {type(error).__name__}") from error
        self._check(status, headers)  # pragma: no cover - lost trace

    async def _post(self, address: str, body: bytes, key: str) -> tuple[int, httpx.Headers]:
        split = urlsplit(self.url)
        host = split.hostname or ""
        host_part = f"[{address}]" if ":" in address else address
        url = httpx.URL(split.geturl()).copy_with(host=host_part)
        async with (
            # httpx has no limit for the whole request; a receiver may answer byte by byte.
            asyncio.timeout(_TOTAL_SECONDS),
            httpx.AsyncClient(
                timeout=httpx.Timeout(_TOTAL_SECONDS, connect=_CONNECT_SECONDS),
                trust_env=False,
                follow_redirects=False,
                verify=True if self.trusted is None else self.trusted,
            ) as client,
            client.stream(
                "POST",
                url,
                content=body,
                headers={"Host": split.netloc, **self._headers(body, key)},
                extensions={"sni_hostname": host},
            ) as answer,
        ):
            size = 0
            async for chunk in answer.aiter_raw():
                size += len(chunk)
                if size > _MAXIMUM_ANSWER:
                    break
            return answer.status_code, answer.headers

    def _headers(self, body: bytes, key: str) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "perf-alerts",
            "Idempotency-Key": key,
        }
        if self.secret is not None:
            headers["X-Signature"] = signature(self.secret, body, int(self.clock()))
        return headers

    def _address(self) -> str:
        url = urlsplit(self.url)
        host = url.hostname or ""
        if url.scheme != "https" and not self.addresses.is_allowed(host):
            raise DeliveryFailed(
                "http is refused; https is accepted, http for the hosts of "
                "ALERT_NOTIFY_ALLOWED_HOSTS",
                permanent=True,
            )
        return self.addresses.checked_address(
            host, url.port or (443 if url.scheme == "https" else 80)
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
