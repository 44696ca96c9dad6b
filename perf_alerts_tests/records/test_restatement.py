from collections.abc import Collection
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.records.restatement import Comparison, compare
from perf_alerts_tests.builders import a_record, noise, weekdays

ROWS = 60
DAYS = weekdays(ROWS)
PNL = noise(ROWS) * 1e5
CAPITAL = np.linspace(1e5, 2e5, ROWS)
LEVERAGE = np.where(np.arange(ROWS) % 7 == 0, np.nan, 2.0)
LAST: date = DAYS[-1].astype(object)
PLACES = st.integers(1, ROWS - 2)


def money(pnl: Floats = PNL, **changes: Any) -> StrategyRecord:
    return replace(a_record(pnl / CAPITAL), pnl=pnl, capital=CAPITAL, **changes)


def only(record: StrategyRecord, keep: np.ndarray) -> StrategyRecord:
    """The rows at these places."""
    assert record.pnl is not None
    assert record.capital is not None
    return replace(
        record,
        dates=record.dates[keep],
        returns=record.returns[keep],
        live=record.live[keep],
        pnl=record.pnl[keep],
        capital=record.capital[keep],
        extras={name: values[keep] for name, values in record.extras.items()},
    )


def without(place: int) -> StrategyRecord:
    return only(money(), np.delete(np.arange(ROWS), place))


def kept(record: StrategyRecord, bounded: Collection[str] = ()) -> dict[str, str]:
    return dict(compare(record, {}, bounded=bounded, last_final=LAST).texts)


def against(
    stored: dict[str, str], record: StrategyRecord, bounded: Collection[str] = ()
) -> Comparison:
    """The comparison, whose texts are stored."""
    found = compare(record, stored, bounded=bounded, last_final=LAST)
    stored.update(found.texts)
    return found


def day(place: int) -> date:
    found: date = DAYS[place].astype(object)
    return found


def changed(place: int, by: float = 0.01) -> StrategyRecord:
    return money(PNL + np.where(np.arange(ROWS) == place, by, 0.0))


