"""Which messages a window suppresses, and when a level that goes on is notified again."""

from dataclasses import replace
from datetime import timedelta

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Reason, Resolution
from perf_alerts_dagster.incidents.notification import DeliveryState, MessageKind, PastNotification
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.suppression import (
    NotificationHistory,
    SuppressionReason,
    suppression_reason,
)
from perf_alerts_tests.incidents.incident_desk import (
    DAY,
    HOUR,
    INSTANT,
    MINUTE,
    IncidentDesk,
    breach,
    event,
    fine,
)

OPENED = "mail: opened warning trend/max_drawdown"
REPEATED = "mail: repeated warning trend/max_drawdown"
RECOVERED = "mail: recovered warning trend/max_drawdown"


@pytest.fixture
def desk() -> IncidentDesk:
    return IncidentDesk(
        settings=NotificationSettings(channels=("mail",), window=timedelta(minutes=60))
    )


def known(desk: IncidentDesk) -> None:
    """A person resolves the newest incident."""
    desk.lifecycle.resolve(desk.all()[-1].id, by="ann", now=desk.now, outcome=Resolution.KNOWN)


def again(desk: IncidentDesk, after: timedelta) -> None:
    """Notified, and resolved by a person at once; then the same breach again."""
    desk.judge(breach())
    assert desk.deliver() == [OPENED]
    known(desk)
    desk.wait(after)
    desk.judge(breach())


def test_what_begins_again_after_a_recovery_passes_the_window(desk: IncidentDesk) -> None:
    desk.judge(breach())
    assert desk.deliver() == [OPENED]
    desk.judge(fine())
    assert desk.deliver() == [RECOVERED]
    desk.wait(MINUTE)
    desk.judge(breach())

    assert desk.deliver() == [OPENED]
    assert desk.suppressions(desk.all()[1]) == []


def test_the_same_key_inside_the_window_is_suppressed(desk: IncidentDesk) -> None:
    again(desk, 60 * MINUTE - INSTANT)

    assert desk.waiting() == []
    assert desk.suppressions(desk.all()[1]) == ["suppression_window"]


def test_the_window_ends_on_its_minute(desk: IncidentDesk) -> None:
    again(desk, 60 * MINUTE)

    assert desk.waiting() == [OPENED]


def test_what_the_window_suppressed_is_notified_when_it_ends(desk: IncidentDesk) -> None:
    again(desk, 10 * MINUTE)

    desk.wait(50 * MINUTE - INSTANT)
    desk.sweep()
    assert desk.waiting() == []
    desk.wait(INSTANT)
    desk.sweep()
    assert desk.waiting() == [OPENED]
    desk.sweep()
    assert desk.waiting() == [OPENED]


def test_what_was_suppressed_and_is_resolved_is_never_notified(desk: IncidentDesk) -> None:
    again(desk, 10 * MINUTE)
    desk.judge(fine())
    desk.wait(2 * HOUR)
    desk.sweep()

    assert desk.waiting() == []
    assert desk.suppressions(desk.all()[1]) == ["suppression_window", "its_opening_was_not_told"]


def test_worse_passes_the_window(desk: IncidentDesk) -> None:
    again(desk, MINUTE)
    desk.judge(breach(severity=Severity.CRITICAL))

    assert desk.waiting() == ["mail: raised critical trend/max_drawdown"]


def test_another_severity_is_not_suppressed(desk: IncidentDesk) -> None:
    desk.judge(breach())
    desk.deliver()
    desk.judge(fine())
    desk.deliver()
    desk.judge(breach(severity=Severity.CRITICAL))

    assert desk.waiting() == ["mail: opened critical trend/max_drawdown"]


def test_another_strategy_or_rule_is_not_suppressed(desk: IncidentDesk) -> None:
    desk.judge(breach())
    desk.deliver()
    desk.judge(breach(), breach(strategy="carry"), breach(rule="sharpe_ratio"))

    assert desk.waiting() == [
        "mail: opened warning carry/max_drawdown, opened warning trend/sharpe_ratio"
    ]


def test_nothing_is_notified_while_one_is_pending(desk: IncidentDesk) -> None:
    desk.judge(breach())
    known(desk)
    desk.judge(breach())

    assert desk.suppressions(desk.all()[1]) == ["one_is_pending"]
    assert desk.waiting() == [OPENED]


def test_what_opened_and_recovered_before_it_was_sent_is_one_message(desk: IncidentDesk) -> None:
    desk.judge(breach())
    desk.judge(fine())
    assert desk.waiting() == [RECOVERED]

    desk.judge(breach())
    assert desk.deliver() == [RECOVERED, OPENED]


