"""What one cause did is one event: who leads it, what joins it, and one answer and one clock."""

from datetime import timedelta
from typing import Any

import pytest

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.decisions import DecisionBuilder
from perf_alerts_dagster.incidents.events import Event
from perf_alerts_dagster.incidents.model import Incident, Reason, Resolution, Status
from perf_alerts_dagster.incidents.notification import Notification
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import EventFilter, Snapshot, UnknownIncident
from perf_alerts_dagster.incidents.transitions import TransitionRefused
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_tests.incidents.example_incidents import NOON, an_incident
from perf_alerts_tests.incidents.incident_desk import (
    DAY,
    HOUR,
    MINUTE,
    MONDAY,
    START,
    IncidentDesk,
    breach,
    event,
    fine,
)

CRITICAL = Severity.CRITICAL


def led_by(strategy: str, share: float | None = 0.9) -> dict[str, Json]:
    """The parts of a group of which a strategy lost that share."""
    listed: dict[str, Json] = {"strategy": strategy, "return": -0.02, "pnl": None}
    return {"contributions": [listed | ({} if share is None else {"share": share})]}


def everything(**changes: Any) -> Evaluation:
    """A breach of ALL, of which the strategy `trend` lost the most."""
    given: dict[str, Any] = {"strategy": "ALL", "severity": CRITICAL, "parts": led_by("trend")}
    return breach(**(given | changes))


def crash() -> list[Evaluation]:
    """Three rules of a strategy and one of ALL."""
    return [
        everything(),
        breach(severity=CRITICAL),
        breach(rule="interval_breach"),
        event(severity=CRITICAL),
    ]


@pytest.fixture
def desk() -> IncidentDesk:
    return IncidentDesk(
        settings=NotificationSettings(
            channels=("mail", "pager"),
            escalation_channels=("boss",),
            pagers=frozenset({"pager"}),
            minimum={"pager": CRITICAL},
        )
    )


def events(desk: IncidentDesk) -> list[Event]:
    """All events, oldest first."""
    return list(reversed(desk.incidents.events(EventFilter()).events))


def only_event(desk: IncidentDesk) -> Event:
    (found,) = events(desk)
    return found


def of_rule(desk: IncidentDesk, rule: str, strategy: str = "trend") -> Incident:
    """The newest incident of a rule."""
    return [one for one in desk.all() if (one.rule, one.strategy) == (rule, strategy)][-1]


def test_all_that_one_bad_day_did_is_one_event_of_its_strategy(desk: IncidentDesk) -> None:
    desk.judge(*crash())

    found = only_event(desk)
    assert (found.leader, found.first_session, found.status) == ("trend", MONDAY, Status.OPEN)
    assert found.severity is CRITICAL
    assert {one.event_id for one in desk.all()} == {found.id}
    assert len(desk.all()) == 4


def test_it_is_one_message_to_each_channel(desk: IncidentDesk) -> None:
    desk.judge(*crash())

    rows = desk.outbox.claim(desk.now, "w", HOUR, limit=10)
    assert sorted((row.channel, len(row.items)) for row in rows) == [("mail", 4), ("pager", 3)]


def test_another_strategy_has_an_event_of_its_own(desk: IncidentDesk) -> None:
    desk.judge(breach(), breach(strategy="carry"))

    assert {one.leader for one in events(desk)} == {"trend", "carry"}


@pytest.mark.parametrize(
    ("share", "leader"), [(0.5, "trend"), (0.499, "ALL"), (1.3, "trend"), (None, "ALL")]
)
def test_a_group_follows_who_lost_at_least_half_of_its_loss(
    desk: IncidentDesk, share: float | None, leader: str
) -> None:
    desk.judge(breach(), everything(parts=led_by("trend", share)))

    group = of_rule(desk, "max_drawdown", "ALL")
    assert desk.incidents.event(group.event_id).leader == leader  # type: ignore[union-attr]


def test_a_group_leads_where_its_largest_loser_has_no_event(desk: IncidentDesk) -> None:
    desk.judge(everything())

    assert only_event(desk).leader == "ALL"


def test_a_strategy_follows_nobody_whatever_its_parts_say(desk: IncidentDesk) -> None:
    desk.judge(breach(strategy="carry"), breach(parts=led_by("carry")))

    assert {one.leader for one in events(desk)} == {"carry", "trend"}


