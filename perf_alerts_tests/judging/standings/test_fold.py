"""Folding judgements into standings: newest first, whatever came in which order."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Judgement, Outcome
from perf_alerts_dagster.judging.standings.fold import cells_of, fold
from perf_alerts_dagster.judging.standings.model import (
    STRIP,
    Cell,
    Figures,
    Member,
    Standing,
    cell_of,
)
from perf_alerts_tests.incidents.incident_desk import DAILY, MONDAY, breach, fine, judged

WEEKLY = "weekly_stability_check"
TUESDAY = MONDAY + timedelta(days=1)
FIGURES = Figures(last_row=MONDAY, live_since=MONDAY, live_rows=1, backtest_rows=0)
LACKING = fine(outcome=Outcome.INSUFFICIENT_DATA, value=None, observations=40, required=252)


def of(
    *evaluations: Evaluation, alert: str = DAILY, as_of: date = MONDAY, **more: Any
) -> Judgement:
    return replace(judged(*evaluations), alert=alert, as_of=as_of, **more)


def folded(*judgements: Judgement, member: Member | None = None) -> Standing:
    kept: dict[str, Standing] = {}
    for one in judgements:
        kept = fold(kept, one, {} if member is None else {"trend": member})
    return kept["trend"]


@pytest.mark.parametrize(
    ("evaluation", "cell"),
    [
        (fine(), Cell.OK),
        (breach(), Cell.WARNING),
        (breach(severity=Severity.CRITICAL), Cell.CRITICAL),
        (breach(severity=Severity.EMERGENCY), Cell.CRITICAL),
        (breach(severity=Severity.CRITICAL, parts={"told_as": "warning"}), Cell.WARNING),
        (breach(evidence=Evidence.WEAK), Cell.WEAK),
        (breach(notifies=False), Cell.WEAK),
        (breach(severity=Severity.INFO), Cell.INFO),
        (fine(outcome=Outcome.NO_DATA), Cell.NO_DATA),
        (fine(outcome=Outcome.ERROR), Cell.ERROR),
        (fine(outcome=Outcome.PARTIAL), Cell.PARTIAL),
        (LACKING, Cell.INSUFFICIENT_DATA),
    ],
)
def test_a_cell_says_what_a_rule_found(evaluation: Evaluation, cell: Cell) -> None:
    assert cell_of(evaluation) is cell


def test_a_later_judgement_replaces_what_a_rule_found_and_its_strip_grows() -> None:
    found = folded(of(breach()), of(fine(), as_of=TUESDAY))

    assert (found.session, found.cell, found.sessions) == (TUESDAY, Cell.OK, (MONDAY, TUESDAY))
    assert found.rules["max_drawdown"].value == -0.02
    assert (found.rules["max_drawdown"].strip, found.strip) == ("1.", "1.")


def test_an_older_session_that_is_judged_again_changes_its_place_in_the_strip_only() -> None:
    found = folded(of(fine()), of(fine(), as_of=TUESDAY), of(breach(), restated=True))

    assert (found.session, found.cell) == (TUESDAY, Cell.OK)
    assert (found.rules["max_drawdown"].as_of, found.strip) == (TUESDAY, "1.")


def test_an_older_session_that_is_judged_after_newer_ones_is_put_into_its_place() -> None:
    rules = (fine(), fine(rule="win_rate"))
    found = folded(of(*rules, as_of=TUESDAY), of(breach()))

    assert (found.session, found.sessions) == (TUESDAY, (MONDAY, TUESDAY))
    assert found.strip == found.rules["max_drawdown"].strip == "1."
    assert found.rules["win_rate"].strip == " ."


def test_a_session_that_was_open_is_replaced_by_its_final_judgement() -> None:
    found = folded(of(breach(), provisional=True), of(fine()))
    assert (found.provisional, found.cell, found.strip) == (False, Cell.OK, ".")


def test_a_date_that_is_only_recorded_changes_nothing() -> None:
    kept = fold({}, of(fine()), {})
    assert fold(kept, of(breach(), recorded_only=True), {}) == kept


def test_alerts_keep_their_rules_apart_and_the_worst_counts() -> None:
    weekly = of(breach(rule="walk_forward_stability", evidence=Evidence.WEAK), alert=WEEKLY)
    found = folded(of(fine()), weekly, of(fine(), as_of=TUESDAY))

    assert found.cell is Cell.WEAK
    assert found.rules["walk_forward_stability"].strip == "w "
    assert found.strip == "w."


def test_a_rule_that_applies_no_more_has_no_standing() -> None:
    found = folded(of(fine(), fine(rule="win_rate")), of(fine(), as_of=TUESDAY))
    assert set(found.rules) == {"max_drawdown"}


def test_a_strategy_that_the_daily_check_does_not_judge_any_more_is_gone() -> None:
    kept = fold({}, of(fine(), fine(strategy="carry")), {})
    kept = fold(kept, of(fine(), alert=WEEKLY, as_of=TUESDAY), {})
    assert set(kept) == {"trend", "carry"}
    assert set(fold(kept, of(fine(), as_of=TUESDAY), {})) == {"trend"}


def test_an_older_session_of_fewer_strategies_loses_none() -> None:
    kept = fold({}, of(fine(), fine(strategy="carry"), as_of=TUESDAY), {})
    assert set(fold(kept, of(fine(), restated=True), {})) == {"trend", "carry"}


def test_too_little_data_for_most_rules_is_no_good_news() -> None:
    rules = ("interval_breach", "daily_exceedance", "drawdown")
    blind = [replace(LACKING, rule=rule) for rule in rules]
    found = folded(of(*blind, fine(rule="stale_data")))

    assert found.cell is Cell.INSUFFICIENT_DATA
    assert found.note.startswith("40 of 252 rows")


def test_the_other_alerts_may_wait_for_a_year_of_data() -> None:
    found = folded(of(fine()), of(replace(LACKING, rule="forward_test_change"), alert=WEEKLY))
    assert (found.cell, found.note) == (Cell.OK, "")


def test_late_data_of_any_alert_is_the_state_and_says_since_when() -> None:
    late = fine(
        outcome=Outcome.NO_DATA, severity=Severity.CRITICAL, message="no rows since Fri 2 Jan"
    )
    found = folded(of(late))
    assert (found.cell, found.note) == (Cell.NO_DATA, "no rows since Fri 2 Jan")


def test_figures_stay_where_the_rows_cannot_be_read_any_more() -> None:
    member = Member(owner="ada", figures=FIGURES)
    kept = fold({}, of(fine()), {"trend": member})
    error = of(fine(outcome=Outcome.ERROR, message="bad row"), as_of=TUESDAY)
    found = fold(kept, error, {})["trend"]
    without = fold(kept, error, {"trend": Member(owner="grace")})["trend"]

    assert (found.member, found.cell) == (member, Cell.ERROR)
    assert (without.member.owner, without.figures) == ("grace", FIGURES)


def test_of_two_projections_of_a_rule_the_worst_and_rarest_counts() -> None:
    found = folded(
        of(
            fine(projection="launch"),
            breach(projection="current", p_year=0.04),
            breach(projection="launch-2", p_year=0.01, value=-0.5),
        )
    )
    rule = found.rules["max_drawdown"]
    assert (rule.cell, rule.value, rule.p_year) == (Cell.WARNING, -0.5, 0.01)
    assert found.rarest == ("max_drawdown", 0.01)


def test_a_strip_keeps_the_newest_ninety_sessions() -> None:
    days = [MONDAY + timedelta(days=day) for day in range(STRIP + 5)]
    found = folded(
        of(breach(), as_of=days[0]),
        *(of(fine(), as_of=day) for day in days[1:]),
        of(breach(), as_of=days[1], restated=True),
    )

    assert found.sessions == tuple(days[5:])
    assert found.strip == "." * STRIP
    assert found.rules["max_drawdown"].strip == "." * STRIP


def test_nothing_judged_has_no_state() -> None:
    empty = Standing(strategy="trend", session=MONDAY, judged_at=judged().judged_at)
    assert (empty.cell, empty.note, empty.rarest, empty.strip) == (Cell.UNJUDGED, "", None, "")


def test_every_cell_has_a_letter_and_a_code_of_its_own() -> None:
    assert len({cell.letter for cell in Cell}) == len({cell.code for cell in Cell}) == len(Cell)
    assert all(len(cell.code) == 1 for cell in Cell)


def test_nothing_is_said_to_be_well_before_the_daily_check_has_judged_it() -> None:
    weekly = folded(of(fine(), alert=WEEKLY))
    bad = folded(of(breach(), alert=WEEKLY))

    assert (weekly.cell, weekly.strip, weekly.session) == (Cell.UNJUDGED, " ", MONDAY)
    assert (bad.cell, bad.strip) == (Cell.WARNING, "1")
    assert folded(of(fine(), alert=WEEKLY), of(fine())).cell is Cell.OK


def test_a_session_that_the_daily_check_missed_is_not_the_one_it_was_judged_for() -> None:
    kept = fold({}, of(fine(), provisional=True), {"trend": Member(figures=FIGURES)})
    newer = Member(owner="ada", figures=FIGURES)
    found = fold(kept, of(fine(), alert=WEEKLY, as_of=TUESDAY), {"trend": newer})["trend"]
    older = fold({"trend": found}, of(fine(), alert=WEEKLY), {"trend": Member()})["trend"]

    assert (found.session, found.provisional, found.member) == (MONDAY, True, newer)
    assert (found.sessions, older.member) == ((MONDAY, TUESDAY), newer)


def test_an_alert_with_too_little_data_everywhere_is_not_ok() -> None:
    lacking = of(LACKING, alert=WEEKLY)
    assert cells_of(lacking) == {"trend": Cell.INSUFFICIENT_DATA}
    assert folded(of(fine()), lacking).strip == "."


def test_a_rule_that_leaves_out_the_open_session_is_of_the_one_before() -> None:
    open_row = breach(rule="daily_exceedance", provisional=True)
    found = folded(of(fine()), of(fine(), open_row, as_of=TUESDAY, provisional=True))

    assert found.rules["max_drawdown"].as_of == MONDAY
    assert found.rules["daily_exceedance"].as_of == TUESDAY