def test_without_a_window_everything_is_notified(desk: IncidentDesk) -> None:
    desk.set(window=timedelta(0))
    again(desk, timedelta(0))

    assert desk.waiting() == [OPENED]


def test_the_window_counts_from_the_delivery(desk: IncidentDesk) -> None:
    desk.judge(breach())
    desk.wait(30 * MINUTE)
    desk.deliver()
    known(desk)
    desk.wait(60 * MINUTE - INSTANT)
    desk.judge(breach())

    assert desk.waiting() == []


def test_a_level_that_goes_on_is_notified_again_after_a_day(desk: IncidentDesk) -> None:
    desk.judge(breach())
    desk.deliver()

    desk.wait(DAY - INSTANT)
    desk.sweep()
    assert desk.waiting() == []
    desk.wait(INSTANT)
    desk.sweep()
    assert desk.deliver() == [REPEATED]
    desk.sweep()
    assert desk.waiting() == []
    desk.wait(DAY)
    desk.sweep()
    assert desk.waiting() == [REPEATED]


def test_a_repeat_that_is_not_delivered_is_not_made_twice(desk: IncidentDesk) -> None:
    desk.judge(breach())
    desk.deliver()
    desk.wait(2 * DAY)
    desk.sweep()
    desk.wait(DAY)
    desk.sweep()

    assert desk.waiting() == [REPEATED]


def test_an_event_is_notified_once(desk: IncidentDesk) -> None:
    desk.judge(event())
    desk.deliver()
    desk.wait(3 * DAY)
    desk.sweep()

    assert desk.waiting() == []


def test_an_acknowledged_level_is_not_notified_again(desk: IncidentDesk) -> None:
    desk.judge(breach())
    desk.deliver()
    desk.acknowledge()
    desk.wait(3 * DAY)
    desk.sweep()

    assert desk.waiting() == []


def test_no_repeats_at_all_where_the_hours_are_zero(desk: IncidentDesk) -> None:
    desk.set(repeat=timedelta(0))
    desk.judge(breach())
    desk.deliver()
    desk.wait(30 * DAY)
    desk.sweep()

    assert desk.waiting() == []


def test_each_channel_is_notified_what_it_missed() -> None:
    desk = IncidentDesk(settings=NotificationSettings(channels=("mail", "chat")))
    desk.judge(breach())
    (row,) = desk.outbox.claim(desk.now, "postman", MINUTE, channels=["mail"])
    desk.outbox.mark_sent(row.id, row.fence, desk.now)
    known(desk)
    desk.judge(breach())

    # The mail has said so a moment ago; the chat still has to say the first one.
    suppressed = [one.detail for one in desk.entries(desk.all()[1]) if one.what == "suppressed"]
    assert [(one["why"], one["channels"]) for one in suppressed] == [
        ("suppression_window", ["mail"]),
        ("one_is_pending", ["chat"]),
    ]


def test_an_opening_that_a_channel_had_at_this_severity_is_not_sent_to_it_again(
    desk: IncidentDesk,
) -> None:
    desk.judge(breach())
    incident = desk.only()
    sent = PastNotification(
        incident_id=incident.id,
        dedup_key=incident.dedup_key,
        severity=incident.severity,
        channel="mail",
        kind=MessageKind.NORMAL,
        reason=Reason.OPENED,
        state=DeliveryState.SENT,
        sent_at=desk.now - 2 * HOUR,
    )

    def why(row: PastNotification) -> SuppressionReason | None:
        history = NotificationHistory([row])
        return suppression_reason(
            incident, Reason.OPENED, "mail", history, now=desk.now, window=HOUR
        )

    assert why(sent) is SuppressionReason.ALREADY_NOTIFIED
    assert why(replace(sent, severity=Severity.INFO)) is None
    assert why(replace(sent, channel="chat")) is None
    assert why(replace(sent, state=DeliveryState.DEAD, sent_at=None)) is None
    assert why(replace(sent, incident_id="another", sent_at=desk.now)) is SuppressionReason.WINDOW


@pytest.mark.parametrize("jump", [-timedelta(days=1), -timedelta(hours=2)], ids=str)
def test_a_clock_that_was_set_back_does_not_make_the_window_longer(
    desk: IncidentDesk, jump: timedelta
) -> None:
    again(desk, jump)

    assert desk.waiting() == [OPENED]
