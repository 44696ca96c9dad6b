"""The list of events with what was judged beside them, and what pages say of one event."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Request

from perf_alerts_dagster.api.events.routes import ListedEvents
from perf_alerts_dagster.api.events.schemas import (
    EventsQuery,
    Order,
    is_forgotten,
    shown_by,
    silenced_until,
)
from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.core.alerts import DAILY_PNL_CHECK
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.wording import counted, money, percent
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.requests import checked
from perf_alerts_dagster.incidents.events import Event, event_json
from perf_alerts_dagster.incidents.model import Incident, Reason, Status
from perf_alerts_dagster.incidents.notification import IncidentNotice, notice_payload
from perf_alerts_dagster.incidents.suppression import Silence
from perf_alerts_dagster.incidents.system import SYSTEM
from perf_alerts_dagster.judging.rules.catalogue import RULES
from perf_alerts_dagster.judging.standings.model import LACKING, Standing
from perf_alerts_dagster.judging.standings.ports import StandingFilter
from perf_alerts_dagster.notifications.body import Line as MessageLine
from perf_alerts_dagster.notifications.lines import lines_of as message_lines
from perf_alerts_dagster.notifications.news import news_of
from perf_alerts_dagster.notifications.text import Wording, number
from perf_alerts_dagster.notifications.timeline import Clock, answers_of
from perf_alerts_dagster.pages.rendering import clock_of, words
from perf_alerts_dagster.scheduler.port import SchedulerError

# Incidents of an event that its line shows; the others are on its page.
_SHOWN = 20
# A page does not wait longer for when the next check is.
_SECONDS = 2.0
ALL, EARLIER = "all", "earlier"
# The fields of the filter's form, beside the status.
FIELDS = ("severity", "rule", "strategy", "leader", "owner", "since", "text", "forgotten", "order")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An event, or an incident that was over before there were events; `id` is an incident's.

    `event` is the id to answer by, empty where there is nothing to answer. `others` are the
    first of its incidents, `more` the number of the rest.
    """

    id: str
    event: str
    strategy: str
    said: Mapping[str, str]
    status: Status
    severity: Severity
    opened_at: datetime
    rules: str
    owner: str
    answers: Sequence[str]
    silenced_until: datetime | None = None
    is_forgotten: bool = False
    others: Sequence[tuple[Incident, Mapping[str, str]]] = ()
    more: int = 0


def lines_of(found: ListedEvents, clock: Clock) -> list[Line]:
    """The lines of a page of events, in its order."""
    return [line_of(event, listed, clock, found.silences) for event, listed in found.events]


def line_of(
    event: Event | None,
    incidents: Sequence[Incident],
    clock: Clock,
    silences: Iterable[Silence] = (),
) -> Line:
    """The line of an event with its incidents, of which there is at least one."""
    shown = shown_by(event, incidents)
    is_over = all(each.is_resolved for each in incidents)
    counting = [each for each in incidents if is_over or not each.is_resolved]
    others = incidents if len(incidents) > 1 else ()
    state = event or shown
    return Line(
        id=shown.id,
        event="" if event is None or is_over else event.id,
        strategy=shown.strategy,
        said=words(shown),
        status=state.status,
        severity=state.severity,
        opened_at=state.opened_at,
        rules=counted(len(counting), "rule"),
        owner=str(shown.parts.get("owner") or ""),
        answers=answers_of(counting, clock),
        silenced_until=silenced_until(incidents, silences, clock.now),
        is_forgotten=any(is_forgotten(each, clock.now) for each in incidents),
        others=[(each, words(each)) for each in others[:_SHOWN]],
        more=max(len(others) - _SHOWN, 0),
    )


def query_of_page(
    given: Mapping[str, str], zone: ZoneInfo, now: datetime, *, limit: int
) -> EventsQuery:
    """The query of the page's address, whose fields may be empty; the worst first by default.

    Raises:
        InputError: a field is not accepted.
    """
    sent = {name: given[name] for name in (*FIELDS, "cursor") if given.get(name)}
    status = given.get("status") or Status.OPEN.value
    if status not in (ALL, *Status):
        raise inputs.InputError("status", f"{ALL} or one of {', '.join(Status)}")
    if "since" in sent:
        day = inputs.day(sent["since"], "since", today=now.astimezone(zone).date())
        began = datetime.combine(day, time(), zone).astimezone(UTC)
        sent["since"] = began.isoformat()
    sent = {"order": Order.WORST.value, "limit": str(limit)} | sent
    return checked(EventsQuery, sent | ({} if status == ALL else {"status": status}))


