"""What is kept of schedules, switches and signs of life, in both databases."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.control.sql import SqlAudit
from perf_alerts_dagster.scheduler.port import Downtime, Pause, Timetable
from perf_alerts_dagster.scheduler.sql import SqlHistory, SqlSchedulerStore

NOW = datetime(2026, 1, 30, 18, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
DAILY = "daily_pnl_check"
FIVE = Timetable("['0 17 * * *']", "UTC")


@pytest.fixture
def history(engine: Engine) -> SqlHistory:
    return SqlHistory(engine)


def test_a_timetable_is_in_force_since_it_was_first_seen(history: SqlHistory) -> None:
    assert history.in_force({DAILY: FIVE}, NOW) == {DAILY: NOW}
    assert history.in_force({DAILY: FIVE}, NOW + DAY) == {DAILY: NOW}


@pytest.mark.parametrize("other", [Timetable("['0 18 * * *']", "UTC"), FIVE._replace(timezone="X")])
def test_another_time_or_zone_is_in_force_from_now_on(
    history: SqlHistory, other: Timetable
) -> None:
    history.in_force({DAILY: FIVE, "weekly": FIVE}, NOW)
    after = history.in_force({DAILY: other, "weekly": FIVE}, NOW + DAY)

    assert after == {DAILY: NOW + DAY, "weekly": NOW}
    assert history.in_force({DAILY: FIVE}, NOW + 2 * DAY) == {DAILY: NOW + 2 * DAY}


def test_a_timetable_of_the_future_is_that_of_a_clock_set_back(history: SqlHistory) -> None:
    history.in_force({DAILY: FIVE}, NOW + DAY)

    assert history.in_force({DAILY: FIVE}, NOW) == {DAILY: NOW}


def test_a_switch_is_recorded_once_and_so_is_its_end(history: SqlHistory) -> None:
    for seconds in (0, 10, 20):
        off = {DAILY}
        assert history.record_switches(off, off, NOW + timedelta(seconds=seconds)) == off
    assert history.switched_off(NOW + 15 * MINUTE) == {DAILY: NOW}
    assert history.switched_off(NOW + 14 * MINUTE) == {}
    assert history.record_switches((), (), NOW + HOUR) == set()

    rows = SqlAudit(history.engine).entries().rows
    found = [(one.actor, one.action, one.target, one.at) for one in reversed(rows)]
    assert found == [
        ("web UI", "disable", DAILY, NOW),
        ("web UI", "enable", DAILY, NOW + HOUR),
    ]


def test_what_is_seen_off_for_the_first_time_is_recorded_only_when_it_is_sure(
    history: SqlHistory,
) -> None:
    assert history.record_switches({DAILY}, (), NOW) == set()
    history.record_switches({DAILY}, {DAILY}, NOW)
    # A new process has seen it once.
    assert history.record_switches({DAILY}, (), NOW) == {DAILY}


def test_a_pause_is_no_switch_and_ends_one_without_a_second_audit_row(history: SqlHistory) -> None:
    store = SqlSchedulerStore(history.engine)
    store.keep_pause(Pause(alert=DAILY, by="ann", since=NOW))
    assert history.record_switches({DAILY}, {DAILY}, NOW) == set()
    store.drop_pause(DAILY)
    assert history.record_switches({DAILY}, {DAILY}, NOW) == {DAILY}
    store.keep_pause(Pause(alert=DAILY, by="ann", since=NOW))
    assert history.record_switches({DAILY}, {DAILY}, NOW) == set()

    assert [one.action for one in SqlAudit(history.engine).entries().rows] == ["disable"]


def test_a_short_restart_is_no_downtime(history: SqlHistory) -> None:
    for minutes in (0, 1, 6, 11):
        assert history.alive(NOW + minutes * MINUTE) == NOW
    assert history.downtime(NOW + HOUR) is None


def test_a_long_time_without_a_sign_of_life_is_a_downtime_for_a_week(history: SqlHistory) -> None:
    history.alive(NOW)
    assert history.alive(NOW + DAY) == NOW + DAY

    assert history.downtime(NOW + DAY) == Downtime(since=NOW, until=NOW + DAY)
    assert history.downtime(NOW + 9 * DAY) is None


def test_downtimes_soon_after_each_other_are_one(history: SqlHistory) -> None:
    for minutes in (0, 30, 35, 60):
        history.alive(NOW + minutes * MINUTE)
    one = Downtime(since=NOW, until=NOW + HOUR)
    assert history.downtime(NOW + HOUR) == one
    for minutes in range(60, 150, 5):
        history.alive(NOW + minutes * MINUTE)
    history.alive(NOW + 4 * HOUR)
    assert history.downtime(NOW + 4 * HOUR) == Downtime(
        since=NOW + 145 * MINUTE, until=NOW + 4 * HOUR
    )


def test_a_clock_that_is_set_back_begins_anew_and_was_no_downtime(history: SqlHistory) -> None:
    history.alive(NOW)
    assert history.alive(NOW - HOUR) == NOW - HOUR
    assert history.downtime(NOW) is None
    # Two machines' clocks differ by seconds.
    assert history.alive(NOW - HOUR - timedelta(seconds=30)) == NOW - HOUR


def test_a_digest_gets_a_downtime_once_and_with_what_was_missed(history: SqlHistory) -> None:
    history.alive(NOW)
    history.alive(NOW + DAY)
    assert history.take_downtime(NOW + DAY) is None
    known = Downtime(since=NOW, until=NOW + DAY, missed={DAILY: 1}, caught_up=(DAILY,))
    history.keep_downtime(known)

    assert history.take_downtime(NOW + DAY) == known
    assert history.take_downtime(NOW + DAY) is None
    assert history.downtime(NOW + DAY) == known


def test_a_downtime_is_a_sentence() -> None:
    downtime = Downtime(since=NOW, until=NOW + DAY)
    gap = "No sign of life from 2026-01-30T18:00Z to 2026-01-31T18:00Z"
    gap += " (down, asleep, or the clock was set)"

    assert str(downtime) == f"{gap}."
    nothing = Downtime(since=NOW, until=NOW + DAY, missed={})
    assert str(nothing) == f"{gap}; due meanwhile: nothing."
    known = Downtime(since=NOW, until=NOW + DAY, missed={DAILY: 2, "weekly": 1}, caught_up=(DAILY,))
    assert str(known) == f"{gap}; due meanwhile: {DAILY} 2, weekly 1; run since: {DAILY}."
