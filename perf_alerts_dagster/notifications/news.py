"""The incidents of a message by the event that they are of, the worst first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Reason, Status
from perf_alerts_dagster.incidents.transitions import PLAIN
from perf_alerts_dagster.judging.evaluation import Kind
from perf_alerts_dagster.judging.rule import Unit
from perf_alerts_dagster.notifications import text as words
from perf_alerts_dagster.notifications.text import Payload, Wording, clean, number

# So many events and incidents are sent to programs, so that no receiver refuses a message for its
# size.
LISTED = 200
_GOOD = frozenset({Reason.RECOVERED, Reason.ACKNOWLEDGED, Reason.RESOLVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One event in a message about it, with its incidents that the message is about.

    `lead` is the incident that names its number, `worst` the one of the same strategy whose rule
    says what to do, `highest` the one of the highest severity. `headline` is that of the leader,
    where the message is about others only. `at` is the time of the message.
    """

    id: str
    leader: str
    status: str
    severity: Severity
    incidents: tuple[Payload, ...]
    lead: Payload
    worst: Payload
    highest: Payload
    at: datetime
    headline: str = ""
    link: str | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the message is sent, in the order of its incidents."""
        return tuple(dict.fromkeys(str(each["reason"]) for each in self.incidents))

    @property
    def is_good(self) -> bool:
        """Whether it only says what is over, or answered."""
        return all(each["reason"] in _GOOD for each in self.incidents)

    @property
    def burning(self) -> list[Payload]:
        """The incidents that are not over, as far as the message is about them."""
        return [each for each in self.incidents if each["reason"] not in _GOOD]

    @property
    def is_over(self) -> bool:
        """Whether all that burned is resolved by now, while the message waited."""
        return bool(self.burning) and all(each["over"] for each in self.burning)

    @property
    def is_data(self) -> bool:
        """Whether it is only that a strategy's rows are late, or cannot be read."""
        return bool(self.lead["strategy"]) and all(each["rule"] in PLAIN for each in self.incidents)

    @property
    def session(self) -> date:
        """The day that its other days are written beside."""
        try:
            return date.fromisoformat(str(self.lead["as_of"]))
        except ValueError:
            return self.at.date()


def news_of(incidents: Sequence[Payload], *, at: datetime) -> list[News]:
    """The events of a message's incidents, worst first, those with good news last.

    An incident of the version before, without an event, is one by itself.
    """
    grouped: dict[str, list[Payload]] = {}
    for incident in incidents:
        event = _event(incident)
        grouped.setdefault(str(event.get("id") or f" {incident['id']}"), []).append(incident)
    return sorted((_news(each, at) for each in grouped.values()), key=_rank)


def with_links(news: Sequence[News], wording: Wording, channel: str) -> list[News]:
    """The events with where each is answered; none beyond those that a program is sent.

    The address of its own ends with an event, whose incident's page stays.
    """
    listed = news[:LISTED]
    live = [
        each.id
        for each in listed
        if each.status != Status.RESOLVED.value and _event(each.worst).get("id")
    ]
    own = wording.links_of(live, channel) if live else {}
    return [
        replace(
            each, link=own.get(each.id) or words.incident_link(each.worst["id"], wording.public_url)
        )
        for each in listed
    ] + [*news[LISTED:]]


def _event(incident: Payload) -> Payload:
    event = incident.get("event")
    return event if isinstance(event, dict) else {}


def _news(incidents: Sequence[Payload], at: datetime) -> News:
    # A recovery that was folded in is newer than the rest.
    newest = max(
        incidents,
        key=lambda each: str(each["resolved_at"] or "") if each["reason"] in _GOOD else "",
    )
    first, event = incidents[0], _event(newest)
    burning = [each for each in incidents if each["reason"] not in _GOOD] or incidents
    leader = clean(event.get("leader") or first["strategy"] or first["dedup_key"])
    own = [each for each in burning if clean(each["strategy"]) == leader] or burning
    lead = min(own, key=lambda each: (not is_day(each), -_severity(each).rank, _name(each)))
    same = [each for each in burning if each["strategy"] == lead["strategy"]]
    worst, highest = (
        min(some, key=lambda each: (-_severity(each).rank, each is not lead, _name(each)))
        for some in (same, burning)
    )
    status = clean(event.get("channel_status") or event.get("status") or newest["status"])
    if not event and newest["reason"] == Reason.RECOVERED:
        status = Status.RESOLVED.value
    rank = {id(lead): -2, id(worst): -1}
    ordered = sorted(
        incidents,
        key=lambda each: (
            each["reason"] in _GOOD,
            rank.get(id(each), 0),
            -_severity(each).rank,
            _name(each),
        ),
    )
    return News(
        id=clean(event.get("id") or first["id"]),
        leader=leader,
        status=status,
        severity=_severity(highest),
        incidents=tuple(ordered),
        lead=lead,
        worst=worst,
        highest=highest,
        at=at,
        headline="" if clean(lead["strategy"]) == leader else clean(event.get("headline") or ""),
    )


def _rank(news: News) -> tuple[bool, int, bool, float, str]:
    rule = words.rule_of(news.lead)
    loss = number(words.facts(news.lead, "day").get("return"))
    if not is_day(news.lead):
        is_share = rule is not None and rule.unit is Unit.PERCENT
        loss = number(news.lead["value"]) if is_share else None
    return (news.is_good, -news.severity.rank, news.is_data, loss or 0.0, news.leader)


def _severity(incident: Payload) -> Severity:
    return Severity(str(incident["severity"]))


def _name(incident: Payload) -> tuple[str, str]:
    return str(incident["dedup_key"]), str(incident["id"])


def is_day(incident: Payload) -> bool:
    """Whether it is about the loss of one session of its strategy."""
    rule = words.rule_of(incident)
    if rule is None or rule.kind is not Kind.EVENT or rule.family is Family.FORWARD:
        return False
    return rule.unit in (Unit.SIGMA, Unit.PERCENT)