def address(given: Mapping[str, str], **changes: str | None) -> str:
    """The address of the list by some of its fields; None and "" leave one out."""
    fields = {name: given.get(name) for name in ("status", *FIELDS)} | changes
    asked = urlencode({name: value for name, value in fields.items() if value})
    return f"/incidents?{asked}".replace("~", "%7E").rstrip("?")


def titles_of_rules() -> dict[str, str]:
    """The titles of all rules by their ids, also of those about the system."""
    named = {rule.id: rule.title for rule in RULES}
    named |= {rule: system.title for rule, system in SYSTEM.items()}
    return dict(sorted(named.items(), key=lambda pair: pair[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was judged when, the worst of what was not, or not in full, and when the next check is.

    `total` is the number of those strategies.
    """

    sentence: str
    after: str
    unjudged: Sequence[Standing] = ()
    total: int = 0


async def judged_of(request: Request, most: int) -> Judged:
    """What the newest judgement covers, with at most so many strategies that it does not.

    What is missing is never good news.
    """
    clock, store = clock_of(request), api_of(request).parts.standings
    after = await _next_check(request, clock)

    def read() -> Judged:
        totals, newest = store.totals(), store.standings(limit=1).rows
        if totals.session is None or not newest:
            # The version before kept no standings.
            known = api_of(request).parts.store.watermark(DAILY_PNL_CHECK.name)
            said = "Nothing was judged yet"
            if known:
                said = f"Sessions up to {clock.day(known)} are judged, by the version before"
            return Judged(sentence=said, after=after)
        daily = newest[0].alerts.get(DAILY_PNL_CHECK.name)
        at = daily.judged_at if daily else newest[0].judged_at
        lacking = store.standings(StandingFilter(cells=LACKING, is_group=False), limit=most)
        return Judged(
            sentence=f"Judged {totals.judged} of {counted(totals.strategies, 'strategy')} for "
            f"{clock.day(totals.session)}, {clock.local(at)} ({clock.ago(at)})",
            after=after,
            unjudged=lacking.rows,
            total=lacking.total,
        )

    return await asyncio.to_thread(read)


async def _next_check(request: Request, clock: Clock) -> str:
    try:
        async with asyncio.timeout(_SECONDS):
            status = (await api_of(request).proxy.status.get()).value
    except (SchedulerError, TimeoutError):
        return "when the next check is, the scheduler does not say"
    at = status.schedule(DAILY_PNL_CHECK.name).next_run
    if at is None:
        return "no check is scheduled"
    return f"next check {clock.local(at)}"


def said_of(
    incidents: Sequence[Incident], event: Event | None, request: Request
) -> list[MessageLine]:
    """What a message about incidents of one event says: the answer, how rare it is, what to do."""
    settings, clock = api_of(request).settings, clock_of(request)
    known = event_json(event, incidents) if event else None
    payloads = [
        notice_payload(IncidentNotice(incident=each, reason=Reason.OPENED, number=0, event=known))
        for each in incidents
    ]
    (news,) = news_of(payloads, at=clock.now)
    lines = message_lines(news, Wording(runbook_url=settings.runbook_url, zone=clock.zone))
    is_over = all(each.is_resolved for each in incidents)
    return [line for line in lines if line.text and not (is_over and line.label)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What a member lost in a group's session, and its share of the group's loss."""

    strategy: str
    made: str
    pnl: str
    share: str


def contributions_of(incident: Incident) -> list[Contribution]:
    """The largest losses in the session of a group's incident; empty for a strategy's."""
    listed, day = incident.parts.get("contributions"), incident.parts.get("day")
    currency = str(day.get("currency") or "") if isinstance(day, dict) else ""
    found = []
    for each in listed if isinstance(listed, list) else ():
        if not isinstance(each, dict):
            continue
        made, pnl, share = (number(each.get(name)) for name in ("return", "pnl", "share"))
        found.append(
            Contribution(
                strategy=str(each.get("strategy")),
                made="" if made is None else percent(made),
                pnl="" if pnl is None else money(pnl, currency or None),
                share="" if share is None else percent(share),
            )
        )
    return found
