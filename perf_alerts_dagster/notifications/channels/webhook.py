"""The JSON webhook: posts a signed message with an idempotency key to a checked address."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.channels.posting import Posting
from perf_alerts_dagster.notifications.delivery import Channel
from perf_alerts_dagster.notifications.messages import Message

_TOTAL_SECONDS = 10.0


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
        posting = Posting(
            url=self.url, addresses=self.addresses, outgoing=self.outgoing, clock=self.clock
        )
        addresses = posting.checked()
        body = json.dumps(message.payload, allow_nan=False).encode()
        headers = {"Idempotency-Key": message.key}
        if self.secret is not None:
            headers["X-Signature"] = signature(self.secret, body, int(self.clock()))
        asyncio.run(
            posting.post(body, addresses=addresses, seconds=_TOTAL_SECONDS, headers=headers)
        )


def signature(secret: str, body: bytes, at: int) -> str:
    """The `X-Signature` of a body sent `at` seconds since 1970: HMAC-SHA256 over `at.body`."""
    signed = f"{at}.".encode() + body
    return f"t={at},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"
