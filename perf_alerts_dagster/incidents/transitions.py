"""The state machine of an incident: the transitions, their effects, and when they are due."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from enum import StrEnum

from perf_alerts_dagster.core.errors import PerfAlertsError
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.incidents import model
from perf_alerts_dagster.incidents.episodes import is_new_step, steps_of_episode, with_step
from perf_alerts_dagster.judging.evaluation import UNMEASURED, Evaluation, Kind, Outcome
from perf_alerts_dagster.records.desk import LATE


class TransitionRefused(PerfAlertsError):
    """The incident's status does not allow the transition; nothing was changed (409)."""


class IncidentEvent(StrEnum):
    """An event of an incident: by a judgement, by a person, or by time."""

    BREACH = "breach"
    HIGHER = "higher_severity"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    RECOVERED = "recovered"
    SILENCE = "silence"
    WORSENED = "worsened"
    STEP = "step"
    RESTATED = "restated"
    EXPIRED = "expired"
    ACKNOWLEDGEMENT_OVER = "acknowledgement_over"
    ESCALATION_DUE = "escalation_due"
    REPEAT_DUE = "repeat_due"


class Action(StrEnum):
    """The effect of an event on an incident.

    count: one more breach. raise: the severity rises, with a message at once. reopen: open again,
    with a message. close: resolved without a message. recover: resolved with one message. new:
    the resolved incident stays as it is, and a new one opens.
    """

    COUNT = "count"
    RAISE = "raise"
    REOPEN = "reopen"
    ACKNOWLEDGE = "acknowledge"
    CLOSE = "close"
    RECOVER = "recover"
    MUTE = "mute"
    ESCALATE = "escalate"
    REPEAT = "repeat"
    NEW = "new"
    NOTHING = "nothing"
    REFUSE = "refuse"


# The action of an event on an incident that is open, acknowledged, resolved.
TRANSITIONS: dict[IncidentEvent, tuple[Action, Action, Action]] = {
    IncidentEvent.BREACH: (Action.COUNT, Action.COUNT, Action.NEW),
    IncidentEvent.HIGHER: (Action.RAISE, Action.REOPEN, Action.NEW),
    IncidentEvent.ACKNOWLEDGE: (Action.ACKNOWLEDGE, Action.REFUSE, Action.REFUSE),
    IncidentEvent.RESOLVE: (Action.CLOSE, Action.CLOSE, Action.REFUSE),
    IncidentEvent.RECOVERED: (Action.RECOVER, Action.RECOVER, Action.NOTHING),
    IncidentEvent.SILENCE: (Action.MUTE, Action.MUTE, Action.REFUSE),
    IncidentEvent.WORSENED: (Action.COUNT, Action.REOPEN, Action.NEW),
    IncidentEvent.STEP: (Action.RAISE, Action.REOPEN, Action.NEW),
    IncidentEvent.RESTATED: (Action.RECOVER, Action.RECOVER, Action.NOTHING),
    IncidentEvent.EXPIRED: (Action.CLOSE, Action.CLOSE, Action.NOTHING),
    IncidentEvent.ACKNOWLEDGEMENT_OVER: (Action.NOTHING, Action.REOPEN, Action.NOTHING),
    IncidentEvent.ESCALATION_DUE: (Action.ESCALATE, Action.NOTHING, Action.NOTHING),
    IncidentEvent.REPEAT_DUE: (Action.REPEAT, Action.NOTHING, Action.NOTHING),
}
_STATUSES = (model.Status.OPEN, model.Status.ACKNOWLEDGED, model.Status.RESOLVED)
# Recovered: inside by this share of the limit, or `p_year` above this multiple of the budget.
_MARGIN = 0.1
_BUDGETS = 2.0
# Worse: beyond the limit by this share of it more than when the incident was acknowledged.
_WORSE = 0.25
# Decimal bounds, such as a tenth of 0.8, are not exact in binary.
_SLACK = 1e-9
# The rule of shadows; the catalogue would load every rule into the proxy.
SHADOW = "shadow_gap"
# Named by the breach of a shadow, and not where the shadow has stopped or cannot be read.
FAULT = "fault"
# Rules without a limit: their next good evaluation resolves the incident.
PLAIN = frozenset({"no_data", "record_error"})
# Rules whose limit is that of the false-alarm budget itself: a tenth of it is a day's move, and an
# incident would open twice in a year of low sums. `p_year` alone resolves theirs.
SUMS = ("mean_shortfall_126", "mean_shortfall_252", "decay_cusum")
BY_BUDGET = frozenset({*SUMS, "gap_since_launch", "hedged_decay_cusum", SHADOW})


