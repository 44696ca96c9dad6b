"""The text of a digest: what could not be judged, what is open, and weak signs, worst first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.wording import counted, day_words, first_few, percent
from perf_alerts_dagster.judging.evaluation import HEADLINE
from perf_alerts_dagster.judging.rules.data_quality import STALE_DATA
from perf_alerts_dagster.notifications import text as words
from perf_alerts_dagster.notifications.body import Line
from perf_alerts_dagster.notifications.news import News, news_of
from perf_alerts_dagster.notifications.text import Payload, Wording, clean, number
from perf_alerts_dagster.notifications.titles import is_desk, title_of

_LISTS = ("incidents", "weak", "unmeasured", "partial", "too_little")
# Lists that rows of the version before do not have.
_LATER_LISTS = ("partial", "too_little")
# Lines of a list that are shown.
_SHOWN = 20
_MAXIMUM_LINE = 500
# In place of what there is no room for.
_MORE = "; …"


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """A digest's payload, its lists, and the open events, the worst first."""

    payload: Payload
    lists: Mapping[str, Sequence[dict[str, Json]]]
    news: Sequence[News]

    @property
    def day(self) -> str:
        """The session that it is about, in words."""
        return day_words(self.session, beside=self.session)

    @property
    def session(self) -> date:
        """The session that it is about."""
        return date.fromisoformat(str(self.payload["as_of"]))

    @property
    def judged(self) -> str:
        """How many were judged: `38 of 40`; rows of the version before name all."""
        strategies = self.payload["strategies"]
        return f"{self.payload.get('judged', strategies)} of {strategies}"

    def of_rule(self, *, late: bool) -> list[dict[str, Json]]:
        """The weak signs; with `late`, those that rows are late instead."""
        return [each for each in self.lists["weak"] if (each["rule"] == STALE_DATA.id) is late]


def read(payload: Payload) -> Digest:
    """The digest of a row's payload.

    Raises:
        LookupError, TypeError, ValueError: it is none.
    """
    lists = {name: _list(payload, name) for name in _LISTS}
    at = datetime.fromisoformat(str(payload["at"]))
    # Rows of the version before do not say that some are over.
    listed = [{**each, "over": bool(each.get("over"))} for each in lists["incidents"]]
    return Digest(payload=payload, lists=lists, news=news_of(listed, at=at))


def _list(payload: Payload, name: str) -> list[dict[str, Json]]:
    listed = payload.get(name, []) if name in _LATER_LISTS else payload[name]
    if not isinstance(listed, list):
        raise TypeError(f"{name} is no list")
    return [entry for entry in listed if isinstance(entry, dict)]


def subject_of(digest: Digest, maximum: int) -> str:
    """What could not be judged, and what is open with the worst number, as far as there is room."""
    news, weak, late = digest.news, digest.of_rule(late=False), digest.of_rule(late=True)
    worst = f", worst {words.named(news[0].lead)}" if news else ""
    known = [
        (len(digest.lists["unmeasured"]), "not judged", ""),
        (len(news), "open", worst),
        (len(digest.lists["too_little"]), "with too little data", ""),
        (len(digest.lists["partial"]), "judged in part", ""),
        (len(late), "late", ""),
        (len(weak), "weak", ""),
    ]
    said = [(f"{count} {label}", more) for count, label, more in known if count]
    if not said:
        # Rows of the version before do not say whether all is well: then it is not said.
        is_well = digest.payload.get("all_is_well") is True
        said = [("all is well" if is_well else f"{digest.judged} judged, none open", "")]
    subject = f"[DIGEST] {digest.day}: {'; '.join(text + more for text, more in said)}"
    if len(subject) <= maximum:
        return subject
    room = maximum - len(_MORE) - len(f"[DIGEST] {digest.day}: ")
    return f"[DIGEST] {digest.day}: {_fitting(said, room)}{_MORE}"


def _fitting(said: Sequence[tuple[str, str]], room: int) -> str:
    """The first of the parts that there is room for, in full or else without their additions."""
    shown = ""
    for text, more in said:
        joined = f"{shown}; {text}" if shown else text
        if len(joined) > room:
            break
        shown = joined + more if len(joined + more) <= room else joined
    return shown


