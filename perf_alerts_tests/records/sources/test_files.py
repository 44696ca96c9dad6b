"""Files that are damaged, mislabelled or ambiguous: said in words, never guessed."""

import gzip
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from perf_alerts_dagster.core.errors import PerfAlertsError, RecordsInvalid, RecordsUnavailable
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_dagster.records.sources.open import TableNames, open_records

TODAY = date(2026, 1, 9)
HEADER = "strategy,date,pnl,capital,segment\n"
GOOD = "carry,2026-01-05,10,1000,live\n"
BAD = "trend,2026-01-05,ten,1000,live\n"


def load(path: Path, **columns: str) -> TrackRecords:
    return open_records(str(path), shown=str(path), tables=TableNames(), columns=columns).load(
        TODAY
    )


def refusal(path: Path, content: bytes | str, **columns: str) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises((RecordsInvalid, RecordsUnavailable)) as caught:
        load(path, **columns)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        (HEADER + "träum,2026-01-05,1,1,live\n").encode("latin-1"),
        ("stratégie,date\n" + GOOD).encode("latin-1"),
        b"\0" * 5000,
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4,
    ],
    ids=["latin-1", "latin-1 header", "zero bytes", "a picture"],
)
def test_a_csv_that_is_no_utf8_text_is_said_in_one_short_line(
    tmp_path: Path, content: bytes
) -> None:
    assert refusal(tmp_path / "daily.csv", content) == "daily.csv: the file is not UTF-8 text"


def test_a_quote_that_is_not_closed_is_named_by_the_row_it_opens_in(tmp_path: Path) -> None:
    message = refusal(tmp_path / "daily.csv", HEADER + GOOD + '"trend,2026-01-05,1,1,live\n' + GOOD)

    assert message == "daily.csv: row 3 has a quote that is not closed"


def test_a_row_with_too_many_cells_is_the_fault_of_its_strategy_alone(tmp_path: Path) -> None:
    path = tmp_path / "daily.csv"
    path.write_text(HEADER + GOOD + "trend,2026-01-05,1,1,000,live,USD\n")
    records = load(path)

    fault, *_ = records.faults["trend"]
    assert str(fault) == "daily.csv, row 3: has more cells than the header (seen: 'live')"
    assert set(records.strategies) == {"carry"}


def test_a_row_that_ends_early_is_named_by_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "daily.csv"
    path.write_text(HEADER + GOOD + "trend,2026-01-05,1\n")
    records = load(path)

    assert [str(one) for one in records.faults["trend"]] == [
        "daily.csv, row 3, column segment: must be backtest, live or shadow",
        "daily.csv, row 3, column capital: is empty",
    ]
    assert set(records.strategies) == {"carry"}


@pytest.mark.parametrize("header", ["pnl,pnl", "pnl, pnl "])
def test_two_columns_of_one_name_are_refused(tmp_path: Path, header: str) -> None:
    content = f"strategy,date,{header},capital,segment\ncarry,2026-01-05,10,20,1000,live\n"

    assert refusal(tmp_path / "daily.csv", content) == "daily.csv: column pnl is there twice"


def test_a_missing_column_is_said_with_the_columns_found_however_strange(tmp_path: Path) -> None:
    header = ",".join(["x" * 500, "\x1b[31mred", *(f"c{place}" for place in range(40))])
    message = refusal(tmp_path / "daily.csv", header + "\n1\n")

    assert message.startswith("daily.csv: column strategy, date is missing; columns found: xxx")
    assert "and 12 more. ALERT_RECORDS_COLUMNS maps other names; perf-alerts import" in message
    assert "\x1b" not in message
    assert len(message) < 500


def test_a_mapped_column_that_is_not_there_is_refused_not_replaced(tmp_path: Path) -> None:
    message = refusal(tmp_path / "daily.csv", HEADER + GOOD, pnl="net")

    assert message == (
        "daily.csv: ALERT_RECORDS_COLUMNS maps pnl to net, which is no column; "
        "columns found: strategy, date, pnl, capital, segment"
    )


def test_columns_can_be_swapped_and_one_can_serve_twice(tmp_path: Path) -> None:
    path = tmp_path / "daily.csv"
    path.write_text("strategy,date,capital,pnl,segment\ncarry,2026-01-05,10,1000,live\n")
    (record,) = load(path, pnl="capital", capital="pnl", group="strategy").strategies.values()

    assert (record.returns.tolist(), record.group) == ([0.01], "carry")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("daily.csv", gzip.compress((HEADER + GOOD + BAD).encode())),
        ("daily.csv.gz", (HEADER + GOOD + BAD).encode()),
    ],
    ids=["compressed without saying so", "not compressed in spite of its name"],
)
def test_compression_is_recognised_by_the_bytes_not_by_the_name(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    records = load(tmp_path / name)

    assert (
        str(records.faults["trend"][0])
        == f"{name}, row 3, column pnl: is not a number (seen: 'ten')"
    )
    assert set(records.strategies) == {"carry"}


@pytest.mark.parametrize("kept", [3, 40, 60])
def test_a_compressed_file_that_is_cut_short_is_said_and_may_be_tried_again(
    tmp_path: Path, kept: int
) -> None:
    path = tmp_path / "daily.csv.gz"
    path.write_bytes(gzip.compress((HEADER + GOOD * 5000).encode())[:kept])

    with pytest.raises(RecordsUnavailable, match="the compressed file is damaged or cut short"):
        load(path)


def test_a_folder_with_one_table_in_two_forms_is_refused(tmp_path: Path) -> None:
    (tmp_path / "daily.csv").write_text(HEADER + GOOD)
    (tmp_path / "daily.csv.gz").write_bytes(gzip.compress((HEADER + GOOD).encode()))

    with pytest.raises(RecordsInvalid, match=r"the folder holds daily\.csv and daily\.csv\.gz"):
        load(tmp_path)


def test_an_optional_table_that_was_named_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "daily.csv").write_text(HEADER + GOOD)

    with pytest.raises(RecordsUnavailable, match=r"holds no deals table; expected one of deals\."):
        open_records(
            str(tmp_path), shown="the folder", tables=TableNames(trades="deals"), columns={}
        )


