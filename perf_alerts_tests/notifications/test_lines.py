"""The body of a message about an event: the answer first, each number once, then what to do."""

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.rules.catalogue import BY_ID
from perf_alerts_dagster.notifications.messages import message_of
from perf_alerts_dagster.notifications.text import Wording
from perf_alerts_tests.incidents.incident_desk import (
    DAILY,
    HOUR,
    MINUTE,
    IncidentDesk,
    breach,
    event,
    fine,
)
from perf_alerts_tests.notifications.bad_day import (
    DAY,
    RUNBOOKS,
    URL,
    a_desk,
    crash,
    level,
    newest,
    of_desk,
    six,
    with_first,
)

FELL = ("drawdown", "-22.4 % below its high of 3 Feb", "22.4 % below its high of 3 Feb")


def body_of(*evaluations: Evaluation, wording: Wording | None = None, **changes: Any) -> list[str]:
    desk = a_desk()
    desk.judge(*evaluations, **changes)
    return (newest(desk, wording) if wording else newest(desk)).text.splitlines()


def test_the_message_of_a_bad_day_is_whole_and_short() -> None:
    desk = a_desk()
    desk.judge(*six())
    message = newest(desk)

    assert message.text.splitlines() == [
        "short_vol (vol, owner vol-desk) lost 15.0 % = USD 112,500 on Mon 5 Jan. "
        "Worst day of the 3 years before: -4.2 % on 1 Mar 2024.",
        "Fewer than 1 in 700 healthy years hold such a day. "
        "4 rules of short_vol and 2 of ALL say so.",
        f"Do: {BY_ID['daily_exceedance'].hint} Runbook: {RUNBOOKS}/daily_exceedance",
        f"Answer: {URL}/a/{message.events[0].id[:4]}.mail",
    ]
    assert len(message.subject) + len(message.text) < 900


def test_it_says_nothing_twice_and_no_inner_name() -> None:
    text = "\n".join(body_of(*six()))

    for inner in ("run-1", "Measured", "power", "sigma", "daily_pnl_check", "launch:"):
        assert inner not in text
    sentences = [each for each in text.replace("\n", " ").split(". ") if each]
    assert len(set(sentences)) == len(sentences)
    assert text.count("15.0 %") == 1


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ({**DAY, "pnl": None}, "short_vol (vol, owner vol-desk) lost 15.0 % on Mon 5 Jan."),
        ({**DAY, "pnl": 4.0}, "lost 15.0 % on Mon 5 Jan."),
        ({**DAY, "currency": None}, "lost 15.0 % = 112,500 on Mon 5 Jan."),
        ({**DAY, "session": "nonsense"}, "lost 15.0 % = USD 112,500."),
        ({**DAY, "years_before": 0.5}, "Worst day of the 6 months before: -4.2 %"),
        ({**DAY, "years_before": 1.0}, "Worst day of the 12 months before: -4.2 %"),
        ({**DAY, "years_before": 0.01}, "Worst day of the 1 month before: -4.2 %"),
        ({**DAY, "worst_before": {"return": -0.042}}, "before: -4.2 %."),
        ({**DAY, "return": 0.01}, "short_vol (vol, owner vol-desk): -15.0 % on Mon 5 Jan (35.6"),
        ({"return": float("nan")}, "short_vol (vol, owner vol-desk): -15.0 % on Mon 5 Jan (35.6"),
    ],
)
def test_a_loss_says_what_is_known_of_its_day(day: dict[str, Any], said: str) -> None:
    assert said in body_of(crash(parts={"day": day}))[0]


@pytest.mark.parametrize("worst", [None, {"return": 0.02}, {"return": None}, {}, "x"])
def test_without_an_earlier_loss_no_worst_day_is_named(worst: object) -> None:
    assert "Worst day" not in body_of(crash(parts={"day": {**DAY, "worst_before": worst}}))[0]


def test_without_owner_and_group_the_name_stands_alone() -> None:
    parts = {"owner": None, "in_group": None}

    assert body_of(crash(parts=parts))[0].startswith("short_vol lost 15.0 % = USD 112,500")
    assert body_of(crash(parts={"owner": None}))[0].startswith("short_vol (vol) lost")
    assert body_of(crash(parts={"in_group": None}))[0].startswith("short_vol (owner vol-desk) lost")