def lines_of(digest: Digest, wording: Wording) -> list[Line]:
    """The lines of the digest; what could not be judged comes first."""
    payload, unmeasured = digest.payload, digest.lists["unmeasured"]
    # Said above.
    blind = {clean(each["strategy"]) for each in unmeasured}
    still_open = [
        each
        for each in digest.news
        if not _sent_at(each) and not (each.is_data and each.leader in blind)
    ]
    sections = [
        ("Not judged", _alike(unmeasured)),
        ("Too little data", _alike(digest.lists["too_little"])),
        ("Judged in part", _alike(digest.lists["partial"])),
        ("Late", _alike(digest.of_rule(late=True))),
    ]
    texts = [f"{label}: {'; '.join(known)}." for label, known in sections if known]
    texts.append(
        f"{digest.judged} strategies and groups were judged for {digest.day}, "
        f"by {counted(_count(payload['evaluations']), 'evaluation')}."
    )
    texts += _sent(digest.news, wording.zone)
    if still_open:
        texts.append(f"{counted(len(still_open), 'event')} still open:")
        of_desk = [each for each in digest.lists["incidents"] if is_desk(each)]
        texts += _bullets([_open_line(each, of_desk) for each in still_open])
    elif not digest.news:
        texts.append("No incident is open.")
    weak = _weak(digest)
    if weak:
        texts.append("Weak signs, nearest their limit first:")
        texts += _bullets(weak)
    for name in ("false_alarms", "downtime"):
        if payload.get(name):
            texts.append(clean(payload[name], _MAXIMUM_LINE))
    link = f"{wording.public_url}/incidents" if wording.public_url else None
    return [
        *(Line(text=words.cut_at_word(each, 3 * _MAXIMUM_LINE)) for each in texts),
        Line(link=link),
    ]


def _sent_at(news: News) -> list[datetime]:
    """When the incidents of an event were sent by the same execution."""
    times = (words.time(each.get("sent_at")) for each in news.incidents)
    return [each for each in times if each is not None]


def _sent(news: Sequence[News], zone: tzinfo) -> list[str]:
    """How many events were sent by the same execution, and when; empty where none was."""
    sent = [times for each in news if (times := _sent_at(each))]
    if not sent:
        return []
    at = min(map(min, sent)).astimezone(zone)
    were = "was" if len(sent) == 1 else "were"
    return [f"{counted(len(sent), 'event')} {were} sent at {at:%H:%M %Z}."]


def _open_line(news: News, of_desk: Sequence[Payload]) -> str:
    """An open event in a line: its badge, number, since when, and who answered it."""
    first = min(str(each["first_as_of"] or "") for each in news.incidents)
    since = "" if first == str(news.lead["as_of"]) else words.day(first, beside=news.session)
    by = news.lead["acknowledged_by"]
    said = [
        title_of(news, of_desk),
        f"open since {since}" if since else "",
        f"acknowledged by {clean(by)}" if by else "",
        f"{len(news.incidents)} rules" if len(news.incidents) > 1 else "",
    ]
    return "; ".join(filter(None, said))


def _weak(digest: Digest) -> list[str]:
    """A line of each strategy, with the sign that is nearest to its limit."""
    listed: dict[str, list[Payload]] = {}
    for each in digest.of_rule(late=False):
        listed.setdefault(clean(each["strategy"]), []).append(each)
    lines = []
    for name, signs in listed.items():
        first = signs[0]
        share, level = number(first.get("p_year")), number(first.get("level"))
        known = "" if share is None else f"{percent(share)} of healthy years"
        if share is not None and level:
            known += f", notified at {percent(level)}"
        more = f"; and {len(signs) - 1} more" if len(signs) > 1 else ""
        lines.append(f"{name} {_said(first)}{f' ({known})' if known else ''}{more}")
    return lines


def _alike(entries: Iterable[Payload]) -> list[str]:
    """Entries in words, those that say the same together: a late source is one of them."""
    names: dict[tuple[str, str], list[str]] = {}
    for each in entries:
        # Rows of the version before do not say what it means for groups.
        so = clean(each.get("so") or "", _MAXIMUM_LINE)
        names.setdefault((_said(each), so), []).append(clean(each["strategy"]))
    shown = [
        _together(said, so, each)
        for (said, so), each in sorted(names.items(), key=lambda pair: -len(pair[1]))
    ]
    rest = len(shown) - _SHOWN
    return shown[:_SHOWN] + ([f"and {rest} more"] if rest > 0 else [])


def _together(said: str, so: str, names: Sequence[str]) -> str:
    is_one = len(names) == 1
    text = f"{names[0]} {said}"
    if not is_one:
        text = f"{counted(len(names), 'strategy')} {said}: {first_few(sorted(names))}"
    if so and not is_one and so.endswith(" without it"):
        so = f"{so.removesuffix('it')}them"
    return f"{text}; {so}" if so else text


def _said(entry: Payload) -> str:
    """An entry's number or sentence; else the name of its rule."""
    known = entry.get(HEADLINE) or entry.get("message")
    return clean(known, _MAXIMUM_LINE) if known else words.title(entry)


def _count(value: Json) -> int:
    return int(number(value) or 0)


def _bullets(entries: Sequence[str]) -> list[str]:
    rest = len(entries) - _SHOWN
    return [f"- {entry}" for entry in entries[:_SHOWN]] + (
        [f"- and {rest} more"] if rest > 0 else []
    )