def test_a_path_with_signs_that_shells_expand_is_read_unchanged(tmp_path: Path) -> None:
    folder = tmp_path / "book [2026]*"
    folder.mkdir()
    (folder / "daily.csv").write_text(HEADER + GOOD)

    assert set(load(folder).strategies) == {"carry"}


def table(**columns: object) -> pl.DataFrame:
    values: dict[str, object] = {
        "strategy": ["carry", "trend"],
        "date": [date(2026, 1, 5)] * 2,
        "pnl": [1.0, 2.0],
        "capital": [10.0, 10.0],
        "segment": ["live"] * 2,
    }
    return pl.DataFrame(values | columns)


@pytest.mark.parametrize(
    "cells",
    [[[1], [2]], [{"a": 1}, {"a": 2}], [b"\xff", b"x"], [True, False], [date.max, None]],
    ids=["lists", "structs", "bytes", "yes and no", "dates"],
)
def test_further_columns_of_any_type_do_no_harm(tmp_path: Path, cells: list[object]) -> None:
    table(extra=cells).write_parquet(tmp_path / "daily.parquet")
    records = load(tmp_path / "daily.parquet")

    assert set(records.strategies) == {"carry", "trend"}
    assert not records.strategies["carry"].extras


@pytest.mark.parametrize(
    ("cells", "seen"),
    [
        ([[1], [2]], "List(Int64)"),
        ([True, False], "false"),
        ([date(2026, 1, 1)] * 2, "2026-01-01"),
    ],
)
def test_what_is_no_number_is_not_made_one(tmp_path: Path, cells: list[object], seen: str) -> None:
    table(pnl=cells).write_parquet(tmp_path / "daily.parquet")
    records = load(tmp_path / "daily.parquet")

    assert str(records.faults["trend"][0]) == (
        f"daily.parquet, row 2, column pnl: is not a number (seen: '{seen}')"
    )


def test_a_date_that_no_calendar_has_is_a_fault_of_its_strategy_alone(tmp_path: Path) -> None:
    days = pl.Series([20458, 2**30], dtype=pl.Int32).cast(pl.Date)
    table(date=days).write_parquet(tmp_path / "daily.parquet")
    records = load(tmp_path / "daily.parquet")

    assert str(records.faults["trend"][0]) == (
        "daily.parquet, row 2, column date: is no date YYYY-MM-DD (seen: '1073741824')"
    )
    assert set(records.strategies) == {"carry"}


@pytest.mark.parametrize("cell", ["0000-01-01", "0000-01-01T00:00"])
def test_the_year_zero_is_a_fault_of_its_strategy_alone(tmp_path: Path, cell: str) -> None:
    text = f"strategy,date,return\ncarry,2026-01-05,0.1\ntrend,{cell},0.1\n"
    (tmp_path / "daily.csv").write_text(text)
    records = load(tmp_path / "daily.csv")

    assert str(records.faults["trend"][0]) == (
        f"daily.csv, row 3, column date: is no date YYYY-MM-DD (seen: '{cell}')"
    )
    assert set(records.strategies) == {"carry"}


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("trend,2026-01-05,ten", "daily.csv, row 6, column return: is not a number (seen: 'ten')"),
        (
            "trend,2026-01-05,0.1,0.2",
            "daily.csv, row 6: has more cells than the header (seen: '0.2')",
        ),
    ],
)
def test_empty_lines_anywhere_count_as_lines(tmp_path: Path, row: str, fault: str) -> None:
    text = f"\n\nstrategy,date,return\ncarry,2026-01-05,0.1\n\n{row}\n"
    (tmp_path / "daily.csv").write_text(text)
    records = load(tmp_path / "daily.csv")

    assert [str(one) for one in records.faults["trend"]] == [fault]
    assert set(records.strategies) == {"carry"}


def test_a_missing_value_of_a_data_frame_leaves_its_column_numeric(tmp_path: Path) -> None:
    table(leverage=[2.5, float("nan")]).write_parquet(tmp_path / "daily.parquet")
    records = load(tmp_path / "daily.parquet")

    assert records.strategies["carry"].extras["leverage"].tolist() == [2.5]


def damages(whole: bytes) -> Iterator[bytes]:
    """The file cut short anywhere, and with one byte of its pages turned."""
    yield from (whole[:length] for length in range(0, len(whole), 20))
    yield from (whole[:at] + b"\xff" + whole[at + 1 :] for at in range(0, 300, 4))


def test_no_damage_to_a_parquet_file_gets_past_our_own_errors(tmp_path: Path) -> None:
    path = tmp_path / "daily.parquet"
    table().write_parquet(path)
    said = []
    for damaged in damages(path.read_bytes()):
        path.write_bytes(damaged)
        try:
            load(path)
        except PerfAlertsError as error:
            said.append(str(error))

    # The reader panics on some of them, which is no Exception in Python.
    assert said.count("daily.parquet: the file is no Parquet table") > 80
