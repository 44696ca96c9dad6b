from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from perf_alerts_dagster.executions.plan import find_changes, save_hashes
from perf_alerts_dagster.records.model import Floats, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.reading import Reading, read
from perf_alerts_tests.builders import MARKET, a_record, noise, weekdays
from perf_alerts_tests.fakes import FakeAlertStore, FakeRecordsSource

ROWS = 45


def reading(record: StrategyRecord) -> Reading:
    newest: date = record.dates[-1].astype(object)
    return read(
        FakeRecordsSource(TrackRecords(source="test", strategies={record.strategy: record})),
        MARKET,
        as_of=None,
        now=datetime.combine(newest, datetime.min.time(), tzinfo=UTC).replace(hour=18),
        timezone=ZoneInfo("UTC"),
    )


def with_rows(returns: Floats, keep: np.ndarray | None = None) -> StrategyRecord:
    record = a_record(returns)
    if keep is None:
        return record
    return a_record(returns[keep], dates=record.dates[keep])


def stored(returns: Floats) -> FakeAlertStore:
    store = FakeAlertStore()
    save_hashes(store, reading(with_rows(returns)))
    return store


def day(place: int) -> date:
    found: date = weekdays(place + 1)[-1].astype(object)
    return found


def test_unchanged_rows_are_no_restatement() -> None:
    returns = noise(ROWS)

    assert find_changes(stored(returns), reading(with_rows(returns))).sessions == ()


def test_new_rows_at_the_end_are_new_and_not_restated() -> None:
    returns = noise(ROWS)
    changes = find_changes(stored(returns[:-2]), reading(with_rows(returns)))

    # They are due anyway; nothing that was judged has changed.
    assert changes.notes == ()
    assert changes.sessions == (day(ROWS - 2), day(ROWS - 1))


def test_a_changed_final_row_is_located_and_the_month_is_judged_again_from_it_on() -> None:
    returns = noise(ROWS)
    changed = returns.copy()
    changed[3] += 0.01
    changes = find_changes(stored(returns), reading(with_rows(changed)))

    assert changes.notes == ("restated: final rows of trend changed on 2023-01-05",)
    assert changes.sessions[0] == day(3)
    assert {one.month for one in changes.sessions} == {1}


def test_a_row_that_is_taken_away_is_located() -> None:
    returns = noise(ROWS)
    changes = find_changes(
        stored(returns), reading(with_rows(returns, np.delete(np.arange(ROWS), 3)))
    )

    assert changes.notes == ("restated: final rows of trend changed on 2023-01-05",)
    # The day itself is no session any more: no strategy has a row on it.
    assert changes.sessions[0] == day(4)


def test_a_row_that_comes_late_into_a_known_month_is_located() -> None:
    returns = noise(ROWS)
    store = FakeAlertStore()
    save_hashes(store, reading(with_rows(returns, np.delete(np.arange(ROWS), 3))))

    changes = find_changes(store, reading(with_rows(returns)))

    assert changes.notes == ("restated: final rows of trend changed on 2023-01-05",)
    assert changes.sessions[0] == day(3)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"live": np.arange(ROWS) != 7}, "on 2023-01-11"),
        ({"extras": {"leverage": np.where(np.arange(ROWS) == 7, 3.0, 2.0)}}, "on 2023-01-11"),
    ],
    ids=["segment", "further column"],
)
def test_whatever_a_value_may_depend_on_restates(change: dict[str, Any], fault: str) -> None:
    returns = noise(ROWS)
    usual = replace(a_record(returns), extras={"leverage": np.full(ROWS, 2.0)})
    store = FakeAlertStore()
    save_hashes(store, reading(usual))

    changes = find_changes(store, reading(replace(usual, **change)))

    assert changes.notes == (f"restated: final rows of trend changed {fault}",)


def test_many_changed_days_are_counted() -> None:
    returns = noise(ROWS)
    changed = returns + np.where(np.arange(ROWS) < 20, 0.01, 0.0)
    (note,) = find_changes(stored(returns), reading(with_rows(changed))).notes

    assert note.endswith("changed on 2023-01-02, 2023-01-03, 2023-01-04, 2023-01-05, 2023-01-06 "
                         "and 15 more days")  # fmt: skip


def test_rows_that_come_late_into_an_empty_month_are_a_restatement() -> None:
    returns = noise(ROWS)
    store = FakeAlertStore()
    save_hashes(store, reading(with_rows(returns, np.arange(22, ROWS))))

    changes = find_changes(store, reading(with_rows(returns)))

    assert changes.sessions[0] == day(0)
    assert len(changes.notes) == 1


def test_a_month_that_is_emptied_is_reported_once_and_again_when_its_rows_come_back() -> None:
    returns = noise(ROWS)
    store = stored(returns)
    without = reading(with_rows(returns, np.arange(22, ROWS)))
    notified = find_changes(store, without)
    save_hashes(store, without)

    assert len(notified.notes) == 1
    assert find_changes(store, without).notes == ()
    assert find_changes(store, reading(with_rows(returns))).sessions[0] == day(0)


def test_a_hash_of_an_earlier_version_restates_its_whole_month() -> None:
    returns = noise(ROWS)
    store = FakeAlertStore()
    save_hashes(store, reading(with_rows(returns)))
    store.save_month_hashes(
        {key: value.rpartition(":")[0] for key, value in store.month_hashes().items()}
    )
    changed = returns.copy()
    changed[3] += 0.01
    changes = find_changes(store, reading(with_rows(changed)))

    assert find_changes(store, reading(with_rows(returns))).notes == ()
    assert changes.notes == ("restated: final rows of trend changed in 2023-01",)
    assert changes.sessions[0] == day(0)


def test_a_strategy_that_is_new_has_no_past_to_differ_from() -> None:
    store = FakeAlertStore()

    assert find_changes(store, reading(with_rows(noise(ROWS)))).sessions == ()


def test_a_restatement_is_reported_once() -> None:
    returns = noise(ROWS)
    store = stored(returns)
    changed = returns.copy()
    changed[3] += 0.01
    save_hashes(store, reading(with_rows(changed)))

    assert find_changes(store, reading(with_rows(changed))).sessions == ()
