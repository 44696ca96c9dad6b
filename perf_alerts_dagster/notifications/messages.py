"""Turns outbox rows into messages: the text for people and the payload for programs."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.incidents.notification import MessageKind, Notification
from perf_alerts_dagster.notifications import body, digest_text
from perf_alerts_dagster.notifications import text as words
from perf_alerts_dagster.notifications.body import Block, Line
from perf_alerts_dagster.notifications.lines import data_line, do_line, lines_of, short_lines
from perf_alerts_dagster.notifications.news import LISTED as LISTED
from perf_alerts_dagster.notifications.news import News, news_of, with_links
from perf_alerts_dagster.notifications.text import Payload, Wording
from perf_alerts_dagster.notifications.titles import is_desk, title_of

# Further events are only counted, since a phone shows no longer text.
SHOWN = 20
MAXIMUM_SUBJECT = 120
# Events with a picture.
_PICTURED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEvent:
    """One event of a message, as far as the message's channel is notified of it.

    `id` is the event's; that of its incident in rows of the version before. `status` is open,
    acknowledged or resolved, by the incidents that the channel is notified of, and `severity` the
    highest of those that the message is about. `title` is one line with its number. `reasons` are
    those of its incidents, whose ids are `incident_ids`, the worst first. `text` says everything
    about it.
    """

    id: str
    leader: str
    status: str
    severity: str
    title: str
    reasons: tuple[str, ...]
    link: str | None
    incident_ids: tuple[str, ...]
    text: str = ""

    def as_json(self) -> dict[str, Json]:
        """The event in the payload for programs."""
        return {
            "id": self.id,
            "leader": self.leader,
            "status": self.status,
            "severity": self.severity,
            "title": self.title,
            "reasons": [*self.reasons],
            "link": self.link,
            "incidents": [*self.incident_ids],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to a channel; `key` is the same at every attempt, for deduplication.

    `subject` is one line of at most 120 characters. `payload` is for programs, JSON-ready; it
    includes the text. `html` says the same as `text`, with an image of `cid:<incident id>` for each
    of the incidents that are `pictured`; see `html_with`. `events` are the worst first; there are
    none in digests and tests. `is_good_news`: it only says what is over, or answered.
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
        return body.with_pictures(self.html, pictures)


class UnreadableNotification(Exception):
    """A row of the outbox does not hold a message; no retry can fix that."""


def message_of(row: Notification, *, wording: Wording, mark: str = "") -> Message:
    """The message of an outbox row.

    Args:
        row: A row that `incidents.notification` has made.
        wording: Its links and its time zone.
        mark: What the subject and the text begin with.

    Raises:
        UnreadableNotification: the payload is damaged.
    """
    try:
        build = _digest if row.kind is MessageKind.DIGEST else _about_events
        return build(row, wording, mark)
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
    at = now.isoformat()
    payload: Payload = {"test": True, "at": at, "incidents": []}
    blocks = [Block(lines=[Line(text=text), Line(link=public_url)])]
    return _message(f"test-{at}", "test", "[TEST] perf-alerts can reach you", blocks, payload)


def _message(
    key: str,
    kind: str,
    subject: str,
    blocks: Sequence[Block],
    payload: Payload,
    *,
    mark: str = "",
    events: Sequence[MessageEvent] = (),
    is_good_news: bool = False,
) -> Message:
    subject = words.cut_at_word(f"{mark} {subject}".strip(), MAXIMUM_SUBJECT)
    if mark:
        first, *rest = blocks
        blocks = [Block(lines=[Line(text=mark), *first.lines], picture=first.picture), *rest]
    text = body.plain(blocks)
    own = {"key": key, "kind": kind, "subject": subject, "text": text}
    return Message(
        key=key,
        kind=kind,
        subject=subject,
        text=text,
        payload={**payload, **own},
        html=body.html(subject, blocks),
        events=tuple(events),
        is_good_news=is_good_news,
        pictured=tuple(each.picture for each in blocks if each.picture),
    )


def _about_events(row: Notification, wording: Wording, mark: str) -> Message:
    incidents = row.payload["incidents"]
    if not isinstance(incidents, list) or not incidents:
        raise UnreadableNotification("the row has no incident")
    resolved = {item.incident_id for item in row.items if item.is_resolved}
    listed: list[Payload] = [
        {**incident, "over": incident.get("over") or incident["id"] in resolved}
        for incident in incidents
        if isinstance(incident, dict)
    ]
    at = datetime.fromisoformat(str(row.payload["at"]))
    news = with_links(news_of(listed, at=at), wording, row.channel)
    # A bad day has thousands of incidents, of which one or two are the desk's.
    of_desk = [each for each in listed if is_desk(each)]
    titles = [title_of(each, of_desk) for each in news[:LISTED]]
    events = [_event(each, title, wording) for each, title in zip(news, titles, strict=False)]
    ordered = [each for one in news[:LISTED] for each in one.incidents][:LISTED]
    linked: list[Json] = [_linked(each, wording) for each in ordered]
    payload: Payload = {
        "alert": row.payload["alert"],
        "at": row.payload["at"],
        "total": len(listed),
        "incidents": linked,
        "events": [each.as_json() for each in events],
    }
    more = f"; and {len(news) - 1} more" if len(news) > 1 else ""
    # What is cut first says least.
    subject = words.cut_at_word(titles[0], MAXIMUM_SUBJECT - len(more)) + more
    return _message(
        row.key,
        row.kind.value,
        subject,
        _blocks(news, titles, wording),
        payload,
        mark=mark,
        events=events,
        is_good_news=all(each.is_good for each in news),
    )


def _blocks(news: Sequence[News], titles: Sequence[str], wording: Wording) -> list[Block]:
    """The first event whole, the others shortly, and those about late rows a line each."""
    first, *others = news
    said = {do_line(first, wording).text}
    blocks = [_pictured(first, Block(lines=lines_of(first, wording)), titles[0])]
    late: list[Line] = []
    for each, title in list(zip(others, titles[1:], strict=False))[: SHOWN - 1]:
        if each.is_data and not each.is_good:
            late.append(data_line(each))
            continue
        short = Block(lines=short_lines(each, wording, said), heading=title)
        said.add(do_line(each, wording).text)
        blocks.append(_pictured(each, short, title) if len(blocks) < _PICTURED else short)
    if late:
        blocks.append(Block(lines=late))
    if len(news) > SHOWN:
        where = f"{wording.public_url}/incidents" if wording.public_url else None
        more = f"and {len(news) - SHOWN} more"
        blocks.append(Block(lines=[Line(text=f"{more}:" if where else more, link=where)]))
    return blocks


def _pictured(news: News, block: Block, title: str) -> Block:
    if not news.lead["strategy"]:
        return block
    picture = words.clean(news.lead["id"])
    return Block(lines=block.lines, heading=block.heading, picture=picture, picture_words=title)


def _event(news: News, title: str, wording: Wording) -> MessageEvent:
    return MessageEvent(
        id=news.id,
        leader=news.leader,
        status=news.status,
        severity=news.severity.value,
        title=words.cut_at_word(title, MAXIMUM_SUBJECT),
        reasons=news.reasons,
        link=news.link,
        incident_ids=tuple(str(each["id"]) for each in news.incidents),
        text=body.plain([Block(lines=lines_of(news, wording), heading=title)]),
    )


def _linked(incident: Payload, wording: Wording) -> dict[str, Json]:
    # A deep copy: a channel may change it.
    copied: dict[str, Json] = json.loads(json.dumps(dict(incident)))
    return {**copied, "link": words.incident_link(incident["id"], wording.public_url)}


def _digest(row: Notification, wording: Wording, mark: str) -> Message:
    """The digest: what was judged, what is open, and weak signs; sent also without breaches."""
    digest = digest_text.read(row.payload)
    lists: dict[str, Json] = {name: [*listed[:LISTED]] for name, listed in digest.lists.items()}
    totals: dict[str, Json] = {name: len(listed) for name, listed in digest.lists.items()}
    payload = {**row.payload, **lists, "totals": totals}
    room = MAXIMUM_SUBJECT - len(f"{mark} " if mark else "")
    subject, lines = digest_text.subject_of(digest, room), digest_text.lines_of(digest, wording)
    return _message(row.key, row.kind.value, subject, [Block(lines=lines)], payload, mark=mark)
