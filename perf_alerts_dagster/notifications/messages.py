"""Turns outbox rows into messages: the text for people and the payload for programs."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.notification import MessageKind, Notification
from perf_alerts_dagster.notifications import text as wording
from perf_alerts_dagster.notifications.text import Payload

# Further incidents are only counted, since a phone shows no longer text; the link lists them.
SHOWN = 20
# The same for programs, so that no receiver refuses a message for its size.
LISTED = 200
_MAXIMUM_SUBJECT = 150
_MAXIMUM_LINE = 500
# A digest's lists and what their counts are called.
_DIGEST_LISTS = (
    ("incidents", "open"),
    ("weak", "weak breaches"),
    ("unmeasured", "not judged for want of data"),
    ("partial", "judged in part"),
    ("too_little", "with too little data"),
)
# Lists that rows of the version before do not have.
_LATER_LISTS = ("partial", "too_little")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEvent:
    """One event of a message, as far as the message's channel is notified of it.

    `status` is open, acknowledged or resolved; `title` is one line with its number. `reasons` are
    those of its incidents, whose ids are `incident_ids`.
    """

    id: str
    leader: str
    status: str
    severity: str
    title: str
    reasons: tuple[str, ...]
    link: str | None
    incident_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to a channel; `key` is the same at every attempt, for deduplication.

    `subject` is one line. `payload` is for programs, JSON-ready; it includes the text. `html` says
    the same as `text`, with an image of `cid:<incident id>` for each of the incidents that are
    `pictured`, a line each; see `html_with`.
    """

    key: str
    kind: str
    subject: str
    text: str
    payload: Payload
    html: str = ""
    events: tuple[MessageEvent, ...] = ()
    is_good_news: bool = False
    pictured: tuple[str, ...] = ()

    def html_with(self, pictures: Collection[str]) -> str:
        """The HTML with those of its images only that are given, by their incidents' ids."""
        known = tuple(f'<p><img src="cid:{each}"' for each in pictures)
        lines = self.html.split("\n")
        return "\n".join(line for line in lines if "<img " not in line or line.startswith(known))


class UnreadableNotification(Exception):
    """A row of the outbox does not hold a message; no retry can fix that."""


def message_of(row: Notification, *, public_url: str | None) -> Message:
    """The message of an outbox row.

    Args:
        row: A row that `incidents.notification` has made.
        public_url: The address of the pages; None leaves links out.

    Raises:
        UnreadableNotification: the payload is damaged.
    """
    try:
        build = _digest if row.kind is MessageKind.DIGEST else _about_incidents
        return build(row, public_url)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableNotification(
            f"the row's payload cannot be read: {type(error).__name__}"
        ) from error


def test_message(now: datetime, *, public_url: str | None) -> Message:
    """The message of `test-channel`, which says that it is only a test."""
    text = (
        "This is a test of perf-alerts' notifications, sent because somebody asked for it. "
        "Nothing has happened to any strategy."
    )
    if public_url:
        text += f"\n{public_url}"
    at = now.isoformat()
    payload: Payload = {"test": True, "at": at, "incidents": []}
    return _message(f"test-{at}", "test", "[TEST] perf-alerts can reach you", text, payload)


def _message(key: str, kind: str, subject: str, text: str, payload: Payload) -> Message:
    subject = wording.cut(subject, _MAXIMUM_SUBJECT)
    own = {"key": key, "kind": kind, "subject": subject, "text": text}
    return Message(key=key, kind=kind, subject=subject, text=text, payload={**payload, **own})


def _about_incidents(row: Notification, public_url: str | None) -> Message:
    incidents = row.payload["incidents"]
    if not isinstance(incidents, list) or not incidents:
        raise UnreadableNotification("the row has no incident")
    resolved = {item.incident_id for item in row.items if item.is_resolved}
    listed = [
        {**incident, "over": incident.get("over") or incident["id"] in resolved}
        for incident in incidents
        if isinstance(incident, dict)
    ]
    linked: list[Json] = [_linked(incident, public_url) for incident in listed[:LISTED]]
    payload = {
        "alert": row.payload["alert"],
        "at": row.payload["at"],
        "total": len(listed),
        "incidents": linked,
    }
    text = _text(listed, public_url)
    return _message(row.key, row.kind.value, _subject(listed), text, payload)


def _subject(incidents: Sequence[Payload]) -> str:
    worst = incidents[0]
    if len(incidents) == 1:
        headline = f"{wording.badge(worst)} {wording.headline(worst)}"
        if not worst["strategy"] or worst["reason"] == "recovered":
            return headline
        # With the rule's sentence: a pager and a locked phone show only the subject.
        return f"{headline}: {wording.sentence(worst)}"
    unrecovered = [each for each in incidents if each["reason"] != "recovered"]
    counts = _by_severity(unrecovered)
    recovered = len(incidents) - len(unrecovered)
    if recovered:
        counts.append(f"{recovered} recovered")
    return f"{wording.badge(worst)} {', '.join(counts)}; first {wording.headline(worst)}"


