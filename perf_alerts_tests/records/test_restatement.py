from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.records.restatement import (
    emptied_month,
    month_hashes,
    newest_hashed,
    restated_months,
)
from perf_alerts_tests.builders import a_record, noise, weekdays

ROWS = 60
DAYS = weekdays(ROWS)
RETURNS = noise(ROWS)
RECORD = a_record(RETURNS)
LAST: date = DAYS[-1].astype(object)
KEPT = month_hashes(RECORD, LAST)


def day(place: int) -> date:
    found: date = DAYS[place].astype(object)
    return found


def changed(place: int) -> StrategyRecord:
    returns = RETURNS.copy()
    returns[place] += 1e-12
    return a_record(returns)


def all_days(found: dict[str, tuple[date, ...]]) -> list[date]:
    return [one for days in found.values() for one in days]


def test_there_is_one_hash_per_month_up_to_the_last_final_row() -> None:
    assert list(KEPT) == ["2023-01", "2023-02", "2023-03"]
    assert list(month_hashes(RECORD, date(2023, 2, 10))) == ["2023-01", "2023-02"]
    assert month_hashes(RECORD, date(2022, 12, 31)) == {}


def test_a_hash_says_the_last_day_that_it_covers() -> None:
    assert month_hashes(RECORD, date(2023, 2, 11))["2023-02"].startswith("2023-02-10:")
    assert newest_hashed(KEPT) == LAST


def test_unchanged_rows_are_not_restated() -> None:
    assert restated_months(RECORD, KEPT) == {}


@settings(deadline=None)
@given(place=st.integers(0, ROWS - 1))
def test_a_changed_row_is_located(place: int) -> None:
    assert all_days(restated_months(changed(place), KEPT)) == [day(place)]


@settings(deadline=None)
@given(place=st.integers(0, ROWS - 2))
def test_a_row_taken_away_is_located(place: int) -> None:
    keep = np.delete(np.arange(ROWS), place)

    assert all_days(restated_months(a_record(RETURNS[keep], dates=DAYS[keep]), KEPT)) == [
        day(place)
    ]


def test_the_newest_row_taken_away_is_located() -> None:
    assert all_days(restated_months(RECORD.rows(0, ROWS - 1), KEPT)) == [LAST]


@settings(deadline=None)
@given(place=st.integers(0, ROWS - 2))
def test_a_row_that_comes_late_is_located(place: int) -> None:
    keep = np.delete(np.arange(ROWS), place)
    kept = month_hashes(a_record(RETURNS[keep], dates=DAYS[keep]), LAST)

    assert all_days(restated_months(RECORD, kept)) == [day(place)]


@settings(deadline=None)
@given(known=st.integers(1, ROWS))
def test_a_record_that_has_grown_is_not_restated(known: int) -> None:
    kept = month_hashes(RECORD.rows(0, known), LAST)

    assert restated_months(RECORD, kept) == {}


def test_a_month_that_was_emptied_is_known_as_such() -> None:
    rest = RECORD.rows(22, ROWS)
    notified = restated_months(rest, KEPT)
    kept = KEPT | {"2023-01": emptied_month(KEPT["2023-01"])}

    assert notified == {"2023-01": tuple(DAYS[:22].astype(object))}
    assert restated_months(rest, kept) == {}
    assert restated_months(RECORD, kept) == notified


def test_rows_in_a_month_that_was_never_hashed_are_all_new() -> None:
    kept = {month: value for month, value in KEPT.items() if month != "2023-02"}

    assert restated_months(RECORD, kept) == {
        "2023-02": tuple(one for one in DAYS.astype(object).tolist() if one.month == 2)
    }


def test_a_hash_without_marks_shows_the_month_alone() -> None:
    bare = {month: value.rpartition(":")[0] for month, value in KEPT.items()}

    assert restated_months(RECORD, bare) == {}
    assert restated_months(changed(3), bare) == {"2023-01": ()}
