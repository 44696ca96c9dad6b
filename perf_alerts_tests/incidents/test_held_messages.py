"""Which message a channel does not get, and why."""

from datetime import timedelta
from typing import Any

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Incident, Reason, Status
from perf_alerts_dagster.incidents.notification import DeliveryState, MessageKind, PastNotification
from perf_alerts_dagster.incidents.suppression import (
    NotificationHistory,
    SuppressionReason,
    is_repeat_due,
    is_repeated,
    suppression_reason,
)
from perf_alerts_dagster.judging.evaluation import Kind
from perf_alerts_tests.incidents.example_incidents import (
    HOUR,
    INSTANT,
    NOON,
    a_notifying,
    an_incident,
)

PASSING = (Reason.RAISED, Reason.REOPENED, Reason.ESCALATED, Reason.UNMUTED)
BEFORE: dict[str, Any] = {"incident_id": "before"}


def why(
    reason: Reason,
    *notified: PastNotification,
    after: timedelta = INSTANT,
    incident: Incident | None = None,
) -> SuppressionReason | None:
    """Why mail is not told, some time after noon, where an hour is the window."""
    return suppression_reason(
        incident or an_incident(),
        reason,
        "mail",
        NotificationHistory(notified),
        now=NOON + after,
        window=HOUR,
    )


@pytest.mark.parametrize("reason", [one for one in Reason if one.is_worsening])
def test_the_first_message_is_held_by_nothing(reason: Reason) -> None:
    assert why(reason) is None


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, SuppressionReason.ALREADY_NOTIFIED),
        ({"state": DeliveryState.PENDING, "sent_at": None}, SuppressionReason.ALREADY_NOTIFIED),
        ({"state": DeliveryState.LEASED, "sent_at": None}, SuppressionReason.ALREADY_NOTIFIED),
        ({"state": DeliveryState.DEAD, "sent_at": None}, None),
        ({"state": DeliveryState.WITHDRAWN, "sent_at": None}, None),
        ({"severity": Severity.WARNING}, None),
        ({"channel": "chat"}, None),
        ({"channel": "chat", "state": DeliveryState.PENDING, "sent_at": None}, None),
        ({"reason": Reason.RECOVERED}, None),
        ({"reason": Reason.RECOVERED, "state": DeliveryState.PENDING, "sent_at": None}, None),
    ],
)
def test_an_opening_is_told_once_at_each_severity(
    changes: dict[str, Any], found: SuppressionReason | None
) -> None:
    assert why(Reason.OPENED, a_notifying(**changes)) is found


@pytest.mark.parametrize(
    ("changes", "after", "found"),
    [
        ({}, HOUR - INSTANT, SuppressionReason.WINDOW),
        ({}, HOUR, None),
        ({"state": DeliveryState.PENDING, "sent_at": None}, 9 * HOUR, SuppressionReason.PENDING),
        ({"state": DeliveryState.LEASED, "sent_at": None}, 9 * HOUR, SuppressionReason.PENDING),
        ({"state": DeliveryState.DEAD, "sent_at": None}, INSTANT, None),
        ({"severity": Severity.EMERGENCY}, INSTANT, None),
        ({"channel": "chat"}, INSTANT, None),
        ({"kind": MessageKind.ESCALATION}, INSTANT, None),
        ({"reason": Reason.RECOVERED}, INSTANT, None),
        ({"dedup_key": "carry|drawdown|-"}, INSTANT, None),
    ],
)
@pytest.mark.parametrize("reason", [Reason.OPENED, Reason.REPEATED])
def test_at_one_key_and_severity_nothing_goes_out_inside_the_window_or_while_one_is_pending(
    changes: dict[str, Any], after: timedelta, found: SuppressionReason | None, reason: Reason
) -> None:
    assert why(reason, a_notifying(**(BEFORE | changes)), after=after) is found


@pytest.mark.parametrize("reason", PASSING)
@pytest.mark.parametrize("state", [DeliveryState.SENT, DeliveryState.PENDING])
def test_worse_always_passes(reason: Reason, state: DeliveryState) -> None:
    assert why(reason, a_notifying(state=state), a_notifying(**BEFORE, state=state)) is None


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, None),
        ({"severity": Severity.WARNING}, None),
        ({"kind": MessageKind.ESCALATION}, None),
        ({"state": DeliveryState.PENDING, "sent_at": None}, None),
        ({"state": DeliveryState.LEASED, "sent_at": None}, None),
        ({"state": DeliveryState.DEAD, "sent_at": None}, SuppressionReason.OPENING_NOT_NOTIFIED),
        (
            {"state": DeliveryState.WITHDRAWN, "sent_at": None},
            SuppressionReason.OPENING_NOT_NOTIFIED,
        ),
        ({"channel": "chat"}, SuppressionReason.OPENING_NOT_NOTIFIED),
        ({"channel": "chat", "reason": Reason.RAISED}, SuppressionReason.OPENING_NOT_NOTIFIED),
        ({"reason": Reason.RECOVERED}, SuppressionReason.OPENING_NOT_NOTIFIED),
        (BEFORE, SuppressionReason.OPENING_NOT_NOTIFIED),
    ],
)
def test_a_recovery_is_told_where_the_opening_was_or_still_will_be(
    changes: dict[str, Any], found: SuppressionReason | None
) -> None:
    assert why(Reason.RECOVERED, a_notifying(**changes)) is found


@pytest.mark.parametrize(
    ("changes", "after", "due"),
    [
        ({}, HOUR, True),
        ({}, HOUR - INSTANT, False),
        ({"last_notified_at": None}, 9 * HOUR, False),
        ({"status": Status.ACKNOWLEDGED}, HOUR, False),
        ({"status": Status.RESOLVED}, HOUR, False),
        ({"kind": Kind.EVENT}, HOUR, False),
        ({"strategy": ""}, HOUR, False),
        ({"rule": "no_data"}, HOUR, False),
        ({"rule": "record_error"}, HOUR, False),
    ],
)
def test_an_open_level_of_a_strategy_is_told_again(
    changes: dict[str, Any], after: timedelta, due: bool
) -> None:
    incident = an_incident(**({"last_notified_at": NOON} | changes))

    assert (is_repeated(incident) and is_repeat_due([incident], NOON + after, HOUR)) is due


@pytest.mark.parametrize(("every", "due"), [(INSTANT, True), (0 * HOUR, False), (-HOUR, False)])
def test_without_a_time_between_them_nothing_is_repeated(every: timedelta, due: bool) -> None:
    assert is_repeat_due([an_incident(last_notified_at=NOON)], NOON + HOUR, every) is due
