"""An incident after each event, all of it: what changes, and that nothing else does."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import (
    Acknowledgement,
    EscalationChain,
    Incident,
    Reason,
    Resolution,
    ResolutionRecord,
    Status,
    Trend,
)
from perf_alerts_dagster.incidents.transitions import (
    Action,
    IncidentEvent,
    TransitionRefused,
    acknowledge,
    escalate,
    id_of,
    open_incident,
    register_breach,
    reopen,
    resolve,
    unmute,
)
from perf_alerts_dagster.judging.evaluation import Evidence
from perf_alerts_tests.incidents.example_incidents import (
    HOUR,
    MONDAY,
    NOON,
    TUESDAY,
    a_firing,
    an_incident,
)

LATER = NOON + HOUR
CHAIN = EscalationChain(delay=timedelta(minutes=15), steps=3)
OTHER = EscalationChain(delay=timedelta(minutes=5), steps=1)
HELD = Acknowledgement(by="ann", at=NOON, comment="mine", until=LATER, value=-0.3, limit=-0.2)


def test_an_id_has_24_hex_digits_and_is_another_one_for_each_opening() -> None:
    found = {
        id_of(a_firing(), NOON),
        id_of(a_firing(), LATER),
        id_of(a_firing(run_id="second"), NOON),
        id_of(a_firing(as_of=TUESDAY), NOON),
        id_of(a_firing(dedup_key="k"), NOON),
    }

    assert len(found) == 5
    assert {len(one) for one in found} == {24}
    assert all(int(one, 16) >= 0 for one in found)
    assert id_of(a_firing(), NOON) == id_of(a_firing(), NOON)


@pytest.mark.parametrize(
    ("severity", "since", "chain"),
    [
        (Severity.WARNING, None, None),
        (Severity.CRITICAL, NOON, CHAIN),
        (Severity.EMERGENCY, NOON, CHAIN),
    ],
)
def test_an_incident_opens_with_all_that_its_firing_says(
    severity: Severity, since: object, chain: EscalationChain | None
) -> None:
    firing = a_firing(severity=severity)

    assert open_incident(firing, now=NOON, chain=CHAIN) == an_incident(
        id=id_of(firing, NOON),
        severity=severity,
        newest_severity=severity,
        critical_since=since,
        chain=chain,
    )


AGAIN = a_firing(
    run_id="second",
    message="it fell further",
    evidence=Evidence.UNGATED,
    as_of=TUESDAY,
    value=-0.35,
    limit=-0.25,
    p_year=0.002,
    provisional=False,
    parts={"deepest": -0.35},
)
# What a breach always leaves behind.
SEEN: dict[str, Any] = {
    "run_id": "second",
    "message": "it fell further",
    "evidence": Evidence.UNGATED,
    "as_of": TUESDAY,
    "value": -0.35,
    "limit": -0.25,
    "p_year": 0.002,
    "provisional": False,
    "parts": {"deepest": -0.35},
    "last_seen_at": LATER,
    "breaches": 2,
}


@pytest.mark.parametrize(
    ("severity", "newest", "now", "after", "trend", "action"),
    [
        ("critical", "critical", "critical", "critical", Trend.STEADY, Action.COUNT),
        ("critical", "critical", "warning", "critical", Trend.LESS_SEVERE, Action.COUNT),
        ("critical", "warning", "critical", "critical", Trend.MORE_SEVERE, Action.COUNT),
        ("critical", "critical", "emergency", "emergency", Trend.MORE_SEVERE, Action.RAISE),
    ],
)
def test_a_breach_of_an_open_incident_is_counted_and_shows_the_trend(
    severity: str, newest: str, now: str, after: str, trend: Trend, action: Action
) -> None:
    before = an_incident(
        severity=Severity(severity),
        newest_severity=Severity(newest),
        critical_since=NOON,
        chain=CHAIN,
        escalation_step=2,
        escalated_at=NOON,
        trend=Trend.LESS_SEVERE,
    )
    found, does = register_breach(
        before, replace(AGAIN, severity=Severity(now)), now=LATER, chain=OTHER
    )

    assert does is action
    # It was critical already: its clock goes on, and its chain is its own.
    assert found == replace(
        before,
        **SEEN,
        severity=Severity(after),
        newest_severity=Severity(now),
        trend=trend,
    )


def test_what_becomes_critical_gets_the_chain_of_that_time_and_its_clock_starts() -> None:
    before = an_incident(severity=Severity.WARNING, newest_severity=Severity.WARNING)
    found, does = register_breach(before, AGAIN, now=LATER, chain=CHAIN)

    assert does is Action.RAISE
    assert found == replace(
        before,
        **SEEN,
        severity=Severity.CRITICAL,
        newest_severity=Severity.CRITICAL,
        trend=Trend.MORE_SEVERE,
        critical_since=LATER,
        chain=CHAIN,
    )


@pytest.mark.parametrize(
    ("incident", "firing", "provisional"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, False)],
)
def test_it_is_provisional_until_a_final_row_has_breached(
    incident: bool, firing: bool, provisional: bool
) -> None:
    before = an_incident(provisional=incident)
    found, _ = register_breach(before, a_firing(provisional=firing), now=LATER, chain=None)

    assert found.provisional is provisional


def test_an_older_time_and_a_firing_without_a_date_move_nothing_back() -> None:
    before = an_incident(last_seen_at=LATER)
    found, _ = register_breach(before, a_firing(as_of=None), now=NOON, chain=None)

    assert (found.last_seen_at, found.as_of) == (LATER, MONDAY)


@pytest.mark.parametrize(
    ("value", "severity", "action"),
    [
        (-0.35, Severity.CRITICAL, Action.COUNT),
        (-0.375, Severity.CRITICAL, Action.REOPEN),
        (-0.35, Severity.EMERGENCY, Action.REOPEN),
    ],
)
def test_what_is_looked_after_opens_again_where_it_is_worse(
    value: float, severity: Severity, action: Action
) -> None:
    before = an_incident(
        status=Status.ACKNOWLEDGED, acknowledged=HELD, escalation_step=3, escalated_at=NOON
    )
    firing = replace(AGAIN, value=value, severity=severity)
    found, does = register_breach(before, firing, now=LATER, chain=CHAIN)
    counted = replace(
        before,
        **(SEEN | {"value": value}),
        severity=severity,
        newest_severity=severity,
        trend=Trend.STEADY if severity is Severity.CRITICAL else Trend.MORE_SEVERE,
    )

    assert does is action
    assert found == (
        counted
        if action is Action.COUNT
        else replace(
            counted,
            status=Status.OPEN,
            acknowledged=None,
            critical_since=LATER,
            chain=CHAIN,
            escalation_step=0,
            escalated_at=None,
        )
    )


def test_a_breach_after_the_end_is_another_incident() -> None:
    over = resolve(an_incident(), IncidentEvent.RECOVERED, Resolution.RECOVERED, at=NOON)
    found, does = register_breach(over, AGAIN, now=LATER, chain=CHAIN)

    assert does is Action.NEW
    assert found == open_incident(AGAIN, now=LATER, chain=CHAIN)
    assert found.id != over.id


def owed(**changes: Any) -> Incident:
    """A critical one whose message a silence holds."""
    given: dict[str, Any] = {
        "critical_since": NOON,
        "chain": CHAIN,
        "escalation_step": 2,
        "escalated_at": NOON,
        "owed": Reason.OPENED,
        "muted": True,
    }
    return an_incident(**(given | changes))


def test_who_acknowledges_it_stops_its_clock_and_what_it_owes() -> None:
    found = acknowledge(owed(), by="ann", at=NOON, comment="mine", until=LATER)

    assert found == owed(
        status=Status.ACKNOWLEDGED,
        acknowledged=HELD,
        critical_since=None,
        owed=None,
        muted=False,
    )
    plain = acknowledge(owed(), by="ann", at=NOON)
    assert plain.acknowledged == Acknowledgement(
        by="ann", at=NOON, comment="", until=None, value=-0.3, limit=-0.2
    )
    with pytest.raises(TransitionRefused):
        acknowledge(found, by="bob", at=LATER)


def test_its_end_says_who_and_why_and_leaves_nothing_owed() -> None:
    found = resolve(
        owed(), IncidentEvent.RESOLVE, Resolution.FALSE, at=LATER, by="ann", comment="a holiday"
    )

    assert found == owed(
        status=Status.RESOLVED,
        resolved=ResolutionRecord(
            by="ann", at=LATER, outcome=Resolution.FALSE, comment="a holiday"
        ),
        critical_since=None,
        owed=None,
        muted=False,
    )
    by_itself = resolve(owed(), IncidentEvent.EXPIRED, Resolution.EXPIRED, at=LATER)
    assert by_itself.resolved == ResolutionRecord(
        by="system", at=LATER, outcome=Resolution.EXPIRED, comment=""
    )
    assert resolve(found, IncidentEvent.EXPIRED, Resolution.EXPIRED, at=LATER) is found
    with pytest.raises(TransitionRefused):
        resolve(found, IncidentEvent.RESOLVE, Resolution.TRUE, at=LATER, by="bob")


@pytest.mark.parametrize(("own", "wanted"), [(None, OTHER), (CHAIN, CHAIN)])
def test_opened_again_it_escalates_from_the_first_step_by_its_own_chain(
    own: EscalationChain | None, wanted: EscalationChain
) -> None:
    before = owed(status=Status.ACKNOWLEDGED, acknowledged=HELD, chain=own, critical_since=None)

    assert reopen(before, now=LATER, chain=OTHER) == replace(
        before,
        status=Status.OPEN,
        acknowledged=None,
        critical_since=LATER,
        chain=wanted,
        escalation_step=0,
        escalated_at=None,
    )


def test_a_warning_that_opens_again_has_no_clock() -> None:
    before = an_incident(severity=Severity.WARNING, status=Status.ACKNOWLEDGED, acknowledged=HELD)

    assert reopen(before, now=LATER, chain=CHAIN) == replace(
        before, status=Status.OPEN, acknowledged=None
    )


def test_a_step_is_counted_with_its_time() -> None:
    assert escalate(owed(), now=LATER) == owed(escalation_step=3, escalated_at=LATER)


def test_after_a_silence_the_clock_starts_anew_by_the_same_chain() -> None:
    assert unmute(owed(), now=LATER) == owed(
        muted=False, critical_since=LATER, escalation_step=0, escalated_at=None
    )
    held = owed(status=Status.ACKNOWLEDGED, acknowledged=HELD)
    assert unmute(held, now=LATER) == replace(held, muted=False)
