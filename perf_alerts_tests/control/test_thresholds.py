"""Versions of the thresholds, in SQLite and in PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.control.audit import ThresholdVersion, VersionConflict
from perf_alerts_dagster.control.sql import SqlAudit, SqlThresholds
from perf_alerts_tests.storage.changes import NOON, change

FIRST: dict[str, Any] = {"default": {"drawdown_warning": 0.07}}
SECOND: dict[str, Any] = {"default": {}, "strategies": {"é": {"volatility_low": 0.1 + 0.2}}}


@pytest.fixture
def thresholds(engine: Engine) -> SqlThresholds:
    return SqlThresholds(engine)


def test_nothing_set_means_that_the_settings_count(thresholds: SqlThresholds) -> None:
    assert thresholds.current() is None
    assert list(thresholds.history()) == []


def test_each_put_is_a_version_and_the_newest_one_counts(thresholds: SqlThresholds) -> None:
    first = thresholds.put(FIRST, change(), expected=0)
    second = thresholds.put(SECOND, change(actor="admin"), expected=1)

    assert first == ThresholdVersion(version=1, content=FIRST, at=NOON, actor="operator:ci-bot")
    assert thresholds.current() == second
    assert second.content == SECOND
    assert list(thresholds.history()) == [second, first]
    assert list(thresholds.history(limit=1)) == [second]


def test_a_change_is_recorded_with_what_it_was_and_what_it_is(
    thresholds: SqlThresholds, engine: Engine
) -> None:
    thresholds.put(FIRST, change(), expected=None)
    thresholds.put(SECOND, change(), expected=None)

    second, first = SqlAudit(engine).entries().rows
    assert (first.before, first.after) == (None, {"version": 1, "content": FIRST})
    assert (second.before, second.after) == (first.after, {"version": 2, "content": SECOND})


@pytest.mark.parametrize("expected", [0, 2])
def test_who_has_seen_another_version_is_refused_and_nothing_changes(
    thresholds: SqlThresholds, engine: Engine, expected: int
) -> None:
    thresholds.put(FIRST, change(), expected=0)

    with pytest.raises(VersionConflict) as refused:
        thresholds.put(SECOND, change(), expected=expected)

    assert refused.value.current == 1
    assert [one.content for one in thresholds.history()] == [FIRST]
    assert len(SqlAudit(engine).entries().rows) == 1


def test_a_change_that_cannot_be_recorded_does_not_happen(thresholds: SqlThresholds) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        thresholds.put(FIRST, change(at=NOON.replace(tzinfo=None)), expected=None)

    assert thresholds.current() is None


def test_of_many_at_once_that_saw_the_same_version_one_wins(engine: Engine) -> None:
    def put(_: int) -> bool:
        try:
            SqlThresholds(engine).put(FIRST, change(), expected=0)
        except VersionConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, range(8)))

    assert won.count(True) == 1
    assert len(SqlThresholds(engine).history()) == 1
