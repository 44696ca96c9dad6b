from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from perf_alerts_dagster.records.model import RecordFault, Status, StrategyRecord, TrackRecords
from perf_alerts_tests.builders import a_record, trades, weekdays

ROWS = weekdays(5)
RECORD = replace(
    a_record([0.01, 0.02, -0.03, 0.0, 0.01]),
    pnl=np.array([1.0, 2.0, -3.0, 0.0, 1.0]),
    capital=np.full(5, 100.0),
    extras={"leverage": np.array([1.0, 2.0, 3.0, 4.0, np.nan])},
    trades=trades([5.0, -1.0], ROWS[[1, 3]]),
)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            RecordFault(where="daily.csv", row=17, column="pnl", rule="is not a number"),
            "daily.csv, row 17, column pnl: is not a number",
        ),
        (
            RecordFault(where="daily.csv", row=17, rule="has more cells than the header"),
            "daily.csv, row 17: has more cells than the header",
        ),
        (
            RecordFault(where="daily.csv", row=2, column="pnl", rule="is negative", value="-1"),
            "daily.csv, row 2, column pnl: is negative (seen: '-1')",
        ),
        (RecordFault(where="daily.csv", rule="and 3 more faults"), "daily.csv: and 3 more faults"),
    ],
)
def test_a_fault_says_where_it_is_as_far_as_that_is_known(fault: RecordFault, said: str) -> None:
    assert str(fault) == said


@pytest.mark.parametrize(
    ("status", "is_judged"),
    [("incubating", True), ("live", True), ("paused", False), ("retired", False)],
)
def test_paused_and_retired_strategies_are_not_judged(status: str, is_judged: bool) -> None:
    assert Status(status).is_judged is is_judged


def test_the_rows_up_to_a_day_bring_their_columns_and_closed_trades_along() -> None:
    part = RECORD.until(date(2023, 1, 4))

    assert len(part) == 3
    assert part.returns.tolist() == [0.01, 0.02, -0.03]
    assert part.pnl is not None
    assert part.capital is not None
    assert (part.pnl.tolist(), part.capital.tolist()) == ([1.0, 2.0, -3.0], [100.0] * 3)
    assert part.extras["leverage"].tolist() == [1.0, 2.0, 3.0]
    assert part.trades is not None
    assert part.trades.pnl.tolist() == [5.0]
    assert len(part.trades) == 1


def test_up_to_a_day_before_the_first_row_there_is_none() -> None:
    assert len(RECORD.until(date(2022, 12, 30))) == 0


def test_up_to_a_day_without_a_row_the_rows_before_it_count() -> None:
    assert len(RECORD.until(date(2023, 1, 8))) == 5


CHANGES: dict[str, Callable[[StrategyRecord], StrategyRecord]] = {
    "name": lambda one: replace(one, strategy="other"),
    "date": lambda one: replace(one, dates=one.dates + np.timedelta64(1, "D")),
    "return": lambda one: replace(one, returns=one.returns + 1e-12),
    "segment": lambda one: replace(one, live=~one.live),
    "P&L": lambda one: replace(one, pnl=np.ones(5)),
    "further column": lambda one: replace(one, extras={"leverage": np.ones(5)}),
    "name of a further column": lambda one: replace(one, extras={"x": one.extras["leverage"]}),
    "trade": lambda one: replace(one, trades=trades([5.0, -2.0], ROWS[[1, 3]])),
    "no trades": lambda one: replace(one, trades=None),
    "row": lambda one: one.rows(0, 4),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_the_content_hash_shows_any_change(
    change: Callable[[StrategyRecord], StrategyRecord],
) -> None:
    assert change(RECORD).content_hash() != RECORD.content_hash()


def test_the_content_hash_of_the_same_content_is_the_same() -> None:
    again = replace(
        RECORD, dates=RECORD.dates.astype("datetime64[s]"), returns=RECORD.returns.copy()
    )

    assert again.content_hash() == RECORD.content_hash()
    assert len(RECORD.content_hash()) == 64


def test_the_records_dates_are_those_of_all_strategies_once() -> None:
    other = a_record([0.1, 0.1], strategy="b", dates=ROWS[[1, 4]])
    records = TrackRecords(source="test", strategies={"a": RECORD.rows(0, 3), "b": other})

    assert records.dates.tolist() == ROWS[[0, 1, 2, 4]].tolist()


def test_a_record_without_good_strategies_has_no_dates() -> None:
    assert len(TrackRecords(source="test", strategies={}).dates) == 0
