import numpy as np
import pytest

from perf_alerts_dagster.records.model import Flags
from perf_alerts_dagster.statistics.scores.walk_forward import (
    Fold,
    Insufficient,
    first_live_row,
    split_record,
    walk_forward_folds,
)


def live_from(start: int, rows: int) -> Flags:
    return np.arange(rows) >= start


def test_folds_are_counted_forward_from_the_first_live_row_and_only_complete_ones() -> None:
    folds = walk_forward_folds(live_from(300, 300 + 4 * 63 + 62))

    assert folds == tuple(Fold(first=0, start=300 + 63 * i, stop=363 + 63 * i) for i in range(4))


def test_a_later_row_never_changes_a_finished_fold() -> None:
    before = walk_forward_folds(live_from(800, 800 + 5 * 63))
    after = walk_forward_folds(live_from(800, 800 + 5 * 63 + 20))

    assert before == after


def test_only_the_last_twelve_folds_count_each_with_at_most_756_rows_before_it() -> None:
    folds = walk_forward_folds(live_from(756, 756 + 20 * 63))

    assert isinstance(folds, tuple)
    assert [fold.start for fold in folds] == [756 + 63 * i for i in range(8, 20)]
    assert {fold.start - fold.first for fold in folds} == {756}


def test_without_a_backtest_folds_begin_after_252_live_rows() -> None:
    folds = walk_forward_folds(live_from(0, 252 + 4 * 63))

    assert isinstance(folds, tuple)
    assert [fold.start for fold in folds] == [252, 315, 378, 441]


@pytest.mark.parametrize(
    ("start", "rows", "found"),
    [(300, 300 + 4 * 63 - 1, 3), (300, 300, 0), (0, 252 + 63, 1), (100, 100, 0)],
)
def test_fewer_than_four_folds_is_insufficient_and_says_how_many(
    start: int, rows: int, found: int
) -> None:
    folds = walk_forward_folds(live_from(start, rows))

    assert isinstance(folds, Insufficient)
    assert (folds.observations, folds.required) == (found, 4)
    assert f"{found} of 4" in folds.reason


def test_a_record_without_a_live_row_begins_live_after_its_end() -> None:
    assert first_live_row(np.zeros(7, dtype=bool)) == 7


def test_the_reference_is_the_last_756_rows_before_live_and_live_the_last_756_after() -> None:
    returns = np.arange(3000.0)

    split = split_record(returns, live_from(1000, 3000))

    assert not isinstance(split, Insufficient)
    assert (split.reference[0], split.reference[-1]) == (244.0, 999.0)
    assert (split.live[0], split.live[-1], split.live_start) == (2244.0, 2999.0, 2244)


def test_without_a_backtest_the_first_756_live_rows_are_the_reference() -> None:
    split = split_record(np.arange(1100.0), live_from(0, 1100))

    assert not isinstance(split, Insufficient)
    assert (len(split.reference), len(split.live), split.live_start) == (756, 344, 756)


@pytest.mark.parametrize(
    ("start", "rows", "observations", "required"),
    [(251, 900, 251, 252), (252, 503, 251, 252), (0, 755, 755, 756), (0, 900, 144, 252)],
)
def test_a_short_backtest_or_a_short_live_segment_is_insufficient(
    start: int, rows: int, observations: int, required: int
) -> None:
    split = split_record(np.zeros(rows), live_from(start, rows))

    assert isinstance(split, Insufficient)
    assert (split.observations, split.required) == (observations, required)
