"""Subjects: they name the strategy and its number, at most 120 characters of a locked phone."""

from dataclasses import replace
from typing import Any

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Resolution
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.notifications.messages import MAXIMUM_SUBJECT, message_of
from perf_alerts_dagster.notifications.text import cut_at_word
from perf_alerts_tests.incidents.incident_desk import DAILY, DAY, HOUR, MINUTE, breach, fine
from perf_alerts_tests.notifications.bad_day import (
    DESK_DAY,
    WORDING,
    a_desk,
    crash,
    level,
    newest,
    of_desk,
    six,
    with_first,
)

FELL = ("drawdown", "-22.4 % below its high of 3 Feb", "22.4 % below its high of 3 Feb")
SHORT_VOL = "short_vol -15.0 % on Mon 5 Jan"


def subject_of(*evaluations: Evaluation) -> str:
    desk = a_desk()
    desk.judge(*evaluations)
    return newest(desk).subject


def test_a_day_of_six_incidents_is_one_line_with_its_number_and_the_desk() -> None:
    assert subject_of(*six()) == f"[CRITICAL] {SHORT_VOL}; desk -2.1 %"


def test_the_desk_is_named_after_a_loss_of_its_day_also_from_another_event() -> None:
    apart = of_desk(parts={"day": DESK_DAY, "contributions": []})
    elsewhere = {**DESK_DAY, "session": "2026-01-02"}

    assert subject_of(crash(), apart) == f"[CRITICAL] {SHORT_VOL}; desk -2.1 %; and 1 more"
    assert "desk" not in subject_of(crash(), of_desk(parts={"day": elsewhere, "contributions": []}))
    assert "desk" not in subject_of(level(*FELL), apart).partition(";")[0]


def test_the_desk_of_one_currency_says_which() -> None:
    in_dollars = replace(of_desk(), strategy="ALL:USD")

    assert subject_of(crash(), in_dollars) == f"[CRITICAL] {SHORT_VOL}; desk USD -2.1 %"


def test_a_desk_that_leads_its_own_event_is_not_named_twice() -> None:
    leads = of_desk(parts={"day": DESK_DAY, "headline": "-2.1 % on Mon 5 Jan", "contributions": []})

    assert subject_of(leads) == "[WARNING] ALL -2.1 % on Mon 5 Jan"


def test_a_loss_of_one_day_names_the_event_and_the_badge_is_the_highest() -> None:
    deep = level(*FELL, severity=Severity.EMERGENCY)

    assert subject_of(crash(severity=Severity.WARNING), deep) == f"[EMERGENCY] {SHORT_VOL}"


def test_further_events_are_counted_the_worst_first_and_rows_that_are_late_after_losses() -> None:
    flat = level("flat_run", "flat since Mon 3 Aug (85 sessions)", "flat", strategy="book")
    late = level("no_data", "no rows since Mon 29 Dec", "no rows", strategy="late", value=5.0)
    critical = replace(late, severity=Severity.CRITICAL)

    assert subject_of(flat, critical, crash()) == f"[CRITICAL] {SHORT_VOL}; and 2 more"
    assert subject_of(late, flat) == (
        "[WARNING] book flat since Mon 3 Aug (85 sessions); and 1 more"
    )


@pytest.mark.parametrize(
    ("rule", "value", "said"),
    [
        ("drawdown", -0.224, "drawdown -22.4 %"),
        ("flat_run", 85.0, "flat run 85 sessions"),
        ("daily_exceedance", -35.59, "daily exceedance -35.6 sigma"),
        ("max_drawdown", -0.3, "max drawdown -0.3"),
        ("drawdown", None, "drawdown"),
    ],
)
def test_without_a_headline_the_rule_and_its_value_stand_in(
    rule: str, value: float | None, said: str
) -> None:
    assert subject_of(breach(rule=rule, value=value, parts={})) == f"[WARNING] trend: {said}"


def test_a_fault_of_the_system_is_named_with_what_it_is_about() -> None:
    desk = a_desk()
    desk.lifecycle.execution_failed(DAILY, run_id="r", error="no disk", now=desk.now)
    assert newest(desk).subject == f"[CRITICAL] {DAILY}: an alert's execution failed"

    desk.judge()
    assert newest(desk).subject == f"[RECOVERED] {DAILY}: an alert's execution failed; over"


def test_an_escalation_says_for_how_long_nobody_has_answered() -> None:
    desk = a_desk(escalation_channels=("head",))
    desk.judge(*six())
    desk.deliver()
    desk.wait(15 * MINUTE)
    desk.sweep()

    assert newest(desk).subject == f"[CRITICAL] not answered for 15 min: {SHORT_VOL}"


def test_an_escalation_of_the_version_before_does_not_say_for_how_long() -> None:
    desk = a_desk()
    desk.judge(crash())
    desk.deliver()
    desk.wait(15 * MINUTE)
    desk.sweep()
    place, row = list(desk.memory.rows.items())[-1]
    desk.memory.rows[place] = with_first(row, "critical_since")

    assert newest(desk).subject == f"[CRITICAL] not answered: {SHORT_VOL}"


def test_what_is_worse_or_open_again_says_so_in_plain_words() -> None:
    desk = a_desk()
    desk.judge(level(*FELL))
    desk.deliver()
    desk.judge_next_day(level(*FELL, severity=Severity.CRITICAL))
    desk.deliver()
    assert newest(desk).subject.startswith("[CRITICAL] now worse: short_vol -22.4 %")

    desk.acknowledge(until=desk.now + HOUR)
    desk.wait(HOUR)
    desk.sweep()
    desk.deliver()
    assert newest(desk).subject.startswith("[CRITICAL] open again: short_vol -22.4 %")


