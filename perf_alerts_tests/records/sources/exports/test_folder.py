"""Imports into one folder are merged, and nothing that is there is lost unasked."""

from datetime import date
from pathlib import Path

import pytest

from perf_alerts_dagster.core.errors import RecordsInvalid, UsageError
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_dagster.records.sources.exports.folder import store
from perf_alerts_dagster.records.sources.exports.tools import read_export

TODAY = date(2025, 12, 31)
FIRST = "date,x\n2025-01-02,0.01\n2025-01-03,0.02\n2025-01-06,0.03\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "records"


def put(
    folder: Path,
    text: str,
    *,
    form: str = "returns",
    name: str = "x",
    capital: float | None = None,
    force: bool = False,
) -> TrackRecords:
    path = folder.parent / "export.csv"
    path.write_text(text)
    daily, trades, _ = read_export(form, path, strategy=name, capital=capital)
    return store(folder, daily, trades, force=force, today=TODAY)[0]


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_same_import_again_changes_nothing(folder: Path) -> None:
    put(folder, FIRST)
    before = content(folder)
    written = (folder / "daily.csv").stat().st_mtime_ns

    put(folder, FIRST)

    assert content(folder) == before
    assert (folder / "daily.csv").stat().st_mtime_ns == written


def test_further_strategies_and_days_are_added(folder: Path) -> None:
    put(folder, FIRST)
    put(folder, FIRST, name="y")
    # The export has lost its oldest day, and has a newer one.
    records = put(folder, "date,x\n2025-01-03,0.02\n2025-01-06,0.03\n2025-01-07,0.04\n")

    assert {name: len(record) for name, record in records.strategies.items()} == {"x": 4, "y": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FIRST.replace("0.02", "0.05"), "the row x, 2025-01-03, 0.02, live differs"),
        ("date,x\n2025-01-02,0.01\n2025-01-06,0.03\n", "the row x, 2025-01-03, 0.02, live differs"),
    ],
)
def test_a_row_that_differs_or_is_gone_stops_the_import_unless_forced(
    folder: Path, text: str, message: str
) -> None:
    put(folder, FIRST)
    before = content(folder)

    with pytest.raises(UsageError, match=message):
        put(folder, text)
    assert content(folder) == before

    put(folder, text, force=True)
    assert content(folder) != before


def test_returns_go_beside_amounts_with_a_capital_only(folder: Path) -> None:
    put(folder, "date,nav\n2025-01-02,100\n2025-01-03,110\n", form="equity", name="fund")

    with pytest.raises(UsageError, match="give --capital"):
        put(folder, FIRST)
    records = put(folder, FIRST, capital=1000)

    record = records.strategies["x"]
    assert record.pnl is not None
    assert record.pnl.tolist() == pytest.approx([10, 20.2, 30.906])
    assert record.returns.tolist() == pytest.approx([0.01, 0.02, 0.03])


def test_amounts_do_not_go_beside_returns(folder: Path) -> None:
    put(folder, FIRST)

    with pytest.raises(UsageError, match=r"daily\.csv has strategy, date, return"):
        put(folder, "date,nav\n2025-01-02,100\n2025-01-03,110\n", form="equity", name="fund")


def test_nothing_is_written_where_a_row_breaks_a_rule(folder: Path) -> None:
    with pytest.raises(RecordsInvalid, match="is in the future"):
        put(folder, "date,x\n2026-01-02,0.01\n")

    assert not folder.exists()


@pytest.mark.parametrize("name", ["daily.csv", "daily.parquet", "trades.csv.gz"])
def test_a_table_that_no_import_wrote_is_left_alone(folder: Path, name: str) -> None:
    folder.mkdir()
    (folder / name).write_text("book,day,profit\na,2025-01-02,1\n")

    with pytest.raises(UsageError, match="give another --out"):
        put(folder, FIRST)

    assert list(content(folder)) == [name]


def test_a_strategy_in_two_files_of_one_import_is_refused(folder: Path) -> None:
    path = folder.parent / "export.csv"
    path.write_text(FIRST)
    daily, *_ = read_export("returns", path, strategy="x")

    with pytest.raises(RecordsInvalid, match="is there twice for this strategy"):
        store(folder, daily * 2, [], force=False, today=TODAY)


@pytest.mark.parametrize("force", [False, True])
def test_trades_are_merged_as_their_days_are(folder: Path, *, force: bool) -> None:
    text = "exit_time,pnl\n2025-01-02,10\n2025-01-03,20\n"
    put(folder, text, form="trades", capital=1000)
    put(folder, text, form="trades", capital=1000, name="y")

    records = put(folder, text + "2025-01-06,30\n", form="trades", capital=1000, force=force)

    trades = [record.trades for record in records.strategies.values()]
    assert [None if of_one is None else of_one.pnl.tolist() for of_one in trades] == [
        [10, 20, 30],
        [10, 20],
    ]
