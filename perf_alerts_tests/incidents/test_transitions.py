"""The state machine: every pair of a status and an event."""

import pytest

from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.incidents.transitions import (
    TRANSITIONS,
    Action,
    IncidentEvent,
    TransitionRefused,
    action_of,
)

# The design's table and time's events, written once more by hand: open, acknowledged, resolved.
EXPECTED = {
    "breach": ("count", "count", "new"),
    "higher_severity": ("raise", "reopen", "new"),
    "acknowledge": ("acknowledge", "refuse", "refuse"),
    "resolve": ("close", "close", "refuse"),
    "recovered": ("recover", "recover", "nothing"),
    "silence": ("mute", "mute", "refuse"),
    "worsened": ("count", "reopen", "new"),
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
    with pytest.raises(
        TransitionRefused, match=f"an incident that is {status} cannot take {event}"
    ):
        action_of(status, event)