def test_what_lasts_says_so_by_its_rule_and_a_large_day_beside_it() -> None:
    fell = "short_vol (vol, owner vol-desk): 22.4 % below its high of 3 Feb."
    lost = "Lost 15.0 % = USD 112,500 on Mon 5 Jan."
    small = {**DAY, "return": -0.01}
    gain = {**DAY, "return": 0.01}

    assert body_of(level(*FELL))[0].startswith(f"{fell} {lost} Worst day of the 3 years before")
    assert body_of(level(*FELL, parts={"day": small}))[0] == fell
    assert body_of(level(*FELL, parts={"day": gain}))[0] == fell
    assert body_of(level(*FELL, parts={"day": None}))[0] == fell
    flat = body_of(level("flat_run", "flat since Mon 3 Aug", "85 sessions without P&L in a row"))
    assert flat[0] == "short_vol (vol, owner vol-desk): 85 sessions without P&L in a row."


def test_a_rule_without_a_sentence_says_its_headline() -> None:
    assert body_of(level("flat_run", "flat since Mon 3 Aug", ""))[0] == (
        "short_vol (vol, owner vol-desk): flat since Mon 3 Aug."
    )


def test_late_rows_are_said_with_a_verb() -> None:
    late = level("no_data", "no rows since Mon 29 Dec", "no rows since Mon 29 Dec: 5 sessions late")

    assert body_of(late)[0] == (
        "short_vol (vol, owner vol-desk) has no rows since Mon 29 Dec: 5 sessions late."
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"p_year": 0.05}, "About 1 in 20 healthy years holds such a day."),
        ({"p_year": None}, ""),
        ({"p_year": 7.0}, ""),
        ({"parts": {"step": 0}, "rule": "drawdown"}, ""),
    ],
)
def test_it_says_how_rare_it_is_unless_its_rule_has_said_so(
    changes: dict[str, Any], said: str
) -> None:
    rare = [each for each in body_of(crash(**changes)) if "healthy years" in each]

    assert rare == ([said] if said else [])


def test_a_mandate_borrows_how_rare_the_day_is_from_the_rule_of_days() -> None:
    mandate = crash(rule="policy_daily_loss", p_year=None, evidence=Evidence.UNGATED)
    other = of_desk(p_year=0.5)

    lines = body_of(mandate, crash(severity=Severity.WARNING), other)
    assert lines[1].startswith("Fewer than 1 in 700 healthy years hold such a day. 2 rules of")
    assert not any("healthy" in each for each in body_of(mandate, other))


def test_of_one_rule_it_is_not_said_how_many_say_so() -> None:
    assert "say so" not in "\n".join(body_of(crash()))
    assert "2 rules of short_vol say so." in body_of(crash(), level(*FELL))[1]


def test_a_rule_that_is_worse_than_the_day_is_named_and_says_what_to_do() -> None:
    lines = body_of(crash(), level(*FELL, severity=Severity.EMERGENCY))

    assert lines[0].endswith("Emergency: short_vol -22.4 % below its high of 3 Feb.")
    assert f"Do: {BY_ID['drawdown'].hint} Runbook: {RUNBOOKS}/drawdown" in lines


def test_it_says_since_when_what_lasts_is_open() -> None:
    desk = a_desk()
    desk.judge(level(*FELL))
    desk.deliver()
    desk.judge_next_day(level(*FELL, severity=Severity.CRITICAL))
    assert "Open since Mon 5 Jan." in newest(desk).text

    first = newest(a_desk_of(level(*FELL)))
    assert "Open since" not in first.text


def a_desk_of(*evaluations: Evaluation) -> IncidentDesk:
    desk = a_desk()
    desk.judge(*evaluations)
    return desk


def test_a_message_says_by_what_rows_it_was_judged() -> None:
    provisional = body_of(crash(provisional=True), provisional=True)
    restated = body_of(crash(), restated=True)

    assert any("From provisional rows." in each for each in provisional)
    assert any("From rows that were restated." in each for each in restated)


def test_a_breach_says_why_in_one_line_that_prints() -> None:
    line = "<b>ES</b>\x1b[2J\u202e -4.1 % that day; " + "x" * 10_000
    (why,) = [
        each
        for each in body_of(crash(parts={"explained": {"line": line}}))
        if each.startswith("Why: ")
    ]

    assert why.startswith("Why: <b>ES</b> [2J -4.1 % that day; xxx")
    assert why.isprintable()
    assert len(why) == len("Why: .") + 120


@pytest.mark.parametrize("parts", [{"explained": None}, {"explained": {}}, {"explained": "x"}])
def test_an_explanation_that_is_none_is_not_said(parts: dict[str, Any]) -> None:
    assert not any(each.startswith("Why") for each in body_of(crash(parts=parts)))


