"""Outbox rows as messages for people: what happened, how sure it is, and where to look."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.notification import MessageKind, Notification
from perf_alerts_dagster.notifications import digest
from perf_alerts_dagster.notifications import text as wording

# More are counted, and found behind the link: a phone shows no longer text.
SHOWN = 20
# A program is told as many; the day on which everything breaks must not be the one on which a
# receiver finds the message too large.
LISTED = 200
_SUBJECT = 150

Shown = Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a channel sends. `key` is the same at every attempt: receivers drop what they have.

    `subject` is one line. `payload` is what a program gets instead of the text, JSON-ready.
    """

    key: str
    kind: str
    subject: str
    text: str
    payload: Mapping[str, Json]


class UnreadableNotification(Exception):
    """A row of the outbox holds no message; no later try mends it."""


def message_of(row: Notification, *, public_url: str | None) -> Message:
    """The message of a row.

    Args:
        row: A row whose payload `domain.incidents.outbox.row` has made.
        public_url: Where people find the pages; None leaves links out.

    Raises:
        Unreadable: the payload is none of ours.
    """
    try:
        if row.kind is MessageKind.DIGEST:
            return _digest(row, public_url)
        incidents = row.payload["incidents"]
        alert, at = row.payload["alert"], row.payload["at"]
        if not isinstance(incidents, list) or not incidents:
            raise UnreadableNotification("the row tells of no incident")
        over = {one.incident_id for one in row.items if one.over}
        lines = [
            {**one, "over": one.get("over") or one["id"] in over}
            for one in incidents
            if isinstance(one, dict)
        ]
        text = _text(lines, public_url)
        subject = _subject(lines)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableNotification(
            f"the row's payload cannot be read: {type(error).__name__}"
        ) from error
    return Message(
        key=row.key,
        kind=row.kind.value,
        subject=wording.cut(subject, _SUBJECT),
        text=text,
        payload={
            "key": row.key,
            "kind": row.kind.value,
            "alert": alert,
            "at": at,
            "subject": wording.cut(subject, _SUBJECT),
            "text": text,
            "total": len(lines),
            "incidents": [_linked(one, public_url) for one in lines[:LISTED]],
        },
    )


def _digest(row: Notification, public_url: str | None) -> Message:
    subject, text = digest.subject(row.payload), digest.text(row.payload, public_url)
    return Message(
        key=row.key,
        kind=row.kind.value,
        subject=wording.cut(subject, _SUBJECT),
        text=text,
        payload={
            **digest.listed(row.payload, LISTED),
            "key": row.key,
            "subject": subject,
            "text": text,
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


def _subject(lines: Sequence[Shown]) -> str:
    worst = lines[0]
    if len(lines) == 1:
        headline = f"{wording.badge(worst)} {wording.headline(worst)}"
        if not worst["strategy"] or worst["reason"] == "recovered":
            return headline
        # By how much: a pager and a locked phone show no more than this.
        return f"{headline}: {wording.sentence(worst)}"
    going_on = [one for one in lines if one["reason"] != "recovered"]
    counts = Counter(Severity(str(one["severity"])) for one in going_on)
    words = [
        f"{counts[severity]} {severity.value}"
        for severity in sorted(counts, key=lambda one: -one.rank)
    ]
    over = len(lines) - len(going_on)
    if over:
        words.append(f"{over} recovered")
    return f"{wording.badge(worst)} {', '.join(words)}; first {wording.headline(worst)}"


def _text(lines: Sequence[Shown], public_url: str | None) -> str:
    known = {one["id"] for one in lines}
    groups = {one["id"]: [one] for one in lines if one["parent"] not in known}
    for one in lines:
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


def _linked(one: Shown, public_url: str | None) -> dict[str, Json]:
    link = wording.link(one, public_url)
    # A copy by JSON: what a channel does to it stays its own.
    copied: dict[str, Json] = json.loads(json.dumps(dict(one)))
    return {**copied, "link": link}
