"""The page of an event, for services that wake somebody: its key, and what becomes of it."""

import hashlib

from perf_alerts_dagster.incidents.model import Reason, Status
from perf_alerts_dagster.notifications.messages import Message, MessageEvent


def page_action(event: MessageEvent, message: Message) -> str | None:
    """What the page of an event needs; None where it stays as it is."""
    if event.status == Status.RESOLVED:
        return "resolve"
    if event.status == Status.ACKNOWLEDGED:
        return "acknowledge"
    is_worse = any(Reason(reason).is_worsening for reason in event.reasons)
    # What ended while the message waited calls nobody; its end follows in a message of its own.
    return "trigger" if is_worse and not _is_over(event, message) else None


def page_key(event: MessageEvent, message: Message) -> str:
    """The key of an event's page.

    What is sent past the store has no stored event: several processes page for it once.
    """
    if not message.payload.get("direct"):
        return event.id
    return _digest(f"{message.key}\0{event.leader}")


def _is_over(event: MessageEvent, message: Message) -> bool:
    incidents = message.payload.get("incidents")
    listed = incidents if isinstance(incidents, list) else []
    over = {each["id"] for each in listed if isinstance(each, dict) and each.get("over")}
    return bool(event.incident_ids) and over.issuperset(event.incident_ids)


def test_key(message: Message) -> str:
    """The key of the page of a test."""
    return _digest(message.key)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