def test_a_group_that_leads_names_the_three_largest_losses() -> None:
    losses = [
        {"strategy": "a", "return": -0.01, "pnl": -5000.0, "share": 0.4},
        {"strategy": "b\n", "return": -0.005, "pnl": None},
        {"strategy": "c", "return": 0.004},
        {"strategy": "d", "return": -0.001},
        "nonsense",
    ]
    lines = body_of(of_desk(parts={"day": DAY, "headline": "-2 %", "contributions": losses}))
    assert "Largest losses: a -1.0 % (USD -5,000), b -0.50 %." in lines

    gained = [{"strategy": "a", "return": 0.01}]
    for none in (gained, "x", None):
        said = body_of(of_desk(parts={"day": DAY, "contributions": none}))
        assert not any("Largest" in each for each in said)
    assert not any("Largest" in each for each in body_of(crash(parts={"contributions": losses})))


def test_an_incident_that_joins_anothers_event_says_so() -> None:
    desk = a_desk()
    desk.judge(crash())
    desk.deliver()
    desk.judge_next_day(crash(), of_desk())

    assert newest(desk).text.startswith(
        "ALL (vol, owner vol-desk) lost 2.1 % = USD 130,000 on Mon 5 Jan."
    ) or newest(desk).text.startswith("ALL lost 2.1 % = USD 130,000 on Mon 5 Jan.")
    assert "It belongs to short_vol." in newest(desk).text


def test_a_fault_of_the_system_says_what_happened_and_where_to_look() -> None:
    desk = a_desk()
    desk.lifecycle.execution_failed(DAILY, run_id="r", error="the source is away", now=desk.now)

    assert newest(desk).text.splitlines()[:2] == [
        f"{DAILY} failed: the source is away.",
        "Look at: the run's log in the web UI, then the records' source. "
        f"Runbook: {RUNBOOKS}/execution_failed",
    ]
    desk.deliver()
    desk.judge()
    assert newest(desk).text.startswith(f"{DAILY}: The alert has run since. It began today 18:00")


def test_without_addresses_there_are_no_links() -> None:
    text = "\n".join(body_of(*six(), wording=Wording()))

    assert "http" not in text
    assert "Answer" not in text
    assert "Runbook" not in text


def test_without_an_address_of_its_own_an_event_is_answered_at_its_worst_incident() -> None:
    desk = a_desk()
    desk.judge(*six())
    message = newest(desk, Wording(public_url=URL))

    assert f"Answer: {URL}/incidents/{message.events[0].incident_ids[0]}" in message.text


def test_further_events_have_a_heading_what_to_do_and_a_link() -> None:
    flat = level("flat_run", "flat since Mon 3 Aug", "flat", strategy="book")
    flat_too = level("flat_run", "flat since Tue 4 Aug", "flat", strategy="other")
    late = level("no_data", "no rows since Mon 29 Dec", "late", strategy="eu")
    broken = level("record_error", "2 faults in its rows", "bad", strategy="fx")
    blocks = "\n".join(body_of(crash(), flat, flat_too, late, broken)).split("\n\n")

    assert [each.splitlines()[0] for each in blocks[1:3]] == [
        "[WARNING] book flat since Mon 3 Aug",
        "[WARNING] other flat since Tue 4 Aug",
    ]
    assert blocks[1].splitlines()[1:3] == [
        "About 1 in 100 healthy years looks so.",
        f"Do: {BY_ID['flat_run'].hint} Runbook: {RUNBOOKS}/flat_run",
    ]
    # The same hint is not said twice.
    assert [len(each.splitlines()) for each in blocks[1:3]] == [4, 3]
    assert [each.partition(" Answer: ")[0] for each in blocks[3].splitlines()] == [
        "Also: eu has no rows since Mon 29 Dec.",
        "Also: fx: 2 faults in its rows.",
    ]
    assert "\n".join(blocks).count("Answer: ") == 5


def test_a_further_event_that_is_over_has_a_link_to_look_at() -> None:
    desk = a_desk()
    desk.judge(level(*FELL, strategy="carry"))
    desk.deliver()
    desk.judge_next_day(fine(strategy="carry", rule="drawdown", value=-0.01), crash())
    message = newest(desk)

    assert message.text.splitlines()[-2].startswith("[RECOVERED] carry -1.0 % (was -30.0 %)")
    assert message.text.splitlines()[-1].startswith("See: ")
    assert not message.is_good_news


def test_what_of_an_event_is_over_is_named_beside_what_is_new() -> None:
    desk = a_desk()
    desk.judge(level(*FELL))
    desk.deliver()
    desk.judge_next_day(fine(strategy="short_vol", rule="drawdown", value=-0.01), crash())
    message = newest(desk)

    assert "Drawdown of short_vol is over." in message.text
    assert [each.reasons for each in message.events] == [("opened", "recovered")]
    desk = a_desk()
    desk.judge(level(*FELL), level("exceedance_rate", "many", "many"))
    desk.deliver()
    over = [
        fine(strategy="short_vol", rule=each, value=0.0) for each in (FELL[0], "exceedance_rate")
    ]
    desk.judge_next_day(*over, crash())
    assert "Drawdown of short_vol, exceedance rate of short_vol are over." in newest(desk).text