RECORDS = {
    "pnl and capital": money(),
    "returns": a_record(noise(ROWS)),
    "a bounded column": money(extras={"leverage": LEVERAGE}),
    "backtest rows": replace(money(), live=np.arange(ROWS) > 30),
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_unchanged_rows_are_not_restated_and_not_stored_again(record: StrategyRecord) -> None:
    stored = kept(record, ["leverage"])

    found = against(stored, record, ["leverage"])

    assert list(stored) == ["2023-01", "2023-02", "2023-03"]
    assert found == Comparison(compared=ROWS, newest=LAST)


def test_only_final_rows_are_kept() -> None:
    found = compare(money(), {}, last_final=date(2023, 2, 11))

    assert compare(money(), found.texts, last_final=None).newest == date(2023, 2, 10)
    assert compare(money(), {}, last_final=None) == Comparison()
    assert compare(money(), {}, last_final=date(2022, 12, 31)) == Comparison()


def test_an_older_final_session_forgets_no_row() -> None:
    stored = kept(money())

    assert compare(money(), stored, last_final=date(2023, 2, 11)).texts == {}


@settings(deadline=None)
@given(place=PLACES, by=st.floats(0.01, 1e6), sign=st.sampled_from([1, -1]))
def test_a_changed_pnl_is_located(place: int, by: float, sign: int) -> None:
    stored = kept(money())

    assert against(stored, changed(place, sign * by)).days == {day(place): "changed"}
    assert against(stored, changed(place, sign * by)).days == {}


@pytest.mark.parametrize(
    "change",
    [
        {"live": np.arange(ROWS) != 7},
        {"capital": CAPITAL + (np.arange(ROWS) == 7)},
        {"extras": {"leverage": np.where(np.arange(ROWS) == 7, 3.0, LEVERAGE)}},
        {"extras": {"leverage": np.where(np.arange(ROWS) == 7, 0.0, LEVERAGE)}},
    ],
    ids=["live", "capital", "bounded column", "bounded column that was empty"],
)
def test_whatever_a_rule_sees_restates(change: dict[str, Any]) -> None:
    usual = money(extras={"leverage": LEVERAGE})
    stored = kept(usual, ["leverage"])

    found = against(stored, replace(usual, **change), ["leverage"])

    assert found.days == {day(7): "changed"}


def test_a_changed_return_is_located_where_there_is_no_pnl() -> None:
    returns = noise(ROWS)
    stored = kept(a_record(returns))
    returns[7] += 1e-8

    assert against(stored, a_record(returns)).days == {day(7): "changed"}


@settings(deadline=None)
@given(relative=st.lists(st.floats(-0.99e-9, 0.99e-9), min_size=ROWS, max_size=ROWS))
def test_less_than_a_billionth_of_a_value_restates_nothing(relative: list[float]) -> None:
    stored = kept(money(), ["leverage"])

    assert against(stored, money(PNL * (1 + np.array(relative)))).days == {}


def test_what_rounding_leaves_of_no_pnl_restates_nothing() -> None:
    flat = PNL * (np.arange(ROWS) != 7)
    stored = kept(money(flat))

    assert against(stored, money(flat + (np.arange(ROWS) == 7) * 2e-11)).days == {}
    assert against(stored, money(flat + (np.arange(ROWS) == 7) * 1e-4)).days == {day(7): "changed"}


@settings(deadline=None)
@given(
    known=st.tuples(st.integers(0, 30), st.integers(31, ROWS)),
    now=st.tuples(st.integers(0, 30), st.integers(31, ROWS)),
    index=st.permutations(range(ROWS)),
)
def test_a_lost_or_an_older_start_new_rows_and_other_columns_restate_nothing(
    known: tuple[int, int], now: tuple[int, int], index: list[int]
) -> None:
    stored = kept(money(extras={"": np.arange(ROWS, dtype=float)}).rows(*known), ["leverage"])
    later = (now[0], max(now[1], known[1]))
    record = money(extras={"": np.array(index, float)}).rows(*later)

    found = against(stored, record, ["leverage"])

    assert found.days == {}
    assert found.trimmed == max(0, now[0] - known[0])
    assert against(stored, record, ["leverage"]) == Comparison(
        compared=later[1] - now[0], newest=day(later[1] - 1)
    )
    # The whole record again.
    assert against(stored, money(), ["leverage"]).days == {}


def test_a_value_that_changes_while_its_row_was_lost_at_the_head_is_seen() -> None:
    stored = kept(money())
    against(stored, money().rows(30, ROWS))

    assert against(stored, changed(7)).days == {day(7): "changed"}


@settings(deadline=None)
@given(place=PLACES, value=st.sampled_from([0.0, 0.01]))
def test_a_row_taken_away_is_located_once_and_again_when_it_comes_back(
    place: int, value: float
) -> None:
    stored = kept(money())

    assert against(stored, without(place)).days == {day(place): "removed"}
    assert against(stored, without(place)) == Comparison(compared=ROWS - 1, newest=LAST)
    assert against(stored, changed(place, value)).days == {day(place): "added"}
    assert against(stored, changed(place, value)).days == {}


def test_the_newest_row_taken_away_is_located() -> None:
    stored = kept(money())

    assert against(stored, money().rows(0, ROWS - 1)).days == {LAST: "removed"}
    assert against(stored, money()).days == {LAST: "added"}


@settings(deadline=None)
@given(place=PLACES)
def test_a_row_that_comes_late_is_located(place: int) -> None:
    stored = kept(without(place))

    assert against(stored, money()).days == {day(place): "added"}
    assert against(stored, money()).days == {}


def test_the_rows_of_a_month_that_was_empty_are_late() -> None:
    january = np.datetime64("2023-02-01") > DAYS
    march = np.datetime64("2023-03-01") <= DAYS
    stored = kept(only(money(), january | march))

    days = against(stored, money()).days

    assert list(days) == DAYS[~january & ~march].astype(object).tolist()
    assert set(days.values()) == {"added"}


def test_a_record_that_starts_anew_restates_nothing() -> None:
    stored = kept(money().rows(0, 20))

    found = against(stored, money().rows(30, ROWS))

    assert (found.days, found.trimmed, found.compared) == ({}, 20, 0)


def test_a_new_bound_restates_nothing_and_is_compared_from_then_on() -> None:
    record = money(extras={"leverage": LEVERAGE})
    stored = kept(record)

    assert against(stored, record, ["leverage"]).days == {}
    moved = replace(record, extras={"leverage": np.where(DAYS[7] == DAYS, 3.0, LEVERAGE)})
    assert against(stored, moved, ["leverage"]).days == {day(7): "changed"}


def test_a_bound_that_is_dropped_restates_nothing() -> None:
    record = money(extras={"leverage": LEVERAGE})
    stored = kept(record, ["leverage"])

    assert against(stored, replace(record, extras={"leverage": LEVERAGE + 1})) == Comparison(
        compared=ROWS, newest=LAST
    )


def test_returns_in_place_of_pnl_and_capital_are_compared_as_returns() -> None:
    pnl = money().pnl
    returns = a_record(money().returns)
    other = a_record(np.where(DAYS[7] == DAYS, 0.5, money().returns))
    assert pnl is not None

    assert against(kept(money()), returns).days == {}
    assert against(kept(money()), other).days == {day(7): "changed"}
    assert against(kept(returns), money()).days == {}
    assert against(kept(other), money()).days == {day(7): "changed"}
    stored = kept(other)
    against(stored, money())
    assert against(stored, changed(3)).days == {day(3): "changed"}


def test_pnl_and_capital_are_compared_as_such_beside_months_that_were_kept_as_returns() -> None:
    returns = a_record(money().returns)
    stored = kept(returns)
    against(stored, returns.rows(30, ROWS))
    against(stored, money().rows(30, ROWS))
    moved = replace(money(PNL * (1 + 9e-10)), capital=CAPITAL * (1 - 9e-10)).rows(30, ROWS)

    assert against(stored, moved).days == {}


def test_more_than_half_of_the_compared_rows_are_a_wholesale_change() -> None:
    def first(count: int) -> Comparison:
        return against(kept(money()), money(PNL + (np.arange(ROWS) < count)))

    assert not first(30).is_wholesale
    assert first(31).is_wholesale
    assert not Comparison().is_wholesale


def test_the_form_of_an_earlier_version_says_the_newest_day_and_is_replaced() -> None:
    earlier = {
        "2023-01": f"2023-01-31:{'0' * 64}:{'0' * 176}",
        "2023-02": f"2023-02-17:{'0' * 64}",
        "2022-12": "2022-12-30:no rows:",
    }
    stored = dict(earlier)
    found = against(stored, money())

    assert (found.days, found.compared, found.newest) == ({}, 0, date(2023, 2, 17))
    assert stored == {**earlier, **kept(money())}
    assert against(stored, changed(7)).days == {day(7): "changed"}


def test_a_kept_row_takes_fewer_than_twenty_bytes() -> None:
    assert sum(map(len, kept(money()).values())) / ROWS < 20
