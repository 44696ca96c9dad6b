"""The store of incidents, silences and the outbox in plain dictionaries: the model."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.incidents.events import URGENCY, Event, is_answered_by_person
from perf_alerts_dagster.incidents.model import Incident, Reason, Status
from perf_alerts_dagster.incidents.notification import (
    DeliveryState,
    MessageKind,
    Notification,
    NotificationItem,
    PastNotification,
)
from perf_alerts_dagster.incidents.ports import (
    BreachedIncident,
    ConcurrentChange,
    Decisions,
    EventFilter,
    EventPage,
    IncidentFilter,
    IncidentPage,
    IncidentStore,
    Outbox,
    OutboxState,
    PeriodCounts,
    Snapshot,
    TimelineEntry,
    UnappliedJudgements,
)
from perf_alerts_dagster.incidents.suppression import Silence
from perf_alerts_dagster.judging.evaluation import Judgement


class MemoryIncidents(IncidentStore, Outbox):
    """Both ports in one; `audit` collects the changes of people.

    `snapshots` counts how often everything that is live was read.
    """

    def __init__(self) -> None:
        self.judgements: list[Judgement] = []
        self.marks: dict[str, int] = {}
        self.by_id: dict[str, Incident] = {}
        self.event_rows: dict[str, Event] = {}
        self.entries: list[TimelineEntry] = []
        self.rows: dict[int, Notification] = {}
        self.silence_rows: dict[str, Silence] = {}
        self.audit: list[Change] = []
        self.snapshots = 0

    def add_judgement(self, judgement: Judgement) -> None:
        """What an execution records."""
        self.judgements.append(judgement)

    def unapplied(
        self, alert: str, *, judged_before: datetime | None = None
    ) -> UnappliedJudgements:
        mark = self.marks.get(alert, 0)
        found = []
        for row_id, one in enumerate(self.judgements, start=1):
            if one.alert != alert or row_id <= mark:
                continue
            if judged_before is not None and one.judged_at >= judged_before:
                break
            found.append((row_id, one))
        return UnappliedJudgements(alert=alert, mark=mark, judgements=tuple(found))

    def snapshot(self, *, now: datetime, since: datetime) -> Snapshot:
        self.snapshots += 1
        known = [one for one in self.by_id.values() if not one.is_resolved or one.owed]
        ids = {one.id for one in known}
        notified = [
            _notified(row, position)
            for row in self.rows.values()
            for position, item in enumerate(row.items)
            if item.incident_id in ids
            or row.state.is_waiting
            or (row.sent_at is not None and row.sent_at >= since)
        ]
        theirs = {one.event_id for one in known}
        return Snapshot(
            incidents=tuple(sorted(known, key=lambda one: (one.opened_at, one.id))),
            events=tuple(
                one
                for one in self.event_rows.values()
                if one.id in theirs or not one.is_resolved or is_answered_by_person(one)
            ),
            notified=tuple(notified),
            silences=tuple(one for one in self.silence_rows.values() if one.is_active(now)),
        )

    def snapshot_of(self, event_id: str, *, now: datetime) -> Snapshot:
        mine = [one for one in self.by_id.values() if one.event_id == event_id]
        ids = {one.id for one in mine}
        event = self.event_rows.get(event_id)
        return Snapshot(
            incidents=tuple(one for one in mine if not one.is_resolved),
            events=() if event is None else (event,),
            notified=tuple(
                _notified(row, position)
                for row in self.rows.values()
                for position, item in enumerate(row.items)
                if item.incident_id in ids
            ),
            silences=tuple(one for one in self.silence_rows.values() if one.is_active(now)),
        )

    def apply(self, decisions: Decisions) -> None:
        self._check(decisions)
        for event in decisions.events:
            self.event_rows[event.id] = replace(event, version=event.version + 1)
        for event in decisions.new_events:
            self.event_rows[event.id] = event
        for mark in decisions.marks:
            self.marks[mark.alert] = mark.after
        for one in decisions.changed:
            last = self.by_id[one.id].last_notified_at
            self.by_id[one.id] = replace(one, version=one.version + 1, last_notified_at=last)
        for one in decisions.opened:
            self.by_id[one.id] = one
        self.entries += decisions.entries
        self._withdraw(decisions.withdrawn)
        for row in decisions.notifications:
            unfolded = self._unfolded(row)
            if unfolded is not None and self.row(row.key) is None:
                self._bring_forward(unfolded)
                self.rows[len(self.rows) + 1] = replace(unfolded, id=len(self.rows) + 1)
        if decisions.audit is not None:
            self.audit.append(decisions.audit)

    def _check(self, decisions: Decisions) -> None:
        if any(self.marks.get(one.alert, 0) != one.before for one in decisions.marks):
            raise ConcurrentChange("a mark has moved")
        if any(self.by_id[one.id].version != one.version for one in decisions.changed):
            raise ConcurrentChange("an incident was changed")
        after = self.by_id | {one.id: one for one in (*decisions.changed, *decisions.opened)}
        live = Counter(one.dedup_key for one in after.values() if not one.is_resolved)
        if (
            any(one.id in self.by_id for one in decisions.opened)
            or max(live.values(), default=0) > 1
        ):
            raise ConcurrentChange("a live incident is there")
        if any(self.event_rows[one.id].version != one.version for one in decisions.events):
            raise ConcurrentChange("an event was changed")
        events = self.event_rows | {
            one.id: one for one in (*decisions.events, *decisions.new_events)
        }
        keys = Counter(one.live_key for one in events.values() if one.live_key)
        if max(keys.values(), default=0) > 1:
            raise ConcurrentChange("a live event is there")

    def _unfolded(self, row: Notification) -> Notification | None:
        """Without the recoveries that a waiting message says; None where nothing is left."""
        kept = [one for one in row.items if not self._is_folded(row, one)]
        if row.items and not kept:
            return None
        ids = {one.incident_id for one in kept}
        if not row.items or len(kept) == len(row.items):
            return row
        listed: Any = row.payload["incidents"]
        payload = {**row.payload, "incidents": [one for one in listed if one["id"] in ids]}
        return replace(row, items=tuple(kept), payload=payload)

    def _is_folded(self, row: Notification, item: NotificationItem) -> bool:
        if item.reason is not Reason.RECOVERED:
            return False
        earlier = [
            one
            for one in self.rows.values()
            if one.channel == row.channel
            and (one.state.is_waiting or one.state is DeliveryState.SENT)
            and any(
                each.incident_id == item.incident_id and each.reason is not Reason.RECOVERED
                for each in one.items
            )
        ]
        pending = [one for one in earlier if one.state is DeliveryState.PENDING]
        normal = [one for one in pending if one.kind is MessageKind.NORMAL]
        if not normal:
            return len(pending) == len(earlier)
        into = normal[-1]
        new: Any = row.payload["incidents"]
        old: Any = into.payload["incidents"]
        entry = next(one for one in new if one["id"] == item.incident_id)
        listed = [
            {**entry, "number": one["number"], "folded": one["reason"]}
            if one["id"] == entry["id"]
            else one
            for one in old
        ]
        self.rows[into.id] = replace(
            into,
            payload={**into.payload, "incidents": listed},
            items=tuple(
                replace(one, reason=Reason.RECOVERED)
                if one.incident_id == item.incident_id
                else one
                for one in into.items
            ),
        )
        return True

    def _bring_forward(self, row: Notification) -> None:
        for row_id, other in self.rows.items():
            waits = other.state is DeliveryState.PENDING and other.attempts > 0
            if waits and _is_about(other, row) and other.next_at > row.next_at:
                self.rows[row_id] = replace(other, next_at=row.next_at)

    def _is_behind(self, row: Notification, now: datetime) -> bool:
        return any(
            other.id < row.id and _is_about(other, row)
            for other in self.rows.values()
            if other.state is DeliveryState.LEASED or _is_due(other, now)
        )

    def _read(self, row: Notification) -> Notification:
        over = {one.id for one in self.by_id.values() if one.is_resolved}
        return replace(
            row, items=tuple(replace(one, is_resolved=one.incident_id in over) for one in row.items)
        )

    def _withdraw(self, ids: Collection[str]) -> None:
        for row_id, row in self.rows.items():
            named = {item.incident_id for item in row.items}
            is_needed = any(self.by_id[one].status is Status.OPEN for one in named)
            is_due = row.kind is MessageKind.ESCALATION and row.state is DeliveryState.PENDING
            if is_due and named.intersection(ids) and not is_needed:
                self.rows[row_id] = replace(row, state=DeliveryState.WITHDRAWN)

    def judged_sessions(self, after: date) -> Sequence[date]:
        return sorted(
            {one.as_of for one in self.judgements if one.as_of > after and not one.provisional}
        )

    def incident(self, incident_id: str) -> Incident | None:
        return self.by_id.get(incident_id)

    def live_incident(self, dedup_key: str) -> Incident | None:
        return next(
            (
                one
                for one in self.by_id.values()
                if one.dedup_key == dedup_key and not one.is_resolved
            ),
            None,
        )

    def incidents(
        self, wanted: IncidentFilter, *, before: str | None = None, limit: int = 50
    ) -> IncidentPage:
        found = sorted(
            (one for one in self.by_id.values() if _is_wanted(one, wanted)),
            key=lambda one: (one.opened_at, one.id),
            reverse=True,
        )
        if before is not None:
            place = _place(before)
            found = [one for one in found if (one.opened_at, one.id) < place]
        page = tuple(found[:limit])
        is_last = len(found) <= limit or not page
        last = None if is_last else f"{page[-1].opened_at.isoformat()} {page[-1].id}"
        return IncidentPage(incidents=page, last=last)

    def starting(self, prefix: str, limit: int = 5) -> Sequence[str]:
        ids = {*self.by_id, *self.event_rows}
        return sorted(one for one in ids if one.startswith(prefix))[:limit]

    def event(self, event_id: str) -> Event | None:
        return self.event_rows.get(event_id)

    def events(
        self,
        wanted: EventFilter,
        *,
        before: str | None = None,
        limit: int = 50,
        worst_first: bool = False,
    ) -> EventPage:
        def place(one: Event) -> tuple[Any, ...]:
            rank = (URGENCY[one.severity, one.status],) if worst_first else ()
            return (*rank, one.opened_at, one.id)

        found = sorted(self._wanted_events(wanted), key=place, reverse=True)
        if before is not None:
            rank, _, rest = before.partition(" ") if worst_first else ("", "", before)
            if worst_first and not rank.isdecimal():
                raise UsageError("cursor: one that an earlier page has given")
            begin = ((int(rank),) if worst_first else ()) + _place(rest)
            found = [one for one in found if place(one) < begin]
        page = tuple(found[:limit])
        last = page[-1] if len(found) > limit and page else None
        cursor = None if last is None else f"{last.opened_at.isoformat()} {last.id}"
        if last is not None and worst_first:
            cursor = f"{URGENCY[last.severity, last.status]} {cursor}"
        return EventPage(events=page, last=cursor)

    def event_counts(self, wanted: EventFilter) -> Mapping[Status, int]:
        return Counter(one.status for one in self._wanted_events(replace(wanted, status=None)))

    def _wanted_events(self, wanted: EventFilter) -> list[Event]:
        return [
            one
            for one in self.event_rows.values()
            if wanted.status in (None, one.status)
            and wanted.severity in (None, one.severity)
            and wanted.leader in (None, one.leader)
            and (wanted.ids is None or one.id in wanted.ids)
            and self._has_wanted(one, wanted)
        ]

    def _has_wanted(self, event: Event, wanted: EventFilter) -> bool:
        listed = self.of_events([event.id])
        text = None if wanted.text is None else wanted.text.lower()
        names = [event.leader, *(each.strategy for each in listed), *(each.rule for each in listed)]
        since, forgotten = wanted.since, wanted.forgotten_since
        return (
            (wanted.strategy is None or wanted.strategy in [each.strategy for each in listed])
            and (wanted.rule is None or wanted.rule in [each.rule for each in listed])
            and (wanted.owner is None or wanted.owner in [x.parts.get("owner") for x in listed])
            and (since is None or any(each.last_seen_at >= since for each in listed))
            and (
                text is None
                or event.id.startswith(text)
                or any(text in name.lower() for name in names)
            )
            and (forgotten is None or any(_is_forgotten(each, forgotten) for each in listed))
        )

    def of_events(self, event_ids: Collection[str]) -> Sequence[Incident]:
        mine = (one for one in self.by_id.values() if one.event_id in event_ids)
        return sorted(mine, key=lambda one: (one.opened_at, one.id))

    def timeline(self, incident_id: str) -> Sequence[TimelineEntry]:
        return [one for one in self.entries if one.incident_id == incident_id]

    def live(self) -> Mapping[Status, int]:
        return Counter(one.status for one in self.by_id.values() if not one.is_resolved)

    def counts(self, start: datetime, end: datetime) -> PeriodCounts:
        inside = [one for one in self.entries if start <= one.at < end]
        alerts: dict[str, set[str]] = {}
        for one in inside:
            if one.what in ("opened", "breached"):
                named = {str(one.detail["alert"])} - {""}
                alerts.setdefault(one.incident_id, set()).update(named)
        ordered = sorted(alerts, key=lambda one: (self.by_id[one].opened_at, one))
        return PeriodCounts(
            breached=tuple(
                BreachedIncident(
                    strategy=self.by_id[one].strategy,
                    severity=self.by_id[one].severity,
                    alerts=frozenset(alerts[one]),
                )
                for one in ordered
            ),
            suppressed=sum(one.what == "suppressed" for one in inside),
            escalated=sum(one.what == "escalated" for one in inside),
        )

    def add_silence(self, silence: Silence, change: Change | None = None) -> None:
        if silence.id not in self.silence_rows:
            self.silence_rows[silence.id] = silence
            self.audit += [change] if change else []

    def silences(self, now: datetime, *, ended: bool = False) -> Sequence[Silence]:
        found = [one for one in self.silence_rows.values() if ended or one.ends_at > now]
        return sorted(found, key=lambda one: (one.starts_at, one.id), reverse=True)

    def end_silence(self, silence_id: str, now: datetime, change: Change | None = None) -> bool:
        found = self.silence_rows.get(silence_id)
        if found is None or found.ends_at <= now:
            return False
        self.silence_rows[silence_id] = replace(found, ends_at=now)
        self.audit += [change] if change else []
        return True

    def claim(
        self,
        now: datetime,
        owner: str,
        ttl: timedelta,
        *,
        channels: Collection[str] | None = None,
        limit: int = 1,
    ) -> Sequence[Notification]:
        due = [
            one for one in self.rows.values() if _is_due(one, now) and not self._is_behind(one, now)
        ]
        due = [one for one in due if channels is None or one.channel in channels]
        claimed = []
        for one in sorted(due, key=lambda one: (one.next_at, one.id))[:limit]:
            row = replace(
                one,
                state=DeliveryState.LEASED,
                lease_owner=owner,
                lease_until=now + ttl,
                fence=one.fence + 1,
            )
            self.rows[one.id] = row
            claimed.append(self._read(row))
        return claimed

    def mark_sent(self, row_id: int, fence: int, at: datetime) -> bool:
        if not self._close(row_id, fence, state=DeliveryState.SENT, sent_at=at, error=None):
            return False
        for item in self.rows[row_id].items:
            one = self.by_id[item.incident_id]
            if item.reason is not Reason.RECOVERED:
                last = max(at, one.last_notified_at or at)
                self.by_id[one.id] = replace(one, last_notified_at=last)
        return True

    def mark_for_retry(self, row_id: int, fence: int, next_at: datetime, error: str) -> bool:
        return self._close(row_id, fence, state=DeliveryState.PENDING, next_at=next_at, error=error)

    def mark_dead(self, row_id: int, fence: int, error: str) -> bool:
        return self._close(row_id, fence, state=DeliveryState.DEAD, error=error)

    def state(self) -> OutboxState:
        states = Counter(one.state for one in self.rows.values())
        waiting = [one.created_at for one in self.rows.values() if one.state.is_waiting]
        return OutboxState(
            pending=states[DeliveryState.PENDING],
            leased=states[DeliveryState.LEASED],
            dead=states[DeliveryState.DEAD],
            oldest=min(waiting, default=None),
        )

    def channels(self) -> Collection[str]:
        return {one.channel for one in self.rows.values() if one.state.is_waiting}

    def failing(self) -> Mapping[str, int]:
        failed = [one for one in self.rows.values() if one.state.is_waiting and one.attempts]
        return {one.channel: one.id for one in reversed(failed)}

    def row(self, key: str) -> Notification | None:
        return next((self._read(one) for one in self.rows.values() if one.key == key), None)

    def about(self, incident_id: str) -> Sequence[Notification]:
        found = [
            self._read(one)
            for one in self.rows.values()
            if any(item.incident_id == incident_id for item in one.items)
        ]
        return sorted(found, key=lambda one: (one.created_at, one.id))

    def _close(self, row_id: int, fence: int, **values: object) -> bool:
        row = self.rows.get(row_id)
        if row is None or row.fence != fence or row.state is not DeliveryState.LEASED:
            return False
        closed = replace(row, lease_owner=None, lease_until=None, attempts=row.attempts + 1)
        self.rows[row_id] = replace(closed, **values)  # type: ignore[arg-type]
        return True


def _is_due(one: Notification, now: datetime) -> bool:
    if one.state is DeliveryState.LEASED:
        until = one.lease_until
        return until is not None and (until <= now or until > now + 2 * timedelta(seconds=60))
    is_set_back = one.next_at >= one.created_at > now + timedelta(minutes=5)
    return one.state is DeliveryState.PENDING and (one.next_at <= now or is_set_back)


def _is_about(one: Notification, other: Notification) -> bool:
    """Whether both are for one channel and about a common dedup key."""
    named = {item.dedup_key for item in one.items}
    is_same = any(item.dedup_key in named for item in other.items)
    return one.channel == other.channel and is_same


def _is_wanted(one: Incident, wanted: IncidentFilter) -> bool:
    pairs = (
        (wanted.status, one.status),
        (wanted.severity, one.severity),
        (wanted.strategy, one.strategy),
        (wanted.rule, one.rule),
    )
    is_equal = all(want is None or want == have for want, have in pairs)
    is_equal = is_equal and not (wanted.eventless and one.event_id)
    return is_equal and (wanted.since is None or one.last_seen_at >= wanted.since)


def _is_forgotten(one: Incident, since: datetime) -> bool:
    answer = one.acknowledged
    if one.status is not Status.ACKNOWLEDGED or answer is None:
        return False
    return answer.at <= since and one.last_seen_at > answer.at


def _notified(row: Notification, position: int) -> PastNotification:
    item = row.items[position]
    return PastNotification(
        channel=row.channel,
        kind=row.kind,
        incident_id=item.incident_id,
        dedup_key=item.dedup_key,
        severity=item.severity,
        reason=item.reason,
        state=row.state,
        sent_at=row.sent_at,
    )


def _place(cursor: str) -> tuple[datetime, str]:
    at, _, row_id = cursor.partition(" ")
    try:
        return datetime.fromisoformat(at), row_id
    except ValueError as error:
        raise UsageError("cursor: one that an earlier page has given") from error
