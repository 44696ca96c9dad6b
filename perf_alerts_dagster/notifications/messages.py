"""Turns outbox rows into messages: the text for people and the payload for programs."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.notification import MessageKind, Notification
from perf_alerts_dagster.notifications import text as wording

# The others are only counted, and found behind the link: a phone shows no longer text.
SHOWN = 20
# The same for programs, so that no receiver refuses a message for its size.
LISTED = 200
_MAXIMUM_SUBJECT = 150
# A digest's lists and what their counts are called.
_DIGEST_LISTS = (
    ("incidents", "open"),
    ("weak", "weak breaches"),
    ("unmeasured", "not judged for want of data"),
)

Payload = Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a channel sends. `key` is the same at every attempt, so that receivers can deduplicate.

    `subject` is one line. `payload` is what programs get, JSON-ready; it includes the text.
    """

    key: str
    kind: str
    subject: str
    text: str
    payload: Payload


class UnreadableNotification(Exception):
    """A row of the outbox does not hold a message; no retry can fix that."""


def message_of(row: Notification, *, public_url: str | None) -> Message:
    """The message of a row.

    Args:
        row: A row that `incidents.notification` made.
        public_url: The address of the pages; None leaves links out.

    Raises:
        UnreadableNotification: the payload is damaged.
    """
    try:
        if row.kind is MessageKind.DIGEST:
            return _digest(row, public_url)
        incidents = row.payload["incidents"]
        alert, at = row.payload["alert"], row.payload["at"]
        if not isinstance(incidents, list) or not incidents:
            raise UnreadableNotification("the row has no incident")
        resolved = {one.incident_id for one in row.items if one.is_resolved}
        listed = [
            {**one, "over": one.get("over") or one["id"] in resolved}
            for one in incidents
            if isinstance(one, dict)
        ]
        text = _text(listed, public_url)
        subject = wording.cut(_subject(listed), _MAXIMUM_SUBJECT)
        linked: list[Json] = [_linked(one, public_url) for one in listed[:LISTED]]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableNotification(
            f"the row's payload cannot be read: {type(error).__name__}"
        ) from error
    return Message(
        key=row.key,
        kind=row.kind.value,
        subject=subject,
        text=text,
        payload={
            "key": row.key,
            "kind": row.kind.value,
            "alert": alert,
            "at": at,
            "subject": subject,
            "text": text,
            "total": len(listed),
            "incidents": linked,
        },
    )


def test_message(now: datetime, *, public_url: str | None) -> Message:
    """A message that says that it is only a test."""
    subject = "[TEST] perf-alerts can reach you"
    text = (
        "This is a test of perf-alerts' notifications, sent because somebody asked for it. "
        "Nothing has happened to any strategy."
    )
    if public_url:
        text += f"\n{public_url}"
    key = f"test-{now.isoformat()}"
    return Message(
        key=key,
        kind="test",
        subject=subject,
        text=text,
        payload={
            "key": key,
            "kind": "test",
            "test": True,
            "at": now.isoformat(),
            "subject": subject,
            "text": text,
            "incidents": [],
        },
    )


def _subject(incidents: Sequence[Payload]) -> str:
    worst = incidents[0]
    if len(incidents) == 1:
        headline = f"{wording.badge(worst)} {wording.headline(worst)}"
        if not worst["strategy"] or worst["reason"] == "recovered":
            return headline
        # With the rule's sentence: a pager and a locked phone show only the subject.
        return f"{headline}: {wording.sentence(worst)}"
    unrecovered = [one for one in incidents if one["reason"] != "recovered"]
    counts = _by_severity(unrecovered)
    recovered = len(incidents) - len(unrecovered)
    if recovered:
        counts.append(f"{recovered} recovered")
    return f"{wording.badge(worst)} {', '.join(counts)}; first {wording.headline(worst)}"


