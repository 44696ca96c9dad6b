"""PagerDuty's Events API v2, which other intakes of pages speak too: one page per event."""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from time import monotonic
from typing import ClassVar

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Reason, Status
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.channels.posting import Posting
from perf_alerts_dagster.notifications.delivery import Channel, DeliveryFailed
from perf_alerts_dagster.notifications.messages import Message, MessageEvent

_TOTAL_SECONDS = 10.0
# Of the events of one message; a bad day has many, and the time for all is bounded.
_AT_ONCE = 8
_MAXIMUM_SUMMARY = 1024
# An event may have 512 kB.
_MAXIMUM_TEXT = 20_000
_SEVERITIES = {
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.CRITICAL: "critical",
    Severity.EMERGENCY: "critical",
}


@dataclass(eq=False, repr=False)
class PagerDuty(Channel):
    """Triggers, acknowledges and resolves one page per event, under the event's id.

    It is notified of people's answers too. Pages are for events: it gets no digest.

    Args:
        url: The intake: an `https` URL; `http` only to hosts that `addresses` allows.
        name: The channel's name, which shows no secret.
        minimum: The lowest severity of its messages.
        routing_key: The key of the integration, a secret.
        fields: Further fields of a page: `component`, `group`, `class`.
        details: Further entries of a page's custom details.
        addresses: Which hosts may be connected to.
        outgoing: The trusted certificates and the proxy.
        clock: Seconds since 1970.
    """

    takes_answers: ClassVar[bool] = True

    url: str
    _: KW_ONLY
    name: str
    minimum: Severity
    routing_key: str
    fields: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    addresses: Addresses
    outgoing: Outgoing = field(default_factory=Outgoing)
    clock: Callable[[], float] = time.time

    def __repr__(self) -> str:
        return f"PagerDuty({self.name})"

    def send(self, message: Message) -> None:
        """Send one request per event of the message, in at most 10 s in all."""
        requests = [list(_test(message))] if message.kind == "test" else []
        for event in message.events:
            action = _action(event, message)
            if action == "trigger":
                requests.append([self._trigger(event, message)])
            elif action:
                requests.append([{"event_action": action, "dedup_key": event.id}])
        if requests:
            posting = Posting(
                url=self.url, addresses=self.addresses, outgoing=self.outgoing, clock=self.clock
            )
            asyncio.run(self._send(posting, requests))

    async def _send(self, posting: Posting, requests: list[list[dict[str, Json]]]) -> None:
        """Send each list of requests one after the other, several lists at once."""
        addresses, end = posting.checked(), monotonic() + _TOTAL_SECONDS
        free = asyncio.Semaphore(_AT_ONCE)

        async def send(listed: list[dict[str, Json]]) -> DeliveryFailed | None:
            async with free:
                try:
                    for each in listed:
                        body = json.dumps({"routing_key": self.routing_key, **each}).encode()
                        seconds = max(0.0, end - monotonic())
                        await posting.post(body, addresses=addresses, seconds=seconds, headers={})
                except DeliveryFailed as error:
                    return error
            return None

        failed = [each for each in await asyncio.gather(*map(send, requests)) if each]
        if failed:
            raise _joined(failed)

    def _trigger(self, event: MessageEvent, message: Message) -> dict[str, Json]:
        payload: dict[str, Json] = {
            "summary": event.title[:_MAXIMUM_SUMMARY],
            "source": event.leader or "perf-alerts",
            "severity": _SEVERITIES[Severity(event.severity)],
            **self.fields,
            "custom_details": {**self.details, "message": message.text[:_MAXIMUM_TEXT]},
        }
        links: list[Json] = [{"href": event.link, "text": "Answer"}] if event.link else []
        return {
            "event_action": "trigger",
            "dedup_key": event.id,
            "client": "perf-alerts",
            "payload": payload,
            "links": links,
        }


def _action(event: MessageEvent, message: Message) -> str | None:
    """What the page of an event needs; None where it stays as it is."""
    if event.status == Status.RESOLVED:
        return "resolve"
    if event.status == Status.ACKNOWLEDGED:
        return "acknowledge"
    is_worse = any(Reason(reason).is_worsening for reason in event.reasons)
    # What ended while the message waited calls nobody; its end follows in a message of its own.
    return "trigger" if is_worse and not _is_over(event, message) else None


def _is_over(event: MessageEvent, message: Message) -> bool:
    incidents = message.payload.get("incidents")
    listed = incidents if isinstance(incidents, list) else []
    over = {each["id"] for each in listed if isinstance(each, dict) and each.get("over")}
    return over.issuperset(event.incident_ids)


def _test(message: Message) -> Iterator[dict[str, Json]]:
    """A page that is resolved at once, so that nobody keeps it open."""
    key = hashlib.sha256(message.key.encode()).hexdigest()[:24]
    payload: dict[str, Json] = {
        "summary": message.subject[:_MAXIMUM_SUMMARY],
        "source": "perf-alerts",
        "severity": "info",
        "custom_details": {"message": message.text},
    }
    yield {"event_action": "trigger", "dedup_key": key, "payload": payload}
    yield {"event_action": "resolve", "dedup_key": key}


def _joined(failed: list[DeliveryFailed]) -> DeliveryFailed:
    """The failure of a message of several events, of which a later attempt may succeed for some.

    It is sent again as a whole: PagerDuty drops what it has by its key.
    """
    worst = min(failed, key=lambda each: each.permanent)
    waits = [each.retry_after for each in failed if each.retry_after is not None]
    text = str(worst)
    if worst.permanent and text.startswith("answered with 4"):
        text += ": is the routing key that of an Events API v2 integration?"
    wait: timedelta | None = max(waits, default=None)
    return DeliveryFailed(text, permanent=worst.permanent, retry_after=wait)
