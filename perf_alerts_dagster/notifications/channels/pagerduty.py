"""PagerDuty's Events API v2, which other intakes of pages speak too: one page per event."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from time import monotonic
from typing import ClassVar

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.channels.page import page_action, page_key, test_key
from perf_alerts_dagster.notifications.channels.posting import Posting
from perf_alerts_dagster.notifications.delivery import Channel, DeliveryFailed
from perf_alerts_dagster.notifications.messages import Message, MessageEvent

_TOTAL_SECONDS = 10.0
# Of the events of one message; a bad day has many, and the time for all is bounded.
_AT_ONCE = 16
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
    # By message: the requests that were accepted before another one was not.
    _accepted: dict[str, set[str]] = field(default_factory=dict, init=False)

    def __repr__(self) -> str:
        return f"PagerDuty({self.name})"

    def send(self, message: Message) -> None:
        """Send one request per event of the message, in at most 10 s in all.

        A later attempt leaves out what was accepted, as far as this process knows.
        """
        accepted = self._accepted.setdefault(message.key, set())
        requests = {"": list(_test(message))} if message.kind == "test" else {}
        for event in message.events:
            action = page_action(event, message)
            # What was triggered may have ended since, by a recovery that was folded in.
            if action and (request := f"{action} {event.id}") not in accepted:
                more = self._page(event, message) if action == "trigger" else {}
                key = page_key(event, message)
                requests[request] = [{"event_action": action, "dedup_key": key, **more}]
        self._finish(message.key, asyncio.run(self._send(requests, accepted)) if requests else [])

    def _finish(self, key: str, failed: list[DeliveryFailed]) -> None:
        error = _joined(failed)
        if error is None or error.permanent:
            del self._accepted[key]
        if error is not None:
            raise error

    async def _send(
        self, requests: Mapping[str, list[dict[str, Json]]], accepted: set[str]
    ) -> list[DeliveryFailed]:
        """Send what belongs together one after the other, and several events at once."""
        posting = Posting(
            url=self.url, addresses=self.addresses, outgoing=self.outgoing, clock=self.clock
        )
        addresses, end = posting.checked(), monotonic() + _TOTAL_SECONDS
        free = asyncio.Semaphore(_AT_ONCE)

        async def send(request: str, listed: list[dict[str, Json]]) -> DeliveryFailed | None:
            async with free:
                try:
                    for each in listed:
                        body = json.dumps({"routing_key": self.routing_key, **each}).encode()
                        seconds = max(0.0, end - monotonic())
                        await posting.post(body, addresses=addresses, seconds=seconds, headers={})
                except DeliveryFailed as error:
                    return error
            accepted.add(request)
            return None

        results = await asyncio.gather(*(send(*each) for each in requests.items()))
        return [each for each in results if each is not None]

    def _page(self, event: MessageEvent, message: Message) -> dict[str, Json]:
        payload: dict[str, Json] = {
            "summary": event.title[:_MAXIMUM_SUMMARY],
            "source": event.leader or "perf-alerts",
            "severity": _SEVERITIES[Severity(event.severity)],
            **self.fields,
            "custom_details": {
                **self.details,
                "message": (event.text or message.text)[:_MAXIMUM_TEXT],
            },
        }
        links: list[Json] = [{"href": event.link, "text": "Answer"}] if event.link else []
        return {"client": "perf-alerts", "payload": payload, "links": links}


def _test(message: Message) -> Iterator[dict[str, Json]]:
    """A page that is resolved at once, so that nobody keeps it open."""
    key = test_key(message)
    payload: dict[str, Json] = {
        "summary": message.subject[:_MAXIMUM_SUMMARY],
        "source": "perf-alerts",
        "severity": "info",
        "custom_details": {"message": message.text},
    }
    yield {"event_action": "trigger", "dedup_key": key, "payload": payload}
    yield {"event_action": "resolve", "dedup_key": key}


def _joined(failed: list[DeliveryFailed]) -> DeliveryFailed | None:
    """The failure of a message of several events, of which a later attempt may succeed for some.

    It is sent again as a whole: PagerDuty drops what it has by its key.
    """
    if not failed:
        return None
    worst = min(failed, key=lambda each: each.permanent)
    waits = [each.retry_after for each in failed if each.retry_after is not None]
    text = str(worst)
    if worst.permanent and text.startswith("answered with 4"):
        text += ": is the routing key that of an Events API v2 integration?"
    wait: timedelta | None = max(waits, default=None)
    return DeliveryFailed(text, permanent=worst.permanent, retry_after=wait)