def _by_severity(incidents: Sequence[Payload]) -> list[str]:
    """How many incidents there are of each severity, the highest first."""
    counts = Counter(Severity(str(one["severity"])) for one in incidents)
    return [f"{counts[one]} {one.value}" for one in sorted(counts, key=lambda one: -one.rank)]


def _text(incidents: Sequence[Payload], public_url: str | None) -> str:
    known = {one["id"] for one in incidents}
    groups = {one["id"]: [one] for one in incidents if one["parent"] not in known}
    for one in incidents:
        if one["parent"] in known and one["parent"] in groups:
            groups[one["parent"]].append(one)
    ordered = [one for group in groups.values() for one in group]
    blocks = [
        wording.block(one, public_url=public_url, indented=one["id"] not in groups)
        for one in ordered[:SHOWN]
    ]
    rest = len(ordered) - SHOWN
    if rest > 0:
        where = f": {public_url}/incidents" if public_url else ""
        blocks.append(f"and {rest} more{where}")
    return "\n\n".join(blocks)


def _linked(one: Payload, public_url: str | None) -> dict[str, Json]:
    # A deep copy: a channel may change it.
    copied: dict[str, Json] = json.loads(json.dumps(dict(one)))
    return {**copied, "link": wording.incident_link(one["id"], public_url)}


def _digest(row: Notification, public_url: str | None) -> Message:
    """The digest: what was judged and what is open; sent also when all is well."""
    lists = {name: _list(row.payload, name) for name, _ in _DIGEST_LISTS}
    subject, text = (
        _digest_subject(row.payload, lists),
        _digest_text(row.payload, lists, public_url),
    )
    shortened: dict[str, Json] = {name: [*listed[:LISTED]] for name, listed in lists.items()}
    totals: dict[str, Json] = {name: len(listed) for name, listed in lists.items()}
    return Message(
        key=row.key,
        kind=row.kind.value,
        subject=wording.cut(subject, _MAXIMUM_SUBJECT),
        text=text,
        payload={
            **row.payload,
            **shortened,
            "totals": totals,
            "key": row.key,
            "kind": row.kind.value,
            "subject": subject,
            "text": text,
        },
    )


def _digest_subject(payload: Payload, lists: Mapping[str, Sequence[Payload]]) -> str:
    counts = [f"{len(lists[name])} {label}" for name, label in _DIGEST_LISTS if lists[name]]
    return f"[DIGEST] {payload['as_of']}: {', '.join(counts) or 'all is well'}"


def _digest_text(
    payload: Payload, lists: Mapping[str, Sequence[Payload]], public_url: str | None
) -> str:
    lines = [
        f"{payload['strategies']} strategies and groups were judged for {payload['as_of']}, "
        f"by {payload['evaluations']} evaluations."
    ]
    incidents = lists["incidents"]
    if incidents:
        lines.append("Open: " + ", ".join(_by_severity(incidents)) + ".")
        lines += _bullets([f"{wording.badge(one)} {wording.headline(one)}" for one in incidents])
    else:
        lines.append("No incident is open.")
    for name, label in _DIGEST_LISTS[1:]:
        if lists[name]:
            lines.append(f"{len(lists[name])} {label}:")
            lines += _bullets(
                [
                    f"{wording.clean(one['strategy'])}: {wording.clean(one['rule'])}"
                    for one in lists[name]
                ]
            )
    if public_url:
        lines.append(f"{public_url}/incidents")
    return "\n".join(lines)


def _list(payload: Payload, name: str) -> list[dict[str, Json]]:
    listed = payload[name]
    if not isinstance(listed, list):
        raise TypeError(f"{name} is no list")
    return [one for one in listed if isinstance(one, dict)]


def _bullets(entries: Sequence[str]) -> list[str]:
    rest = len(entries) - SHOWN
    return [f"- {one}" for one in entries[:SHOWN]] + ([f"- and {rest} more"] if rest > 0 else [])
