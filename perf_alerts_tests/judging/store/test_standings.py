"""Standings in the database: with the judgement or not at all, sorted and filtered over all."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement, Outcome
from perf_alerts_dagster.judging.standings.model import Cell, Figures, Member
from perf_alerts_dagster.judging.standings.ports import Sort, StandingFilter
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.judging.store.standings import SqlStandings
from perf_alerts_dagster.storage.desk_tables import standings
from perf_alerts_tests.incidents.incident_desk import MONDAY, START, breach, fine, judged

WEEKLY = "weekly_stability_check"


def figures(last: float, **more: object) -> Figures:
    given = {"last_row": MONDAY, "live_since": MONDAY, "live_rows": 9, "backtest_rows": 300}
    return Figures(**(given | {"last_return": last} | more))  # type: ignore[arg-type]


MEMBERS = {
    "carry": Member(group="fx", owner="Ada", figures=figures(-0.02, drawdown=-0.2)),
    "trend": Member(group="fx", owner="grace", figures=figures(0.03, drawdown=-0.1)),
    "young": Member(group="%_", owner="ada", figures=None),
    "group:fx": Member(is_group=True, figures=figures(0.0)),
}
FOUND = (
    breach(strategy="carry", severity=Severity.CRITICAL),
    fine(strategy="trend", p_year=0.4),
    fine(strategy="young"),
    fine(strategy="group:fx"),
)


@pytest.fixture
def desk(engine: Engine) -> SqlStandings:
    SqlAlertStore(engine).record(judged(*FOUND), watermark=None, members=MEMBERS)
    return SqlStandings(engine)


def names(found: SqlStandings, **wanted: object) -> Sequence[str]:
    page = found.standings(StandingFilter(**wanted))  # type: ignore[arg-type]
    assert page.total == len(page.rows)
    return [each.strategy for each in page.rows]


def test_an_empty_store_has_no_standings(engine: Engine) -> None:
    empty = SqlStandings(engine)
    assert (empty.standings().rows, empty.standings().total, empty.one("trend")) == ([], 0, None)
    assert (empty.totals().strategies, empty.totals().session) == (0, None)


def test_a_standing_comes_back_equal(desk: SqlStandings) -> None:
    carry = desk.one("carry")
    assert carry is not None
    assert (carry.member, carry.cell, carry.strip) == (MEMBERS["carry"], Cell.CRITICAL, "2")
    assert carry.rules["max_drawdown"].value == -0.3


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["carry", "trend", "group:fx", "young"]),
        ({"is_group": False}, ["carry", "trend", "young"]),
        ({"is_group": True}, ["group:fx"]),
        ({"group": "fx"}, ["carry", "trend"]),
        ({"owner": "ada"}, ["young"]),
        ({"cells": [Cell.CRITICAL]}, ["carry"]),
        ({"cells": []}, []),
        ({"names": ["young", "trend", "nobody"]}, ["trend", "young"]),
        (
            {"unresolved": {Cell.WARNING: ["trend", "carry"], Cell.CRITICAL: ["young", "trend"]}},
            ["carry", "trend", "young", "group:fx"],
        ),
        ({"unresolved": {Cell.WARNING: ["young"]}}, ["carry", "young", "trend", "group:fx"]),
        ({"text": "ADA"}, ["carry", "young"]),
        ({"text": "%_"}, ["young"]),
        ({"text": "' OR 1=1 --"}, []),
        ({"sort": Sort.LAST, "is_group": False}, ["carry", "trend", "young"]),
        ({"sort": Sort.LAST, "descending": True}, ["trend", "group:fx", "carry", "young"]),
        ({"sort": Sort.STRATEGY, "descending": True}, ["young", "trend", "group:fx", "carry"]),
    ],
)
def test_filters_and_sorting_hold_over_all_rows(
    desk: SqlStandings, wanted: dict[str, object], expected: list[str]
) -> None:
    assert names(desk, **wanted) == expected


@pytest.mark.parametrize("sort", list(Sort))
def test_pages_hold_every_row_once(desk: SqlStandings, sort: Sort) -> None:
    wanted = StandingFilter(sort=sort)
    pages = [desk.standings(wanted, offset=at, limit=1) for at in range(5)]
    assert [page.total for page in pages] == [4] * 5
    assert sorted(row.strategy for page in pages for row in page.rows) == sorted(MEMBERS)


def test_the_totals_count_strategies_without_groups(desk: SqlStandings) -> None:
    totals = desk.totals()
    assert totals.cells == {Cell.CRITICAL: 1, Cell.OK: 2}
    assert (totals.groups, totals.owners) == (["%_", "fx"], ["Ada", "ada", "grace"])
    assert (totals.strategies, totals.session, totals.judged_at) == (3, MONDAY, START)
    assert (totals.judged, totals.late, totals.provisional) == (3, 0, False)


def test_who_has_no_outcome_of_the_newest_session_is_not_judged(engine: Engine) -> None:
    late = Member(figures=figures(0.0, late=2))
    found = judged(
        fine(strategy="carry"),
        fine(strategy="trend", outcome=Outcome.NO_DATA),
        fine(strategy="young", outcome=Outcome.INSUFFICIENT_DATA),
        provisional=True,
    )
    members = {"carry": late, "trend": late}
    SqlAlertStore(engine).record(found, watermark=None, members=members)
    totals = SqlStandings(engine).totals()
    # A late row is said of those that are judged all the same.
    assert (totals.judged, totals.strategies, totals.late, totals.provisional) == (1, 3, 1, True)


def test_a_judgement_that_cannot_be_stored_changes_no_standing(
    engine: Engine, desk: SqlStandings
) -> None:
    bad = fine(strategy="carry", value=float("nan"))
    with pytest.raises(ValueError, match="is NaN"):
        SqlAlertStore(engine).record(replace(judged(bad), run_id="two"), watermark=None)
    carry = desk.one("carry")
    assert carry is not None
    assert carry.cell is Cell.CRITICAL


def test_recorded_again_a_judgement_changes_no_standing(engine: Engine, desk: SqlStandings) -> None:
    other = judged(*(fine(strategy=each.strategy) for each in FOUND))
    SqlAlertStore(engine).record(other, watermark=None, members=MEMBERS)
    carry = desk.one("carry")
    assert carry is not None
    assert carry.cell is Cell.CRITICAL


def test_who_is_no_more_judged_has_no_row(engine: Engine, desk: SqlStandings) -> None:
    tuesday = replace(judged(fine(strategy="trend")), as_of=MONDAY + timedelta(days=1))
    SqlAlertStore(engine).record(tuesday, watermark=None, members=MEMBERS)
    assert names(desk) == ["trend"]


def test_what_other_alerts_found_before_there_were_standings_is_not_lost(engine: Engine) -> None:
    store = SqlAlertStore(engine)
    weak = breach(strategy="trend", rule="walk_forward_stability", severity=Severity.INFO)
    store.record(_of_week(weak), watermark=None)
    with engine.begin() as connection:
        connection.execute(standings.delete())
    store.record(judged(fine(strategy="trend")), watermark=None, members=MEMBERS)

    found = SqlStandings(engine).one("trend")
    assert found is not None
    assert set(found.rules) == {"walk_forward_stability", "max_drawdown"}
    assert found.member == MEMBERS["trend"]


def test_a_damaged_row_is_named(engine: Engine, desk: SqlStandings) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(standings).values(body='{"strategy": 1}'))
    with pytest.raises(StoreUnavailable, match="standing of carry is damaged"):
        desk.one("carry")


def _of_week(*evaluations: Evaluation) -> Judgement:
    return replace(judged(*evaluations), alert=WEEKLY)


def test_neither_an_old_date_nor_an_empty_judgement_makes_a_standing(engine: Engine) -> None:
    store = SqlAlertStore(engine)
    store.record(replace(judged(*FOUND), recorded_only=True), watermark=None, members=MEMBERS)
    store.record(replace(judged(), run_id="empty"), watermark=None, members=MEMBERS)
    assert SqlStandings(engine).standings().total == 0