def test_what_is_notified_once_its_silence_has_ended_says_so() -> None:
    desk = a_desk()
    desk.judge(crash())
    desk.deliver()
    desk.silence(HOUR, strategy="short_vol")
    desk.wait(15 * MINUTE)
    desk.sweep()
    desk.wait(HOUR)
    desk.sweep()

    reasons = [row.items[0].reason.value for row in desk.memory.rows.values()]
    subjects = [message_of(row, wording=WORDING).subject for row in desk.memory.rows.values()]
    assert dict(zip(reasons, subjects, strict=True))["unmuted"] == (
        f"[CRITICAL] its silence has ended: {SHORT_VOL}"
    )


def test_a_level_that_stays_open_is_repeated_as_such() -> None:
    desk = a_desk()
    desk.judge(level(*FELL))
    desk.deliver()
    desk.wait(DAY)
    desk.sweep()

    assert newest(desk).subject == (
        "[WARNING] still open: short_vol -22.4 % below its high of 3 Feb"
    )


def test_a_recovery_has_the_new_value_the_old_one_and_for_how_long_it_burned() -> None:
    desk = a_desk()
    desk.judge(level(*FELL, value=-0.224))
    desk.deliver()
    desk.judge_next_day(fine(strategy="short_vol", rule="drawdown", value=-0.05))

    assert newest(desk).subject == "[RECOVERED] short_vol -5.0 % (was -22.4 %), burned 24 h"


def test_a_restated_day_recovers_with_its_return_and_not_its_sigma() -> None:
    desk = a_desk()
    desk.judge(crash())
    desk.deliver()
    desk.wait(2 * HOUR)
    good = crash(outcome=Outcome.OK, severity=None, evidence=None, value=-1.2, p_year=0.9)
    desk.judge(replace(good, parts={"return": -0.015}), restated=True)

    assert newest(desk).subject == "[RECOVERED] short_vol -1.5 % (was -15.0 %), burned 2 h"


def test_what_was_only_counted_is_over_without_a_new_number() -> None:
    desk = a_desk()
    desk.judge(level("flat_run", "flat since Mon 3 Aug (85 sessions)", "flat", value=85.0))
    desk.deliver()
    desk.judge_next_day(fine(strategy="short_vol", rule="flat_run", value=0.0))

    assert newest(desk).subject == (
        "[RECOVERED] short_vol flat since Mon 3 Aug (85 sessions); over after 24 h"
    )


def test_a_recovery_says_that_the_rest_of_its_event_is_open() -> None:
    desk = a_desk()
    desk.judge(level(*FELL, value=-0.224), crash())
    desk.deliver()
    desk.judge_next_day(fine(strategy="short_vol", rule="drawdown", value=-0.05))

    message = newest(desk)
    assert message.subject.endswith("(was -22.4 %), burned 24 h; the rest of it is open")
    assert "Other incidents of the event are still open." in message.text


def test_a_pager_is_told_who_acknowledged_and_who_resolved() -> None:
    desk = a_desk(pagers=frozenset({"mail"}))
    desk.judge(crash())
    desk.deliver()
    event_id = desk.only().event_id
    desk.lifecycle.acknowledge_event(event_id, by="operator:oncall", now=desk.now)
    assert newest(desk).subject == f"[ACKNOWLEDGED] {SHORT_VOL}, by operator:oncall"
    assert "operator:oncall has acknowledged it." in newest(desk).text

    desk.deliver()
    desk.wait(MINUTE)
    outcome = Resolution.TRUE
    desk.lifecycle.resolve_event(event_id, by="operator:oncall", outcome=outcome, now=desk.now)
    message = newest(desk)
    assert message.subject == f"[RESOLVED] {SHORT_VOL}, by operator:oncall: a true alarm"
    assert "operator:oncall resolved it as a true alarm." in message.text
    assert message.is_good_news
    assert [each.status for each in message.events] == ["resolved"]


def test_a_pager_is_told_that_an_event_has_closed_by_itself() -> None:
    desk = a_desk(pagers=frozenset({"mail"}), close_after=1)
    desk.judge(crash())
    desk.deliver()
    desk.judge_next_day()
    desk.sweep()
    message = newest(desk)

    assert message.subject == f"[RESOLVED] {SHORT_VOL}, closed after 24 h"
    assert "closed, since enough sessions have passed." in message.text


def test_a_long_name_leaves_room_for_the_number() -> None:
    subject = subject_of(crash("x" * 300, severity=Severity.EMERGENCY), of_desk())

    assert len(subject) <= MAXIMUM_SUBJECT
    assert "… -15.0 % on Mon 5 Jan; desk -2.1 %" in subject


@pytest.mark.parametrize(
    ("maximum", "cut"),
    [
        (40, "the desk lost -15.0 % on Friday"),
        (26, "the desk lost -15.0 % on …"),
        (25, "the desk lost -15.0 % …"),
        (24, "the desk lost -15.0 % …"),
        (22, "the desk lost …"),
        (21, "the desk lost …"),
        (17, "the desk lost …"),
        (4, "the…"),
    ],
)
def test_a_text_is_cut_after_a_word_and_not_within_a_number(maximum: int, cut: str) -> None:
    said: Any = cut_at_word("the desk lost -15.0 % on Friday", maximum)

    assert said == cut
    assert len(said) <= maximum