def _by_severity(incidents: Sequence[Payload]) -> list[str]:
    """The number of incidents by severity in words, the highest first."""
    counts = Counter(Severity(str(incident["severity"])) for incident in incidents)
    worst_first = sorted(counts, key=lambda severity: -severity.rank)
    return [f"{counts[severity]} {severity.value}" for severity in worst_first]


def _text(incidents: Sequence[Payload], public_url: str | None) -> str:
    # A group's members follow it, indented.
    ids = {incident["id"] for incident in incidents}
    groups = {each["id"]: [each] for each in incidents if each["parent"] not in ids}
    for incident in incidents:
        if incident["parent"] in groups:
            groups[incident["parent"]].append(incident)
    ordered = [incident for group in groups.values() for incident in group]
    blocks = [
        wording.block(each, public_url=public_url, indented=each["id"] not in groups)
        for each in ordered[:SHOWN]
    ]
    rest = len(ordered) - SHOWN
    if rest > 0:
        where = f": {public_url}/incidents" if public_url else ""
        blocks.append(f"and {rest} more{where}")
    return "\n\n".join(blocks)


def _linked(incident: Payload, public_url: str | None) -> dict[str, Json]:
    # A deep copy: a channel may change it.
    copied: dict[str, Json] = json.loads(json.dumps(dict(incident)))
    return {**copied, "link": wording.incident_link(incident["id"], public_url)}


def _digest(row: Notification, public_url: str | None) -> Message:
    """The digest: judged strategies and open incidents; sent also without breaches.

    Rows that the version before has stored do not say whether all is well: then it is not said.
    """
    lists = {name: _list(row.payload, name) for name, _ in _DIGEST_LISTS}
    counts = [f"{len(lists[name])} {label}" for name, label in _DIGEST_LISTS if lists[name]]
    if not counts:
        is_well = row.payload.get("all_is_well") is True
        counts = ["all is well" if is_well else f"{_judged(row.payload)} judged, none open"]
    subject = f"[DIGEST] {row.payload['as_of']}: {', '.join(counts)}"
    text = _digest_text(row.payload, lists, public_url)
    shortened: dict[str, Json] = {name: [*listed[:LISTED]] for name, listed in lists.items()}
    totals: dict[str, Json] = {name: len(listed) for name, listed in lists.items()}
    payload = {**row.payload, **shortened, "totals": totals}
    return _message(row.key, row.kind.value, subject, text, payload)


def _digest_text(
    payload: Payload, lists: Mapping[str, Sequence[Payload]], public_url: str | None
) -> str:
    lines = [
        f"{_judged(payload)} strategies and groups were judged for {payload['as_of']}, "
        f"by {payload['evaluations']} evaluations."
    ]
    incidents = lists["incidents"]
    if incidents:
        lines.append("Open: " + ", ".join(_by_severity(incidents)) + ".")
        lines += _bullets([f"{wording.badge(each)} {wording.headline(each)}" for each in incidents])
    else:
        lines.append("No incident is open.")
    for name, label in _DIGEST_LISTS[1:]:
        if lists[name]:
            lines.append(f"{len(lists[name])} {label}:")
            lines += _bullets(
                [f"{wording.clean(each['strategy'])}: {_named(each)}" for each in lists[name]]
            )
    for name in ("false_alarms", "downtime"):
        if payload.get(name):
            lines.append(wording.clean(payload[name], _MAXIMUM_LINE))
    if public_url:
        lines.append(f"{public_url}/incidents")
    return "\n".join(lines)


def _judged(payload: Payload) -> str:
    return f"{payload.get('judged', payload['strategies'])} of {payload['strategies']}"


def _named(entry: Payload) -> str:
    """An entry's sentence, or the name of its rule."""
    return wording.sentence(entry) if "message" in entry else wording.clean(entry["rule"])


def _list(payload: Payload, name: str) -> list[dict[str, Json]]:
    listed = payload.get(name, []) if name in _LATER_LISTS else payload[name]
    if not isinstance(listed, list):
        raise TypeError(f"{name} is no list")
    return [entry for entry in listed if isinstance(entry, dict)]


def _bullets(entries: Sequence[str]) -> list[str]:
    rest = len(entries) - SHOWN
    return [f"- {entry}" for entry in entries[:SHOWN]] + (
        [f"- and {rest} more"] if rest > 0 else []
    )
