"""Small inputs that people's exports look like, and what is right for each."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from perf_alerts_dagster.core.errors import RecordsInvalid
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_dagster.records.sources.open import TableNames, open_records

CASES = Path(__file__).parents[1] / "cases"


def load(name: str) -> TrackRecords:
    source = open_records(str(CASES / name), shown=name, tables=TableNames(), columns={})
    return source.load(date(2026, 11, 29))


def test_midnight_in_utc_is_that_day() -> None:
    (record,) = load("tz_z.csv").strategies.values()

    assert len(record) == 200
    assert str(record.dates[0]) == "2025-01-02"


def test_midnight_in_another_zone_than_the_columns_is_refused_with_what_was_seen() -> None:
    records = load("tz_ny_in_utc.parquet")

    assert not records.strategies
    assert str(records.faults["s1"][0]) == (
        "tz_ny_in_utc.parquet, row 1, column date: is no midnight: give dates, or midnight in the "
        "column's own zone, as after .dt.tz_convert('America/New_York') "
        "(seen: '2025-01-02 05:00:00.000000+00:00')"
    )


def test_midnight_at_the_fixed_offset_of_a_parquet_column_is_that_day() -> None:
    (record,) = load("tz_fixed_offset.parquet").strategies.values()

    assert str(record.dates[0]) == "2025-01-02"


def test_a_byte_order_mark_within_the_file_makes_no_second_strategy() -> None:
    records = load("bommid.csv")

    assert {name: len(record) for name, record in records.strategies.items()} == {
        "s1": 60,
        "s2": 60,
    }
    assert "bommid.csv: invisible characters in the column strategy were removed" in records.notes


def test_lines_that_end_in_a_carriage_return_are_read() -> None:
    records = load("cr.csv")

    assert {name: len(record) for name, record in records.strategies.items()} == {"s1": 60}


def test_a_type_of_parquet_that_is_not_read_is_named() -> None:
    with pytest.raises(RecordsInvalid) as caught:
        load("dec256.parquet")
    assert str(caught.value) == (
        "dec256.parquet: column pnl has the type decimal(60, 10), also called decimal256, which "
        "is not read; cast it to float64 or a decimal of at most 38 digits"
    )


def test_backtest_rows_on_or_after_the_first_live_day_are_left_out() -> None:
    records = load("bt_after_live.csv")
    (record,) = records.strategies.values()
    first_live = record.dates[record.live][0]

    assert not records.faults
    assert len(record) == 600
    assert (record.dates[~record.live] < first_live).all()
    assert "mix: 159 backtest rows on or after its first live day are left out" in records.notes


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("pctnum.csv", "s1: live returns look like percent numbers (median size of a return is"),
        ("lowvolpct.csv", "median size of a return is 10.9 %): 0.01 means 1 %"),
    ],
)
def test_percent_numbers_are_suspected(name: str, note: str) -> None:
    assert any(note in one for one in load(name).notes)


@pytest.mark.parametrize(
    "name", ["coin_and_stock.csv", "freq_ME.csv", "freq_W-FRI.csv", "weekly_rs.csv", "tz_z.csv"]
)
def test_other_records_are_not_suspected(name: str) -> None:
    records = load(name)

    assert not records.faults
    assert not [note for note in records.notes if "percent" in note or "split" in note]


def test_every_case_is_read_or_refused_in_words() -> None:
    for path in sorted(CASES.iterdir()):
        try:
            records = load(path.name)
        except RecordsInvalid as error:
            assert str(error).startswith(path.name)  # noqa: PT017 # both ends are right
            continue
        for record in records.strategies.values():
            assert np.isfinite(record.returns).all()