def test_a_recovery_says_by_what_and_since_when_in_the_desks_zone() -> None:
    desk = a_desk()
    desk.judge(level(*FELL, value=-0.3))
    desk.deliver()
    desk.judge_next_day(fine(strategy="short_vol", rule="drawdown", value=-0.01))
    message = newest(desk, Wording(public_url=URL, zone=ZoneInfo("America/New_York")))

    assert message.text.splitlines() == [
        "short_vol (vol, owner vol-desk): drawdown is back inside its limit. "
        "It began yesterday 13:00 EST.",
        f"See: {URL}/incidents/{desk.only().id}",
    ]
    assert message.is_good_news


def test_a_recovery_by_other_rows_names_their_day_and_how_many_rules_went_with_it() -> None:
    desk = a_desk()
    desk.judge(crash(), level(*FELL))
    desk.deliver()
    desk.wait(2 * HOUR)
    good: dict[str, Any] = {
        "outcome": Outcome.OK,
        "severity": None,
        "evidence": None,
        "p_year": 0.9,
    }
    desk.judge(
        crash(**good, value=-1.0),
        level(*FELL, **good, value=-0.01),
        restated=True,
    )

    assert newest(desk).text.splitlines()[0] == (
        "short_vol (vol, owner vol-desk): the rows of Mon 5 Jan were restated; the cause is gone. "
        "It began today 18:00 UTC. 1 further rule of it ended with it."
    )


def test_what_was_only_counted_says_what_is_so_now() -> None:
    desk = a_desk()
    desk.judge(level("no_data", "no rows since Mon 29 Dec", "late", value=5.0))
    desk.deliver()
    now = fine(strategy="short_vol", rule="no_data", value=0.0, message="newest row of Tue 6 Jan")
    desk.judge_next_day(now)

    assert "Now: newest row of Tue 6 Jan." in newest(desk).text


def test_an_event_whose_rest_is_acknowledged_says_so_when_a_part_recovers() -> None:
    desk = a_desk()
    desk.judge(level(*FELL, value=-0.3), crash())
    desk.deliver()
    desk.lifecycle.acknowledge_event(desk.all()[0].event_id, by="ann", now=desk.now)
    desk.judge_next_day(fine(strategy="short_vol", rule="drawdown", value=-0.01))

    assert "Other incidents of the event are acknowledged, and not over." in newest(desk).text
    assert [each.status for each in newest(desk).events] == ["acknowledged"]


def test_what_is_resolved_while_its_message_is_sent_says_how() -> None:
    desk = a_desk()
    desk.judge(crash())
    (row,) = desk.outbox.claim(desk.now, "worker", MINUTE)
    late = replace(row, items=tuple(replace(each, is_resolved=True) for each in row.items))
    message = message_of(late, wording=Wording())

    assert message.subject.startswith("[CRITICAL] resolved by now: short_vol")
    assert "It is resolved by now." in message.text

    answered = with_first(row, over=True, resolution="false", resolved_by="ann")
    message = message_of(answered, wording=Wording())
    assert "It is resolved by now: ann resolved it as a false alarm." in message.text


def test_a_rule_that_is_gone_still_says_something() -> None:
    assert "Do: look at its page: its rule is no more. Runbook: " + RUNBOOKS + "/max_drawdown" in (
        body_of(breach())
    )


def test_days_of_another_year_have_it_and_a_row_without_a_day_has_none() -> None:
    desk = a_desk()
    desk.judge(event(parts={"day": {**DAY, "session": "2025-12-31"}}))
    place, row = next(iter(desk.memory.rows.items()))
    desk.memory.rows[place] = with_first(row, as_of=None)

    assert "on 31 Dec 2025." in newest(desk).text


def test_a_time_that_cannot_be_read_is_left_out() -> None:
    desk = a_desk()
    desk.judge(level(*FELL, value=-0.3))
    desk.deliver()
    desk.judge_next_day(fine(strategy="short_vol", rule="drawdown", value=-0.01))
    *_, (place, row) = desk.memory.rows.items()
    for broken in ("nonsense", "2026-01-05T10:00:00", None):
        desk.memory.rows[place] = with_first(row, opened_at=broken)

        assert "It began" not in newest(desk).text
        assert newest(desk).subject == "[RECOVERED] short_vol -1.0 % (was -30.0 %)"
