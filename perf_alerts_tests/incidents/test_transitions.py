"""The state machine: every pair of a status and an event."""

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Firing, Incident, Resolution, Status
from perf_alerts_dagster.incidents.transitions import (
    TRANSITIONS,
    Action,
    IncidentEvent,
    TransitionRefused,
    action_of,
    open_incident,
    register_breach,
    resolve,
)
from perf_alerts_tests.incidents.incident_desk import DAY, START

# The design's table and time's events, written once more by hand: open, acknowledged, resolved.
EXPECTED = {
    "breach": ("count", "count", "new"),
    "higher_severity": ("raise", "reopen", "new"),
    "acknowledge": ("acknowledge", "refuse", "refuse"),
    "resolve": ("close", "close", "refuse"),
    "recovered": ("recover", "recover", "nothing"),
    "silence": ("mute", "mute", "refuse"),
    "worsened": ("count", "reopen", "new"),
    "step": ("raise", "reopen", "new"),
    "restated": ("recover", "recover", "nothing"),
    "expired": ("close", "close", "nothing"),
    "acknowledgement_over": ("nothing", "reopen", "nothing"),
    "escalation_due": ("escalate", "nothing", "nothing"),
    "repeat_due": ("repeat", "nothing", "nothing"),
}
PAIRS = [
    (Status(status), IncidentEvent(event), Action(does))
    for event, row in EXPECTED.items()
    for status, does in zip(("open", "acknowledged", "resolved"), row, strict=True)
]


def test_every_pair_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(IncidentEvent)
    assert len(PAIRS) == len(IncidentEvent) * len(Status)


@pytest.mark.parametrize(("status", "event", "does"), PAIRS)
def test_a_pair_does_what_the_design_says(
    status: Status, event: IncidentEvent, does: Action
) -> None:
    if does is not Action.REFUSE:
        assert action_of(status, event) is does
        return
    with pytest.raises(TransitionRefused, match=f"it is {status} already; nothing more to do"):
        action_of(status, event)


def an_incident(status: Status) -> Incident:
    now = open_incident(FIRING, now=START, chain=None)
    if status is Status.RESOLVED:
        return resolve(now, IncidentEvent.RESOLVE, Resolution.TRUE, at=START, by="ann")
    return now


FIRING = Firing(
    dedup_key="trend|max_drawdown|-",
    strategy="trend",
    rule="max_drawdown",
    alert="daily_pnl_check",
    severity=Severity.WARNING,
    run_id="run",
    message="it fell",
)


def test_a_breach_of_a_resolved_incident_opens_another_one() -> None:
    over = an_incident(Status.RESOLVED)

    after, action = register_breach(over, FIRING, now=START + DAY, chain=None)

    assert action is Action.NEW
    assert (after.status, after.opened_at, after.breaches) == (Status.OPEN, START + DAY, 1)
    assert after.id != over.id


def test_the_recovery_of_a_resolved_incident_changes_nothing() -> None:
    over = an_incident(Status.RESOLVED)

    assert resolve(over, IncidentEvent.RECOVERED, Resolution.RECOVERED, at=START + DAY) is over