def action_of(status: model.Status, event: IncidentEvent) -> Action:
    """The action of `event` on an incident in `status`.

    Raises:
        TransitionRefused: the status does not allow it.
    """
    action = TRANSITIONS[event][_STATUSES.index(status)]
    if action is Action.REFUSE:
        raise TransitionRefused(f"it is {status} already; nothing more to do")
    return action


def _answer(incident: model.Incident, event: IncidentEvent) -> Action:
    """As `action_of`; a refusal names who has answered already, and when."""
    try:
        return action_of(incident.status, event)
    except TransitionRefused as error:
        raise TransitionRefused(f"{incident.answered}; nothing more to do") from error


def id_of(firing: model.Firing, now: datetime) -> str:
    """The id of the incident that a firing opens: 24 hex digits, new for each incident of a key."""
    text = "\0".join([firing.dedup_key, firing.run_id, str(firing.as_of), now.isoformat()])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def open_incident(
    firing: model.Firing,
    *,
    now: datetime,
    chain: model.EscalationChain | None,
    before: model.Incident | None = None,
) -> model.Incident:
    """The new incident of a firing; `before` is the last one of a drawdown.

    What people know of its episode by that one does not escalate again.
    """
    incident = model.Incident(
        **{column.name: getattr(firing, column.name) for column in fields(model.Breach)},
        id=id_of(firing, now),
        opened_at=now,
        last_seen_at=now,
        newest_severity=firing.severity,
        first_as_of=firing.as_of,
        steps=steps_of_episode(firing, before),
    )
    is_new = is_new_step(firing, incident.steps)
    return _with_escalation_clock(incident, now, chain) if is_new else incident


def register_breach(
    incident: model.Incident,
    firing: model.Firing,
    *,
    now: datetime,
    chain: model.EscalationChain | None,
    is_announced: bool = False,
) -> tuple[model.Incident, Action]:
    """The incident after another breach of its key, and the action taken.

    Breaches of a drawdown go by its episode and steps, see `Incident.steps`.
    """
    event, steps = IncidentEvent.BREACH, steps_of_episode(firing, incident)
    if steps is not None:
        announced = steps_of_episode(firing, with_step(incident)) if is_announced else steps
        if is_new_step(firing, announced):
            event = IncidentEvent.STEP
    elif FAULT in firing.parts and FAULT not in incident.parts:
        event = IncidentEvent.STEP
    elif firing.severity.rank > incident.severity.rank:
        event = IncidentEvent.HIGHER
    elif is_worse(incident, firing.value, firing.limit):
        event = IncidentEvent.WORSENED
    action = action_of(incident.status, event)
    if action is Action.NEW:
        return open_incident(firing, now=now, chain=chain, before=incident), action
    after = replace(
        _with_breach(incident, firing, now), steps=incident.steps if steps is None else steps
    )
    if action is Action.RAISE and incident.critical_since is None:
        after = _with_escalation_clock(after, now, chain)
    elif action is Action.REOPEN:
        after = reopen(after, now=now, chain=chain)
    return after, action