def test_a_later_execution_joins_the_event_of_its_strategy(desk: IncidentDesk) -> None:
    desk.judge(event())
    desk.judge_next_day(breach(), alert="weekly_stability_check")

    found = only_event(desk)
    assert (found.first_session, found.last_session) == (MONDAY, MONDAY + DAY)


@pytest.mark.parametrize(("sessions", "count"), [(5, 1), (6, 2)])
def test_what_comes_long_after_the_last_new_incident_is_another_event(
    desk: IncidentDesk, sessions: int, count: int
) -> None:
    desk.judge(breach())
    for _ in range(sessions - 1):
        desk.judge_next_day(breach())
    desk.judge_next_day(breach(), breach(rule="interval_breach"))

    assert len(events(desk)) == count


def test_what_breaches_again_after_all_was_resolved_is_a_new_event(desk: IncidentDesk) -> None:
    desk.judge(breach())
    desk.judge(fine())
    desk.wait(MINUTE)
    desk.judge(breach())

    assert [one.status for one in events(desk)] == [Status.RESOLVED, Status.OPEN]
    assert [one.outcome for one in events(desk)] == [Resolution.RECOVERED, None]


def test_a_problem_of_the_system_is_an_event_until_it_is_over(desk: IncidentDesk) -> None:
    desk.lifecycle.dead_letter("mail", error="e", now=desk.now)
    desk.wait(30 * DAY)
    desk.lifecycle.dead_letter("mail", error="e", now=desk.now)
    assert only_event(desk).leader == "|dead_letter|mail"

    desk.lifecycle.channel_recovered("mail", now=desk.now)
    desk.lifecycle.dead_letter("mail", error="e", now=desk.now + MINUTE)
    assert len(events(desk)) == 2


def test_an_event_is_as_its_incidents_are(desk: IncidentDesk) -> None:
    desk.judge(breach(severity=CRITICAL), breach(rule="interval_breach"))
    desk.lifecycle.acknowledge(of_rule(desk, "interval_breach").id, by="ann", now=desk.now)
    assert only_event(desk).status is Status.OPEN

    desk.lifecycle.acknowledge(of_rule(desk, "max_drawdown").id, by="ann", now=desk.now)
    assert only_event(desk).status is Status.ACKNOWLEDGED

    desk.judge(fine(), breach(rule="interval_breach"))
    assert (only_event(desk).status, only_event(desk).severity) == (
        Status.ACKNOWLEDGED,
        Severity.WARNING,
    )
    desk.judge(fine(rule="interval_breach"))
    assert only_event(desk).status is Status.RESOLVED


def test_one_acknowledgement_answers_all_of_it(desk: IncidentDesk) -> None:
    desk.judge(*crash())
    desk.deliver()
    after = desk.lifecycle.acknowledge_event(
        only_event(desk).id, by="ann", now=desk.now, comment="I look"
    )

    assert after.status is Status.ACKNOWLEDGED
    assert {one.status for one in desk.all()} == {Status.ACKNOWLEDGED}
    desk.wait(DAY - MINUTE)
    desk.sweep()
    # The pager alone is told who looks after it.
    assert {line.partition(":")[0] for line in desk.deliver()} == {"pager"}


def test_one_verdict_resolves_all_of_it(desk: IncidentDesk) -> None:
    desk.judge(*crash())
    after = desk.lifecycle.resolve_event(
        only_event(desk).id, by="ann", now=desk.now, outcome=Resolution.TRUE
    )

    assert (after.status, after.outcome) == (Status.RESOLVED, Resolution.TRUE)
    assert {one.status for one in desk.all()} == {Status.RESOLVED}


