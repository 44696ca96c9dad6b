"""The name of a strategy with faults is one that every store and screen can hold."""

from datetime import date
from pathlib import Path

import pytest

from perf_alerts_dagster.judging.rules.data_quality import record_error
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_dagster.records.sources.open import TableNames, open_records
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.storage.migrate import migrate
from perf_alerts_tests.judging.store.examples import judgement

HEADER = "strategy,date,pnl,capital,segment"
GOOD = "carry,2026-01-05,10,1000,live"
TRADES = "strategy,entry_time,exit_time,pnl\n"


def load(folder: Path, *names: str, pnl: str = "1", trades: str = "") -> TrackRecords:
    lines = [HEADER, GOOD, *(f'"{name}",2026-01-05,{pnl},1000,live' for name in names)]
    (folder / "daily.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if trades:
        (folder / "trades.csv").write_text(TRADES + trades, encoding="utf-8")
    source = open_records(str(folder), shown="book", tables=TableNames(), columns={})
    return source.load(date(2026, 1, 9))


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("tr\0nd", r"tr\x00nd ("),
        ("\x1b[31mtrend", r"\x1b[31mtrend ("),
        ("tre\nnd", r"tre\nnd ("),
        ("\u202etrend", r"\u202etrend ("),
        ("x" * 10_000, "x" * 40 + "... ("),
    ],
    ids=["nul", "escape", "line break", "direction", "long"],
)
def test_a_name_that_breaks_the_rules_is_escaped_and_cut(
    tmp_path: Path, name: str, begin: str
) -> None:
    (notified,) = load(tmp_path, name).faults

    assert notified.startswith(begin)
    assert notified.isprintable()
    assert len(notified) < 60


def test_two_such_names_that_begin_alike_stay_two(tmp_path: Path) -> None:
    records = load(tmp_path, "x" * 300, "x" * 301)

    assert len(records.faults) == 2
    assert {fault.strategy for found in records.faults.values() for fault in found} == {
        *records.faults
    }


@pytest.mark.parametrize("name", ["naïve ☃", "a\u00a0b", "(no name)", "a|b", "x" * 200])
def test_any_other_name_with_faults_is_kept(tmp_path: Path, name: str) -> None:
    assert list(load(tmp_path, name, pnl="ten").faults) == [name]


def test_a_bad_trade_of_such_a_name_has_the_name_of_its_rows(tmp_path: Path) -> None:
    records = load(tmp_path, "tr\0nd", trades="tr\0nd,2026-01-05,2026-01-05,ten\n")

    ((notified, faults),) = records.faults.items()
    assert [fault.where for fault in faults] == ["daily.csv", "trades.csv"]
    assert notified.isprintable()


def test_postgres_takes_the_error_of_such_a_name(tmp_path: Path, fresh_postgres_url: str) -> None:
    ((notified, faults),) = load(tmp_path, "tr\0nd").faults.items()
    engine = open_engine(fresh_postgres_url)
    migrate(engine)
    store = SqlAlertStore(engine)
    store.record(judgement(evaluations=(record_error(notified, faults),)), watermark=None)
    newest = store.latest("daily_pnl_check")
    engine.dispose()

    assert newest is not None
    assert [one.strategy for one in newest.evaluations] == [notified]


@pytest.mark.parametrize("column", ["group", "currency"])
@pytest.mark.parametrize(
    ("cell", "rule"),
    [
        ("fa\0st", r"holds a control character (seen: 'fa\x00st')"),
        ("x" * 201, f"is longer than 200 characters (seen: '{'x' * 37}...')"),
    ],
)
def test_what_becomes_a_groups_name_is_held_to_the_same_rules(
    tmp_path: Path, column: str, cell: str, rule: str
) -> None:
    rows = [f"{name},2026-01-05,0.1,{cell}" for name in ("slow", "fast")]
    text = "\n".join([f"strategy,date,return,{column}", "carry,2026-01-05,0.1,", *rows])
    (tmp_path / "daily.csv").write_text(text)
    source = open_records(str(tmp_path), shown="book", tables=TableNames(), columns={})
    records = source.load(date(2026, 1, 9))

    assert str(records.faults["fast"][0]) == f"daily.csv, row 4, column {column}: {rule}"
    assert set(records.faults) == {"slow", "fast"}
    assert set(records.strategies) == {"carry"}


@pytest.mark.parametrize("column", ["group", "owner"])
def test_what_the_strategies_table_says_is_held_to_them_too(tmp_path: Path, column: str) -> None:
    (tmp_path / "strategies.csv").write_text(f"strategy,{column}\ntrend,fa\0st\n")
    records = load(tmp_path, "trend")

    assert str(records.faults["trend"][0]) == (
        f"strategies.csv, row 2, column {column}: holds a control character "
        r"(seen: 'fa\x00st')"
    )
    assert set(records.strategies) == {"carry"}
