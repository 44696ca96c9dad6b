"""The titles of events: what a locked phone shows, with the strategy and its number."""

from collections.abc import Iterable
from datetime import timedelta

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.wording import duration, percent
from perf_alerts_dagster.incidents.model import Reason, Status
from perf_alerts_dagster.judging.rule import Unit
from perf_alerts_dagster.notifications import text as words
from perf_alerts_dagster.notifications.fields import VERDICTS
from perf_alerts_dagster.notifications.news import News, is_day
from perf_alerts_dagster.notifications.text import Payload, clean, number
from perf_alerts_dagster.records.groups import ALL

# With the longest headline, a subject has room for so much of a name.
_MAXIMUM_NAME = 40
_REASONS = {
    "opened": "",
    "raised": "now worse: ",
    "reopened": "open again: ",
    "repeated": "still open: ",
    "escalated": "not answered: ",
    "unmuted": "its silence has ended: ",
}
# What burned for less did not burn.
_SHORTEST = timedelta(minutes=1)
# What was counted says nothing once it is over.
_COUNTED = frozenset({Unit.SESSION, Unit.TRADE, Unit.STRATEGY})


def title_of(news: News, of_desk: Iterable[Payload] = ()) -> str:
    """The event in a line, with its badge and, after a loss, what the desk made of the day.

    Args:
        news: The event.
        of_desk: The message's incidents of the whole desk, which may be in another event.
    """
    lead = news.lead
    if news.is_good:
        return _end(news)
    reason = _REASONS[str(lead["reason"])]
    if lead["reason"] == Reason.ESCALATED:
        reason = _unanswered(news)
    if news.is_over:
        reason = "resolved by now: "
    desk = _desk(news, of_desk)
    name = words.named(lead, _MAXIMUM_NAME)
    if news.headline:
        name = f"{clean(news.leader, _MAXIMUM_NAME)} {news.headline}"
    return f"[{news.severity.value.upper()}] {reason}{name}{f'; {desk}' if desk else ''}"


def _unanswered(news: News) -> str:
    times = [words.time(each.get("critical_since")) for each in news.burning]
    since = min((each for each in times if each is not None), default=news.at)
    if since >= news.at:
        return _REASONS["escalated"]
    return f"not answered for {duration(news.at - since)}: "


def is_desk(incident: Payload) -> bool:
    """Whether it is about all strategies, or all of one currency."""
    return clean(incident["strategy"]).partition(":")[0] == ALL


def _desk(news: News, of_desk: Iterable[Payload]) -> str:
    """What the whole desk made of the session; empty where it is not known, or leads itself."""
    if is_desk(news.lead):
        return ""
    day = words.facts(news.lead, "day")
    for each in (*filter(is_desk, news.incidents), *of_desk):
        other = words.facts(each, "day")
        is_mine = each in news.incidents or is_day(news.lead)
        if is_mine and all(day.get(name) == other.get(name) for name in ("session", "currency")):
            return _made(clean(each["strategy"]), other.get("return"))
    return ""


def _made(name: str, made: Json) -> str:
    """`desk -2.1 %`, with its currency where the desk has several."""
    value, currency = number(made), name.partition(":")[2]
    return "" if value is None else f"desk{f' {currency}' if currency else ''} {percent(value)}"


def _end(news: News) -> str:
    lead, by = news.lead, clean(news.lead["resolved_by"] or "somebody")
    name = words.named(lead, _MAXIMUM_NAME)
    if lead["reason"] == Reason.ACKNOWLEDGED:
        return f"[ACKNOWLEDGED] {name}, by {clean(lead['acknowledged_by'] or 'somebody')}"
    burned = _burned_for(news)
    if lead["reason"] == Reason.RESOLVED:
        how = VERDICTS.get(str(lead["resolution"]))
        after = f" after {burned}" if burned else ""
        return f"[RESOLVED] {name}, {f'by {by}: {how}' if how else f'closed{after}'}"
    rest = "; the rest of it is open" if news.status == Status.OPEN.value else ""
    now, was = values_of(lead)
    if now:
        burned = f", burned {burned}" if burned else ""
        return f"[RECOVERED] {words.affected(lead, _MAXIMUM_NAME)} {now} (was {was}){burned}{rest}"
    return f"[RECOVERED] {name}; over{f' after {burned}' if burned else ''}{rest}"


def values_of(incident: Payload) -> tuple[str, str]:
    """The new value and the one that burned; empty where they are no numbers, or only counted."""
    ended, rule = words.facts(incident, "ended"), words.rule_of(incident)
    made = [number(each) for each in (ended.get("return"), words.part(incident, "return"))]
    if made[0] is not None and made[1] is not None:
        return percent(made[0]), percent(made[1])
    if rule is None or rule.unit in _COUNTED:
        return "", ""
    now, was = (
        words.value_words(incident, each) for each in (ended.get("value"), incident["value"])
    )
    return (now, was) if now and was else ("", "")


def _burned_for(news: News) -> str:
    """For how long it burned, from the first of its incidents to the last end."""
    opened, ended = (
        [at for each in news.incidents if (at := words.time(each[name])) is not None]
        for name in ("opened_at", "resolved_at")
    )
    burned = max(ended) - min(opened) if opened and ended else timedelta(0)
    return duration(burned) if burned >= _SHORTEST else ""