def acknowledge(
    incident: model.Incident,
    *,
    by: str,
    at: datetime,
    comment: str = "",
    until: datetime | None = None,
) -> model.Incident:
    """The incident as acknowledged: it no longer escalates, and owes no message.

    Raises:
        TransitionRefused: it is not open.
    """
    _answer(incident, IncidentEvent.ACKNOWLEDGE)
    return replace(
        with_step(incident),
        status=model.Status.ACKNOWLEDGED,
        acknowledged=model.Acknowledgement(
            by=by,
            at=at,
            comment=comment,
            until=until,
            value=incident.value,
            limit=incident.limit,
        ),
        critical_since=None,
        owed=None,
        muted=False,
    )


def resolve(
    incident: model.Incident,
    event: IncidentEvent,
    outcome: model.Resolution,
    *,
    at: datetime,
    by: str = "system",
    comment: str = "",
) -> model.Incident:
    """The incident as resolved; unchanged where the event does nothing to it.

    Raises:
        TransitionRefused: it is resolved already, and a person asks.
    """
    if _answer(incident, event) is Action.NOTHING:
        return incident
    return replace(
        with_step(incident) if outcome.is_manual else incident,
        status=model.Status.RESOLVED,
        resolved=model.ResolutionRecord(by=by, at=at, outcome=outcome, comment=comment),
        critical_since=None,
        owed=None,
        muted=False,
    )


def reopen(
    incident: model.Incident, *, now: datetime, chain: model.EscalationChain | None
) -> model.Incident:
    """Open again and unacknowledged; a critical incident escalates from step 1."""
    after = replace(incident, status=model.Status.OPEN, acknowledged=None)
    return _with_escalation_clock(after, now, chain)


def escalate(incident: model.Incident, *, now: datetime) -> model.Incident:
    """The incident after one more escalation."""
    return replace(incident, escalation_step=incident.escalation_step + 1, escalated_at=now)


def escalation_due(
    incident: model.Incident, *, now: datetime, up_since: datetime | None
) -> datetime | None:
    """When the next escalation is due; None where none is.

    A delay that ran while the system was down or asleep, or that began at a time which is in the
    future since the clock was set back, begins again at `up_since`: nobody could answer meanwhile.
    """
    due, chain = incident.next_escalation_at, incident.chain
    if due is None or chain is None or up_since is None:
        return due
    if up_since <= due - chain.delay <= now:
        return due
    last = incident.escalated_at
    return (last if last is not None and up_since <= last <= now else up_since) + chain.delay


def unmute(incident: model.Incident, *, now: datetime) -> model.Incident:
    """No longer muted by a silence: the escalation clock restarts."""
    after = replace(incident, muted=False)
    if after.status is not model.Status.OPEN:
        return after
    return _with_escalation_clock(after, now, after.chain)


def _with_breach(incident: model.Incident, firing: model.Firing, now: datetime) -> model.Incident:
    before = incident.newest_severity.rank
    rank = firing.severity.rank
    kept = {FAULT: incident.parts[FAULT]} if FAULT in incident.parts else {}
    trend = model.Trend.STEADY
    if rank != before:
        trend = model.Trend.MORE_SEVERE if rank > before else model.Trend.LESS_SEVERE
    return replace(
        incident,
        severity=firing.severity if rank > incident.severity.rank else incident.severity,
        trend=trend,
        last_seen_at=max(incident.last_seen_at, now),
        as_of=firing.as_of or incident.as_of,
        provisional=incident.provisional and firing.provisional,
        breaches=incident.breaches + 1,
        newest_severity=firing.severity,
        evidence=firing.evidence,
        value=firing.value,
        limit=firing.limit,
        p_year=firing.p_year,
        run_id=firing.run_id,
        message=firing.message,
        parts={**kept, **firing.parts},
    )


