"""Incidents about the source, groups and the system itself: opened once, ended by success."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Incidents
from perf_alerts_dagster.incidents.model import Resolution, Status
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import ConcurrentChange
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.notifications.messages import message_of
from perf_alerts_dagster.notifications.text import Wording
from perf_alerts_tests.incidents.incident_desk import (
    DAILY,
    DAY,
    MINUTE,
    MONDAY,
    START,
    IncidentDesk,
    breach,
    event,
    fine,
    judged,
)


@pytest.fixture
def desk() -> IncidentDesk:
    return IncidentDesk()


def late(strategy: str) -> Evaluation:
    return breach(
        strategy=strategy,
        rule="no_data",
        outcome=Outcome.NO_DATA,
        evidence=Evidence.UNGATED,
        value=None,
        limit=None,
        p_year=None,
    )


def fresh(strategy: str) -> Evaluation:
    return fine(strategy=strategy, rule="no_data", value=0.0, limit=2.0)


def test_one_late_strategy_is_its_own_incident(desk: IncidentDesk) -> None:
    desk.judge(late("trend"), fresh("carry"))

    assert desk.waiting() == ["mail: opened warning trend/no_data"]


def test_a_source_that_is_late_as_a_whole_is_one_incident(desk: IncidentDesk) -> None:
    desk.judge(late("trend"), late("carry"), late("value"))
    desk.judge_next_day(late("trend"), late("carry"), late("value"))

    incident = desk.only()
    assert (incident.strategy, incident.rule, incident.breaches) == ("", "no_data", 2)
    assert incident.severity is Severity.CRITICAL


def test_a_late_source_says_since_when_and_how_many_strategies_have_no_row(
    desk: IncidentDesk,
) -> None:
    def since(day: str, sessions: int) -> dict[str, Any]:
        headline = f"no rows since {day} ({sessions} sessions late)"
        return {"parts": {"headline": headline}, "value": float(sessions)}

    desk.judge(
        replace(late("carry"), **since("Mon 29 Dec", 5)),
        replace(late("trend"), **since("Wed 31 Dec", 3)),
    )
    (row,) = desk.memory.rows.values()
    message = message_of(row, wording=Wording())

    said = "no rows since Wed 31 Dec (3 sessions late)"
    assert message.subject == f"[CRITICAL] records: {said}"
    assert f"no strategy of the source has a recent row: {said}, 2 strategies" in message.text


def test_the_sources_incident_is_over_with_the_first_fresh_row(desk: IncidentDesk) -> None:
    desk.judge(late("trend"), late("carry"))
    desk.deliver()
    desk.judge_next_day(fresh("trend"), late("carry"))

    source, carry = desk.all()
    assert source.status is Status.RESOLVED
    assert (carry.strategy, carry.status) == ("carry", Status.OPEN)


def test_missing_data_is_notified_once_and_not_every_day(desk: IncidentDesk) -> None:
    desk.judge(late("trend"), fresh("carry"))
    desk.deliver()
    for _ in range(3):
        desk.judge_next_day(late("trend"), fresh("carry"))
        desk.sweep()

    assert desk.waiting() == []
    desk.judge_next_day(fresh("trend"), fresh("carry"))
    assert desk.waiting() == ["mail: recovered warning trend/no_data"]


def test_rows_that_cannot_be_read_are_an_incident_until_they_can(desk: IncidentDesk) -> None:
    error = breach(
        rule="record_error",
        outcome=Outcome.ERROR,
        evidence=Evidence.UNGATED,
        value=None,
        limit=None,
    )
    desk.judge(error)
    desk.judge(error)
    assert desk.only().breaches == 2
    desk.judge(fine())

    assert desk.only().status is Status.RESOLVED


def test_a_group_is_the_parent_of_its_members_incidents(desk: IncidentDesk) -> None:
    together = event(
        strategy="ALL",
        rule="joint_exceedances",
        severity=Severity.CRITICAL,
        parts={"members": ["trend", "carry"]},
    )
    desk.judge(event(), event(strategy="carry"), event(strategy="value"), breach(), together)

    by_name = {(one.strategy, one.rule): one for one in desk.all()}
    group = by_name["ALL", "joint_exceedances"]
    assert by_name["trend", "daily_exceedance"].parent == group.id
    assert by_name["carry", "daily_exceedance"].parent == group.id
    # Not a member; and a level of a member is not of that session.
    assert by_name["value", "daily_exceedance"].parent is None
    assert by_name["trend", "max_drawdown"].parent is None
    (message,) = desk.waiting()
    assert message.startswith("mail: opened critical ALL/joint_exceedances, ")


def test_the_history_of_a_group_lists_its_members_incidents(desk: IncidentDesk) -> None:
    together = event(
        strategy="ALL", rule="joint_exceedances", parts={"members": ["trend", "carry"]}
    )
    desk.judge(event(), event(strategy="carry"), event(strategy="value"), together)
    group = next(incident for incident in desk.all() if incident.rule == "joint_exceedances")
    member = next(incident for incident in desk.all() if incident.strategy == "carry")
    incidents = Incidents(store=desk.memory, outbox=desk.memory, lifecycle=desk.lifecycle)

    members = incidents.history(group).members

    assert {incident.strategy for incident in members} == {"trend", "carry"}
    assert incidents.history(member).members == []


def test_a_failed_execution_is_an_incident_until_the_next_success(desk: IncidentDesk) -> None:
    desk.lifecycle.execution_failed(DAILY, run_id="a", error="the source is away", now=desk.now)
    desk.lifecycle.execution_failed(DAILY, run_id="b", error="the source is away", now=desk.now)

    incident = desk.only()
    assert (incident.severity, incident.breaches) == (Severity.CRITICAL, 2)
    assert "the source is away" in incident.message
    assert desk.deliver() == ["mail: opened critical /execution_failed"]

    desk.judge(fine())
    assert desk.only().status is Status.RESOLVED
    assert desk.waiting() == ["mail: recovered critical /execution_failed"]


def test_the_same_failed_run_is_said_once_though_it_is_over(desk: IncidentDesk) -> None:
    desk.lifecycle.execution_failed(DAILY, run_id="a", error="e", now=desk.now)
    desk.judge(fine())
    desk.lifecycle.execution_failed(DAILY, run_id="a", error="e", now=desk.now)

    assert desk.only().status is Status.RESOLVED
    assert desk.only().breaches == 1


def test_the_success_of_another_alert_ends_nothing(desk: IncidentDesk) -> None:
    desk.lifecycle.execution_failed("weekly_stability_check", run_id="a", error="e", now=desk.now)
    desk.judge(fine())

    assert desk.only().status is Status.OPEN


def test_a_missed_execution_is_an_incident_until_the_next_success(desk: IncidentDesk) -> None:
    desk.lifecycle.execution_missed(DAILY, due_at=START, now=desk.now)
    desk.lifecycle.execution_missed(DAILY, due_at=START, now=desk.now)

    assert desk.only().breaches == 1
    assert START.isoformat() in desk.only().message
    desk.judge(fine())
    assert desk.only().status is Status.RESOLVED


def test_an_execution_that_judges_nothing_new_ends_a_failure_too(desk: IncidentDesk) -> None:
    desk.lifecycle.execution_failed(DAILY, run_id="a", error="e", now=desk.now)
    desk.lifecycle.apply_judgements(DAILY, run_id="b", now=desk.now)

    assert desk.only().status is Status.RESOLVED


def test_a_dead_letter_is_notified_by_the_other_channels() -> None:
    desk = IncidentDesk(
        settings=NotificationSettings(channels=("mail", "chat"), escalation_channels=("pager",))
    )
    desk.lifecycle.dead_letter("mail", error="gone", now=desk.now)

    assert sorted(desk.waiting()) == [
        "chat: opened critical /dead_letter",
        "pager: opened critical /dead_letter",
    ]


def test_a_dead_letter_of_the_only_channel_is_an_incident_all_the_same(
    desk: IncidentDesk,
) -> None:
    desk.lifecycle.dead_letter("mail", error="gone", now=desk.now)

    assert desk.only().status is Status.OPEN
    assert desk.waiting() == []
    assert desk.suppressions() == ["no_channel"]


def test_a_dead_letter_is_over_when_its_channel_works() -> None:
    desk = IncidentDesk(settings=NotificationSettings(channels=("mail", "chat")))
    desk.lifecycle.dead_letter("mail", error="gone", now=desk.now)
    desk.lifecycle.channel_recovered("chat", now=desk.now)
    assert desk.only().status is Status.OPEN
    desk.lifecycle.channel_recovered("mail", now=desk.now)

    assert desk.only().status is Status.RESOLVED


def test_a_silent_daemon_is_notified_once_and_when_it_is_back(desk: IncidentDesk) -> None:
    desk.lifecycle.report_since("daemon_dead", since=START, now=desk.now)
    desk.lifecycle.report_since("daemon_dead", since=START, now=desk.now + MINUTE)
    assert desk.deliver() == ["mail: opened critical /daemon_dead"]
    assert desk.only().breaches == 1

    desk.lifecycle.end("daemon_dead", now=desk.now)
    desk.lifecycle.end("daemon_dead", now=desk.now)
    assert desk.deliver() == ["mail: recovered critical /daemon_dead"]


def test_a_fault_that_goes_on_is_not_repeated_but_escalates(desk: IncidentDesk) -> None:
    desk.lifecycle.execution_failed(DAILY, run_id="a", error="e", now=desk.now)
    desk.deliver()
    desk.wait(15 * MINUTE)
    desk.sweep()
    assert desk.deliver() == ["mail: escalation escalated critical /execution_failed"]
    desk.acknowledge()
    desk.wait(23 * timedelta(hours=1))
    desk.sweep()
    assert desk.waiting() == []


def test_what_a_killed_execution_recorded_is_applied_a_quarter_of_an_hour_later(
    desk: IncidentDesk,
) -> None:
    desk.memory.add_judgement(judged(breach(), run_id="killed", judged_at=START))

    desk.lifecycle.catch_up(START + 15 * MINUTE)
    assert desk.all() == []
    desk.lifecycle.catch_up(START + 15 * MINUTE + timedelta(microseconds=1))
    assert desk.waiting() == ["mail: opened warning trend/max_drawdown"]


def test_what_is_caught_up_says_nothing_about_failed_executions(desk: IncidentDesk) -> None:
    desk.memory.add_judgement(judged(breach(), run_id="killed", judged_at=START))
    desk.lifecycle.execution_failed(DAILY, run_id="killed", error="killed", now=desk.now)
    desk.lifecycle.catch_up(START + DAY)

    assert {one.rule: one.status for one in desk.all()} == {
        "execution_failed": Status.OPEN,
        "max_drawdown": Status.OPEN,
    }


def test_judgements_are_applied_in_the_order_of_their_recording(desk: IncidentDesk) -> None:
    desk.memory.add_judgement(judged(breach()))
    desk.memory.add_judgement(judged(fine(), as_of=MONDAY + DAY))
    desk.lifecycle.apply_judgements(DAILY, run_id="r", now=desk.now)

    resolved = desk.only().resolved
    assert resolved is not None
    assert resolved.outcome is Resolution.RECOVERED
    # One message for both: it says that it is resolved by now.
    assert desk.waiting() == ["mail: opened warning trend/max_drawdown"]
    (row,) = desk.memory.rows.values()
    text = message_of(row, wording=Wording()).text
    assert "It is resolved by now: max drawdown is back inside its limit." in text


def test_a_silent_sensor_is_one_incident_until_it_sweeps(desk: IncidentDesk) -> None:
    for minutes in (2, 3):
        desk.lifecycle.report_since("watch_silent", since=START, now=START + minutes * MINUTE)
    assert desk.only().rule == "watch_silent"

    desk.lifecycle.end("watch_silent", now=START + 4 * MINUTE)
    assert desk.only().status is Status.RESOLVED


def test_the_start_of_a_fault_is_written_to_the_second_in_utc(desk: IncidentDesk) -> None:
    since = datetime(2026, 1, 31, 18, 0, 15, 842585, timezone(timedelta(hours=1)))
    desk.lifecycle.report_since("switched_off", "daily_pnl_check", since=since, now=desk.now)

    assert "switched off since 2026-01-31T17:00:15Z, and" in desk.only().message


def test_what_another_process_ended_in_between_is_left_as_it_is(
    desk: IncidentDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.lifecycle.report_since("daemon_dead", since=START, now=START)
    seen = desk.only()
    desk.lifecycle.end("daemon_dead", now=START + MINUTE)
    # It was live when it was looked up, and is over in the snapshot that decides.
    monkeypatch.setattr(desk.memory, "live_incident", lambda key: seen)

    assert desk.lifecycle.end("daemon_dead", now=START + DAY).is_empty


def test_incidents_that_others_change_again_and_again_are_an_unavailable_store(
    desk: IncidentDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(decisions: object) -> None:
        raise ConcurrentChange

    monkeypatch.setattr(desk.memory, "apply", overtaken)
    with pytest.raises(StoreUnavailable, match="other processes changed incidents"):
        desk.lifecycle.report_since("daemon_dead", since=START, now=START)


def test_a_source_that_shrank_is_notified_once_and_when_it_is_accepted(desk: IncidentDesk) -> None:
    for run in ("a", "a", "b"):
        desk.lifecycle.source_shrunk(DAILY, shrunk="2 of 4 are gone", run_id=run, now=desk.now)
    assert (desk.only().breaches, desk.only().alert, desk.only().strategy) == (2, DAILY, "")
    assert desk.deliver() == ["mail: opened critical /source_shrunk"]

    desk.lifecycle.source_accepted(now=desk.now)
    desk.lifecycle.source_accepted(now=desk.now)
    assert desk.deliver() == ["mail: recovered critical /source_shrunk"]
    *_, row = desk.memory.rows.values()
    assert "The source is whole again, or was accepted." in message_of(row, wording=Wording()).text


def test_a_strategy_that_a_person_ended_has_no_missing_data_any_more(desk: IncidentDesk) -> None:
    missing = {"rule": "no_data", "outcome": Outcome.NO_DATA, "parts": {"last_seen": "2026-01-02"}}
    desk.judge(breach(**missing), breach(), breach(strategy="carry", **missing))
    desk.lifecycle.strategy_ended("trend", by="ann", comment="closed", now=desk.now)
    desk.lifecycle.strategy_ended("trend", by="ann", comment="closed", now=desk.now)

    ended = {(one.strategy, one.rule): one.resolved for one in desk.all()}
    resolved = ended["trend", "no_data"]
    assert resolved is not None
    assert (resolved.by, resolved.outcome, resolved.comment) == ("ann", Resolution.KNOWN, "closed")
    assert ended["trend", "max_drawdown"] is None
    assert ended["carry", "no_data"] is None


def test_strategies_that_vanished_are_no_source_without_recent_rows(desk: IncidentDesk) -> None:
    late = {"rule": "no_data", "outcome": Outcome.NO_DATA}
    gone = breach(strategy="gone", parts={"last_seen": "2026-01-02"}, **late)
    desk.judge(gone)
    assert [one.strategy for one in desk.all()] == ["gone"]

    desk.judge(gone, breach(**late))
    assert sorted(one.strategy for one in desk.all()) == ["", "gone"]