def test_a_second_answer_names_the_first(desk: IncidentDesk) -> None:
    desk.judge(*crash())
    event_id = only_event(desk).id
    desk.lifecycle.acknowledge_event(event_id, by="operator:oncall", now=desk.now)
    said = r"operator:oncall acknowledged it on 2026-01-05 at 18:00 UTC; nothing more to do"
    with pytest.raises(TransitionRefused, match=said):
        desk.lifecycle.acknowledge_event(event_id, by="bob", now=desk.now)

    known = Resolution.KNOWN
    desk.lifecycle.resolve_event(event_id, by="ann", now=desk.now, outcome=known)
    with pytest.raises(TransitionRefused, match="ann resolved it"):
        desk.lifecycle.resolve_event(event_id, by="bob", now=desk.now, outcome=known)
    with pytest.raises(TransitionRefused, match="ann resolved it"):
        desk.lifecycle.acknowledge_event(event_id, by="bob", now=desk.now)


def test_an_event_that_there_is_not_is_unknown(desk: IncidentDesk) -> None:
    with pytest.raises(UnknownIncident):
        desk.lifecycle.acknowledge_event("0" * 24, by="ann", now=desk.now)


def test_the_leader_is_heard_again_after_an_answer(desk: IncidentDesk) -> None:
    desk.judge(breach(severity=CRITICAL))
    desk.deliver()
    desk.lifecycle.acknowledge_event(only_event(desk).id, by="ann", now=desk.now)
    desk.deliver()
    desk.judge_next_day(breach(severity=CRITICAL), breach(rule="interval_breach"))

    assert desk.deliver() == ["mail: opened warning trend/interval_breach"]
    assert only_event(desk).status is Status.OPEN


@pytest.mark.parametrize("answer", ["acknowledged", "resolved", "silenced"])
def test_who_answered_the_cause_has_answered_what_its_group_says(
    desk: IncidentDesk, answer: str
) -> None:
    desk.judge(breach(severity=CRITICAL))
    desk.deliver()
    event_id, known = only_event(desk).id, Resolution.KNOWN
    if answer == "acknowledged":
        desk.lifecycle.acknowledge_event(event_id, by="ann", now=desk.now)
    elif answer == "resolved":
        desk.lifecycle.resolve_event(event_id, by="ann", now=desk.now, outcome=known)
    else:
        desk.silence(3 * DAY, event=event_id)
    desk.deliver()
    # Not its own rule, which is a new incident after a verdict.
    desk.judge_next_day(everything())

    assert desk.deliver() == []
    group = of_rule(desk, "max_drawdown", "ALL")
    assert group.status is (Status.OPEN if answer == "silenced" else Status.ACKNOWLEDGED)
    why = "silenced" if answer == "silenced" else "its_event_is_answered"
    assert desk.suppressions(group) == [why]
    desk.wait(-HOUR)
    desk.sweep()
    assert desk.deliver() == []


def test_what_a_verdict_has_answered_for_a_group_does_not_time_out(desk: IncidentDesk) -> None:
    desk.judge(breach(severity=CRITICAL))
    desk.deliver()
    known = Resolution.KNOWN
    desk.lifecycle.resolve_event(only_event(desk).id, by="ann", now=desk.now, outcome=known)
    desk.judge_next_day(everything())
    desk.deliver()
    desk.wait(2 * DAY)
    desk.sweep()

    assert desk.deliver() == []
    assert of_rule(desk, "max_drawdown", "ALL").status is Status.ACKNOWLEDGED


def test_what_is_worse_than_what_was_silenced_is_heard(desk: IncidentDesk) -> None:
    desk.judge(breach())
    desk.deliver()
    desk.silence(3 * DAY, event=only_event(desk).id, up_to=Severity.WARNING)
    desk.judge_next_day(breach(), breach(rule="interval_breach"))
    assert desk.deliver() == []

    desk.judge_next_day(breach(severity=CRITICAL))
    assert "mail: raised critical trend/max_drawdown" in desk.deliver()


def test_what_the_group_says_is_heard_where_it_is_worse_than_what_was_answered(
    desk: IncidentDesk,
) -> None:
    desk.judge(breach())
    desk.deliver()
    desk.lifecycle.acknowledge_event(only_event(desk).id, by="ann", now=desk.now)
    desk.judge_next_day(everything())

    assert "mail: opened critical ALL/max_drawdown" in desk.deliver()


def test_what_happened_to_another_one_long_ago_answers_nothing(desk: IncidentDesk) -> None:
    desk.judge(breach(severity=CRITICAL))
    desk.deliver()
    known = Resolution.KNOWN
    desk.lifecycle.resolve_event(only_event(desk).id, by="ann", now=desk.now, outcome=known)
    for _ in range(5):
        desk.judge_next_day(fine())
    desk.judge_next_day(everything())

    assert "mail: opened critical ALL/max_drawdown" in desk.deliver()


