"""What happened to incidents in words, the same on pages and the command line: who, what, when."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.wording import ago, day_words, local_time, percent
from perf_alerts_dagster.incidents.model import (
    Acknowledgement,
    Incident,
    Reason,
    Resolution,
    ResolutionRecord,
)
from perf_alerts_dagster.incidents.ports import TimelineEntry
from perf_alerts_dagster.incidents.suppression import SuppressionReason

_Detail = Mapping[str, Json]
# A person's verdicts in words.
VERDICTS: Mapping[str, str] = {
    Resolution.TRUE: "a true alarm",
    Resolution.FALSE: "a false alarm",
    Resolution.KNOWN: "known already",
    Resolution.DATA_ERROR: "wrong data",
}
# The actor who used the link of a message to a channel.
BY_LINK = "link:"
_DIGEST = re.compile(r":[0-9a-f]{8}$", re.ASCII)
_KINDS = {"mailto": "mail", "mailtos": "mail"}
_REASONS: Mapping[str, str] = {
    Reason.OPENED: "it is open",
    Reason.RAISED: "it is worse",
    Reason.REOPENED: "it is open again",
    Reason.REPEATED: "it is still open",
    Reason.ESCALATED: "nobody has answered",
    Reason.UNMUTED: "its silence has ended",
    Reason.RECOVERED: "it is over",
    Reason.ACKNOWLEDGED: "somebody looks after it",
    Reason.RESOLVED: "it is resolved",
}
_NOT_NOTIFIED: Mapping[str, str] = {
    SuppressionReason.OBSERVE_ONLY: "nobody is notified while ALERT_OBSERVE_ONLY is on",
    SuppressionReason.SILENCED: "a silence mutes it",
    SuppressionReason.NO_CHANNEL: "no channel takes its severity",
    SuppressionReason.WINDOW: "the same was sent shortly before",
    SuppressionReason.PENDING: "another message about it waits",
    SuppressionReason.ALREADY_NOTIFIED: "it was sent already",
    SuppressionReason.OPENING_NOT_NOTIFIED: "its opening was not sent",
    SuppressionReason.ANSWERED: "its event is answered",
}
_ENDS: Mapping[str, str] = {
    **VERDICTS,
    Resolution.RECOVERED: "back inside its limit",
    Resolution.RESTATED: "its data were restated",
    Resolution.EXPIRED: "too old to go on",
}


@dataclass(frozen=True, slots=True)
class Clock:
    """Times as people of the desk read them, at `now` and in `zone`."""

    now: datetime
    zone: tzinfo

    def local(self, at: datetime) -> str:
        """A time, such as `today 07:09 UTC`."""
        return local_time(at, self.now, self.zone)

    def ago(self, at: datetime) -> str:
        """How long ago a time is."""
        return ago(at, self.now)

    def day(self, day: date) -> str:
        """A day, with its year unless it is this one."""
        return day_words(day, beside=self.now.astimezone(self.zone).date())


def channel_words(name: str) -> str:
    """A channel without the digest in its name: `mail`, `webhook alerts.example.com`."""
    kind, _, rest = _DIGEST.sub("", name).partition(":")
    return f"{_KINDS.get(kind, kind)} {rest}".rstrip()


def person(actor: str) -> str:
    """Who acted."""
    if actor.startswith(BY_LINK):
        return f"the link sent to {channel_words(actor.removeprefix(BY_LINK))}"
    return actor


def answers_of(incidents: Iterable[Incident], clock: Clock) -> list[str]:
    """Who has answered incidents, until when and why, each answer once."""
    words = []
    for incident in incidents:
        if incident.resolved is not None:
            words.append(resolution_words(incident.resolved, clock))
        elif incident.acknowledged is not None:
            words.append(hold_words(incident.acknowledged, clock))
    return list(dict.fromkeys(words))


def hold_words(held: Acknowledgement, clock: Clock) -> str:
    """Who acknowledged it, until when and why."""
    words = f"acknowledged by {person(held.by)} {clock.local(held.at)}"
    if held.until is not None:
        since = f"since {clock.local(held.at)}"
        words = f"held by {person(held.by)} until {clock.local(held.until)}, {since}"
    return _said(words, held.comment)


def resolution_words(resolved: ResolutionRecord, clock: Clock) -> str:
    """Who or what resolved it, and what it was."""
    by = "" if resolved.by == "system" else f" by {person(resolved.by)}"
    end = _ENDS.get(resolved.outcome, resolved.outcome.value)
    return _said(f"resolved{by} {clock.local(resolved.at)}: {end}", resolved.comment)


def entry_words(entry: TimelineEntry, clock: Clock) -> str:
    """What an entry of a timeline says, without its time and its actor."""
    if entry.what in _WORDS:
        return _WORDS[entry.what](entry.detail, clock)
    # Those that say why, also of other versions.
    what = {"reopened": "open again", "kept": "stays open"}.get(entry.what, entry.what)
    return _said(what.replace("_", " "), entry.detail.get("why"))


def _said(what: str, comment: Json) -> str:
    return f"{what}: {comment}" if comment else what


def _opened(detail: _Detail, clock: Clock) -> str:
    return f"opened as {_facts(detail, clock)}"


def _breached(detail: _Detail, clock: Clock) -> str:
    return f"seen again as {_facts(detail, clock)}"


def _facts(detail: _Detail, clock: Clock) -> str:
    words, day = str(detail.get("severity")), detail.get("as_of")
    if isinstance(day, str):
        words += f" for {clock.day(date.fromisoformat(day))}"
    if detail.get("provisional"):
        words += ", from provisional rows"
    return words + (", from rows that were restated" if detail.get("restated") else "")


def _notified(detail: _Detail, clock: Clock) -> str:
    return f"{_channels(detail)} notified: {_reason(detail)}"


def _suppressed(detail: _Detail, clock: Clock) -> str:
    why = str(detail.get("why"))
    cause = _NOT_NOTIFIED.get(why, why.replace("_", " "))
    channels = _channels(detail)
    whom = f"{channels} not notified" if channels else "nobody notified"
    return f"{whom} ({_reason(detail)}): {cause}"


def _reason(detail: _Detail) -> str:
    reason = str(detail.get("reason"))
    return _REASONS.get(reason, reason)


def _channels(detail: _Detail) -> str:
    names = detail.get("channels")
    listed = names if isinstance(names, list) else []
    return ", ".join(dict.fromkeys(channel_words(str(name)) for name in listed))


def _acknowledged(detail: _Detail, clock: Clock) -> str:
    until = detail.get("until")
    end = f" until {clock.local(datetime.fromisoformat(str(until)))}" if until else ""
    return _said(f"acknowledged{end}", detail.get("comment") or detail.get("why"))


def _resolved(detail: _Detail, clock: Clock) -> str:
    outcome = str(detail.get("outcome"))
    return _said(f"resolved: {_ENDS.get(outcome, outcome)}", detail.get("comment"))


def _baseline(detail: _Detail, clock: Clock) -> str:
    since, haircut = detail.get("since"), detail.get("haircut")
    words = "held against a new baseline"
    if isinstance(since, str):
        words += f" from {clock.day(date.fromisoformat(since))} on"
    if isinstance(haircut, int | float):
        words += f", the backtest's mean lowered by {percent(haircut)}"
    return _said(words, detail.get("reason"))


_WORDS: Mapping[str, Callable[[_Detail, Clock], str]] = {
    "opened": _opened,
    "breached": _breached,
    "raised": lambda detail, clock: f"now {detail.get('severity')}",
    "notified": _notified,
    "suppressed": _suppressed,
    "escalated": lambda detail, clock: f"escalated, step {detail.get('step')}",
    "acknowledged": _acknowledged,
    "resolved": _resolved,
    "grouped": lambda detail, clock: "part of the incident of its group",
    "unmuted": lambda detail, clock: "its silence has ended",
    "baseline": _baseline,
}