def _with_escalation_clock(
    incident: model.Incident, now: datetime, chain: model.EscalationChain | None
) -> model.Incident:
    """The incident with the escalation clock restarted, if it is critical and escalates."""
    if not incident.is_critical or not incident.may_escalate:
        return incident
    return replace(
        incident,
        critical_since=now,
        chain=incident.chain or chain,
        escalation_step=0,
        escalated_at=None,
    )


def is_recovered(evaluation: Evaluation, *, budget: float, line: float = math.inf) -> bool:
    """Whether a level's final evaluation resolves its incident.

    Args:
        evaluation: Nobody is notified of it. A breach that is too weak for that counts as
            recovered only by its `p_year`.
        budget: The largest `p_year` at which the rule notifies a warning.
        line: The least depth of a drawdown that is notified without evidence.
    """
    parts = evaluation.parts
    if evaluation.provisional or evaluation.kind is Kind.EVENT:
        return False
    if _lacks_rows(parts) or parts.get("upgraded"):
        # Not by missing rows, nor by the change of a method alone.
        return False
    if evaluation.outcome not in (Outcome.OK, Outcome.BREACH):
        return False
    if parts.get("above"):
        # Above the upper band, a value is as far from the lower one as possible.
        return True
    if -(evaluation.value or 0.0) > (1.0 - _MARGIN) * line * (1 + _SLACK):
        # However common such a depth is.
        return False
    if evaluation.p_year is not None and evaluation.p_year > _BUDGETS * budget:
        return True
    if evaluation.outcome is not Outcome.OK:
        return False
    if evaluation.rule in PLAIN:
        return True
    if evaluation.value is None or evaluation.limit is None or evaluation.rule in BY_BUDGET:
        # Without a limit there is no margin; then a known `p_year` alone decides.
        return evaluation.p_year is None
    margin = _MARGIN * abs(evaluation.limit)
    return abs(evaluation.value - evaluation.limit) >= margin * (1 - _SLACK)


def _lacks_rows(parts: Mapping[str, Json]) -> bool:
    return bool(parts.get("missing")) or int(str(parts.get("late_rows", 0))) > LATE


def is_read_again(incident: model.Incident, evaluation: Evaluation) -> bool:
    """Whether a shadow that had stopped or could not be read, and had no fault, is read again."""
    is_blind = evaluation.provisional or evaluation.outcome in UNMEASURED
    return incident.rule == SHADOW and FAULT not in incident.parts and not is_blind


def has_no_cause_left(evaluation: Evaluation, *, budget: float) -> bool:
    """Whether the breach disappeared with restated data; no margin, as it never happened."""
    if evaluation.provisional or _lacks_rows(evaluation.parts):
        return False
    if evaluation.outcome is Outcome.OK or evaluation.parts.get("above"):
        return True
    is_common = evaluation.p_year is not None and evaluation.p_year > _BUDGETS * budget
    return evaluation.outcome is Outcome.BREACH and is_common


def has_same_basis(incident: model.Incident, evaluation: Evaluation) -> bool:
    """Whether members and first live rows of the incident's newest breach are all still there."""
    before, now = (each.parts.get("membership") for each in (incident, evaluation))
    since, begun = (str(each.parts.get("live_since") or "") for each in (incident, evaluation))
    is_same = before is None or now is None or before == now
    return is_same and (not since or begun <= since)


def is_worse(incident: model.Incident, value: float | None, limit: float | None) -> bool:
    """Whether a breach is a quarter worse than when its incident was acknowledged.

    Distances from the limit are compared, so that it works for either direction; the quarter is
    of the value or the limit, whichever is larger in size, since a value may be near zero.
    """
    earlier = incident.acknowledged
    if earlier is None or earlier.value is None or earlier.limit is None:
        return False
    if value is None or limit is None:
        return False
    scale = max(abs(earlier.value), abs(earlier.limit))
    if scale == 0.0 or not math.isfinite(scale):
        return False
    further = abs(value - earlier.limit) - abs(earlier.value - earlier.limit)
    return further >= _WORSE * scale * (1 - _SLACK)