def test_a_recovered_cause_answers_nothing_for_its_group(desk: IncidentDesk) -> None:
    desk.judge(breach(severity=CRITICAL))
    desk.judge_next_day(fine())
    desk.deliver()
    desk.judge_next_day(everything())

    assert "mail: opened critical ALL/max_drawdown" in desk.deliver()
    assert events(desk)[-1].leader == "ALL"


def test_all_of_it_escalates_once_by_the_clock_of_its_first_critical_one(
    desk: IncidentDesk,
) -> None:
    desk.judge(*crash())
    desk.deliver()
    desk.wait(10 * MINUTE)
    desk.judge(*crash(), breach(rule="sharpe_ratio", severity=CRITICAL))
    desk.deliver()
    desk.wait(5 * MINUTE)
    desk.sweep()

    (row,) = desk.outbox.claim(desk.now, "w", HOUR, limit=10)
    assert (row.channel, row.kind, len(row.items)) == ("boss", "escalation", 4)
    assert only_event(desk).escalation_step == 1
    assert {one.escalation_step for one in desk.all() if one.is_critical} == {1}


def test_what_joins_an_escalated_event_does_not_begin_at_its_first_step(
    desk: IncidentDesk,
) -> None:
    desk.judge(breach(severity=CRITICAL))
    desk.deliver()
    desk.wait(15 * MINUTE)
    desk.sweep()
    desk.deliver()
    desk.judge(breach(severity=CRITICAL), breach(rule="sharpe_ratio", severity=CRITICAL))
    assert of_rule(desk, "sharpe_ratio").escalation_step == 1

    heard = []
    for _ in range(8):
        desk.wait(15 * MINUTE)
        desk.sweep()
        heard += [line for line in desk.deliver() if line.startswith("boss")]
    assert len(heard) == 2


def test_nobody_is_escalated_to_about_what_the_desk_was_not_notified_of(
    desk: IncidentDesk,
) -> None:
    desk.set(channels=("mail",))
    desk.judge(breach(severity=CRITICAL))
    (row,) = desk.outbox.claim(desk.now, "w", MINUTE)
    desk.wait(20 * MINUTE)
    desk.outbox.mark_for_retry(row.id, row.fence, desk.now, "down")
    desk.sweep()
    assert [line.partition(":")[0] for line in desk.waiting()] == ["mail"]

    # It has its time to answer once it knows.
    desk.deliver()
    desk.wait(15 * MINUTE - timedelta(seconds=1))
    desk.sweep()
    assert desk.waiting() == []
    desk.wait(timedelta(seconds=1))
    desk.sweep()
    assert [line.partition(":")[0] for line in desk.waiting()] == ["boss"]


def test_where_the_desk_cannot_be_notified_at_all_somebody_else_is(desk: IncidentDesk) -> None:
    desk.set(channels=("mail",))
    desk.judge(breach(severity=CRITICAL))
    (row,) = desk.outbox.claim(desk.now, "w", MINUTE)
    desk.outbox.mark_dead(row.id, row.fence, "gone")
    desk.wait(15 * MINUTE)
    desk.sweep()

    assert [line.partition(":")[0] for line in desk.waiting()] == ["boss"]


def test_it_is_repeated_as_one_after_nothing_was_said_of_it_for_long(desk: IncidentDesk) -> None:
    desk.judge(breach())
    desk.deliver()
    desk.wait(10 * HOUR)
    desk.judge(breach(), breach(rule="interval_breach"))
    desk.deliver()
    desk.wait(14 * HOUR)
    desk.sweep()
    assert desk.deliver() == []

    desk.wait(10 * HOUR)
    desk.sweep()
    assert desk.deliver() == [
        "mail: repeated warning trend/interval_breach, repeated warning trend/max_drawdown"
    ]


def page(desk: IncidentDesk) -> list[tuple[str, object]]:
    """What the pager hears: the reasons of each message, and the event's status for it."""

    def status(row: Notification) -> object:
        listed = row.payload["incidents"]
        assert isinstance(listed, list)
        found = {
            str(each["event"]["channel_status"])
            for each in listed
            if isinstance(each, dict) and isinstance(each["event"], dict)
        }
        assert len(found) == 1
        return found.pop()

    heard = []
    while rows := desk.outbox.claim(desk.now, "w", HOUR, limit=50):
        for row in rows:
            assert desk.outbox.mark_sent(row.id, row.fence, desk.now)
            if row.channel == "pager":
                reasons = sorted({item.reason.value for item in row.items})
                heard.append((" ".join(reasons), status(row)))
    return heard


def test_a_pager_hears_of_the_answer_and_of_the_end_of_what_it_was_notified_of(
    desk: IncidentDesk,
) -> None:
    desk.judge(breach(severity=CRITICAL), breach(rule="interval_breach"))
    assert page(desk) == [("opened", "open")]

    desk.lifecycle.acknowledge_event(only_event(desk).id, by="ann", now=desk.now)
    assert page(desk) == [("acknowledged", "acknowledged")]

    # A warning, which the pager never heard of, burns on.
    desk.judge_next_day(fine(), breach(rule="interval_breach"))
    assert page(desk) == [("recovered", "resolved")]
    assert only_event(desk).status is Status.ACKNOWLEDGED
    desk.judge_next_day(fine(rule="interval_breach"))
    assert page(desk) == []


def test_a_pager_hears_of_a_verdict_and_of_what_has_expired(desk: IncidentDesk) -> None:
    desk.judge(event(severity=CRITICAL))
    page(desk)
    for _ in range(5):
        desk.judge_next_day(fine())
    assert [one for one in page(desk) if one[0] == "resolved"] == [("resolved", "resolved")]

    desk.judge_next_day(breach(severity=CRITICAL))
    page(desk)
    known = Resolution.KNOWN
    desk.lifecycle.resolve_event(events(desk)[-1].id, by="ann", now=desk.now, outcome=known)
    assert page(desk) == [("resolved", "resolved")]


def test_everybody_who_was_notified_hears_that_it_is_over(desk: IncidentDesk) -> None:
    desk.judge(breach(severity=CRITICAL), breach(strategy="carry"))
    desk.deliver()
    desk.wait(15 * MINUTE)
    desk.sweep()
    desk.deliver()
    desk.judge(fine(), fine(strategy="carry"))

    assert sorted(desk.deliver()) == [
        "boss: recovered critical trend/max_drawdown",
        "mail: recovered critical trend/max_drawdown, recovered warning carry/max_drawdown",
        "pager: recovered critical trend/max_drawdown",
    ]


def test_a_group_that_is_renamed_leads_under_its_new_name(desk: IncidentDesk) -> None:
    parts: dict[str, Json] = {"group": "ALL", "currency": "USD"}
    desk.judge(breach(strategy="ALL", parts=parts))
    desk.judge_next_day(breach(strategy="ALL:USD", parts=parts))

    assert only_event(desk).leader == "ALL:USD"


def test_an_event_says_when_it_was_opened(desk: IncidentDesk) -> None:
    desk.judge(breach())

    assert only_event(desk).opened_at == START


def test_a_group_with_a_name_that_another_one_had_is_an_event_of_its_own(
    desk: IncidentDesk,
) -> None:
    def group(name: str, currency: str) -> Evaluation:
        return breach(strategy=name, parts={"group": "ALL", "currency": currency})

    desk.judge(group("ALL", "USD"))
    desk.judge(group("ALL:USD", "USD"))
    desk.judge(group("ALL:USD", "USD"), group("ALL", "EUR"))

    assert sorted(one.leader for one in events(desk)) == ["ALL", "ALL:USD"]


def test_an_incident_of_an_older_version_has_no_event_in_its_message() -> None:
    incident = an_incident(event_id="")
    settings = NotificationSettings(channels=("mail",))
    builder = DecisionBuilder(Snapshot(incidents=(incident,)), settings, now=NOON, window="w")
    builder.notify(incident, Reason.REPEATED)

    (row,) = builder.decisions().notifications
    listed = row.payload["incidents"]
    assert isinstance(listed, list)
    assert [each["event"] for each in listed if isinstance(each, dict)] == [None]
