from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.judging.judge import judge_strategy
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_dagster.records.sources.open import TableNames, open_records
from perf_alerts_tests.builders import a_record, context_of, noise

TODAY = date(2026, 1, 30)
DAILY = "strategy,date,return,segment\ntrend,2026-01-05,0.01,live\ncarry,2026-01-05,0.01,live\n"
HEADER = "strategy,trial,date,return\n"


def load(tmp_path: Path, trials: str) -> TrackRecords:
    (tmp_path / "daily.csv").write_text(DAILY)
    (tmp_path / "grid.csv").write_text(HEADER + trials)
    names = TableNames(trials="grid")
    return open_records(str(tmp_path), shown="x", tables=names, columns={}).load(TODAY)


def test_the_matrix_has_a_row_per_date_and_a_column_per_trial(tmp_path: Path) -> None:
    records = load(
        tmp_path,
        "trend,b,2025-01-02,0.2\ntrend,a,2025-01-02,0.1\n"
        "trend,a,2025-01-01,0.3\ntrend,b,2025-01-01,0.4\n"
        # Only one of the two has this date.
        "trend,a,2025-01-03,0.5\n",
    )
    trials = records.strategies["trend"].trials

    assert trials is not None
    assert trials.tolist() == [[0.3, 0.4], [0.1, 0.2]]
    assert records.strategies["carry"].trials is None


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("trend,a,2025-01-02,x", "grid.csv, row 2, column return: is not a number (seen: 'x')"),
        (
            "trend,a,never,0.1",
            "grid.csv, row 2, column date: is no date YYYY-MM-DD (seen: 'never')",
        ),
        ("trend,,2025-01-02,0.1", "grid.csv, row 2, column trial: is empty"),
        (
            "trend,a,2025-01-02,0.1\ntrend,a,2025-01-02,0.2",
            "grid.csv, row 3, column date: is there twice for this trial (seen: '2025-01-02')",
        ),
    ],
)
def test_a_bad_row_makes_its_strategy_faulty_alone(tmp_path: Path, row: str, fault: str) -> None:
    records = load(tmp_path, row + "\n")

    assert str(records.faults["trend"][0]) == fault
    assert set(records.strategies) == {"carry"}


def test_one_trial_is_no_matrix_and_that_is_noted(tmp_path: Path) -> None:
    records = load(tmp_path, "trend,a,2025-01-02,0.1\n")

    assert records.strategies["trend"].trials is None
    assert any("has no two trials over the same dates" in note for note in records.notes)


def test_without_its_name_there_is_no_matrix(tmp_path: Path) -> None:
    (tmp_path / "daily.csv").write_text(DAILY)
    pl.DataFrame({"strategy": ["trend"]}).write_csv(tmp_path / "trials.csv")
    records = open_records(str(tmp_path), shown="x", tables=TableNames(), columns={}).load(TODAY)

    assert records.strategies["trend"].trials is None


def test_with_a_matrix_overfitting_is_the_probability_of_backtest_overfitting() -> None:
    grid = np.random.default_rng(1).normal(0.0, 0.01, (800, 12))
    plain = a_record(noise(300), backtest=noise(756))
    tried = a_record(noise(300), backtest=noise(756), trials=grid)

    without, having = (
        next(
            one
            for one in judge_strategy(record, (Family.SCORE,), context_of(record))
            if one.rule == "overfitting"
        )
        for record in (plain, tried)
    )

    assert having.value != without.value
    assert having.value is not None
    assert 0.2 < having.value < 0.8
    assert plain.content_hash() != tried.content_hash()


FX = "currency,date,rate\n"


def load_fx(tmp_path: Path, rows: str, base: str | None = "USD") -> TrackRecords:
    (tmp_path / "daily.csv").write_text(DAILY)
    (tmp_path / "fx.csv").write_text(FX + rows)
    source = open_records(
        str(tmp_path), shown="x", tables=TableNames(), columns={}, base_currency=base
    )
    return source.load(TODAY)


def test_rates_are_sorted_by_day(tmp_path: Path) -> None:
    records = load_fx(tmp_path, "EUR,2026-01-06,1.2\nEUR,2026-01-05,1.1\nJPY,2026-01-05,0.0064\n")

    assert records.base_currency == "USD"
    assert sorted(records.fx) == ["EUR", "JPY"]
    assert records.fx["EUR"].dates.astype(str).tolist() == ["2026-01-05", "2026-01-06"]
    assert records.fx["EUR"].rates.tolist() == [1.1, 1.2]
    assert not records.table_faults


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("EUR,2026-01-06,0", "column rate: is not above 0 (seen: '0')"),
        ("EUR,2026-01-06,-1.2", "column rate: is not above 0 (seen: '-1.2')"),
        ("EUR,2026-01-06,NaN", "column rate: is NaN or infinite (seen: 'NaN')"),
        ("EUR,,1.2", "column date: is empty"),
        (
            "EUR,2026-01-05,1.2",
            "column date: is there twice for this currency (seen: '2026-01-05')",
        ),
    ],
)
def test_a_bad_rate_makes_its_currency_missing_and_is_named(
    tmp_path: Path, row: str, fault: str
) -> None:
    records = load_fx(tmp_path, f"EUR,2026-01-05,1.1\nJPY,2026-01-05,0.0064\n{row}\n")

    assert [str(one) for one in records.table_faults] == [f"fx.csv, row 4, {fault}"]
    assert set(records.fx) == {"JPY"}
    assert "fx.csv: EUR cannot be converted: its rates have faults" in records.notes
    assert set(records.strategies) == {"trend", "carry"}


@pytest.mark.parametrize(("currency", "is_noted"), [("EUR", True), ("USD", False)])
def test_that_a_base_currency_has_no_rates_is_noted(
    tmp_path: Path, currency: str, *, is_noted: bool
) -> None:
    rows = f"a,2025-01-02,1,100,live,USD\nb,2025-01-02,1,100,live,{currency}\n"
    (tmp_path / "daily.csv").write_text("strategy,date,pnl,capital,segment,currency\n" + rows)
    source = open_records(
        str(tmp_path), shown="x", tables=TableNames(), columns={}, base_currency="USD"
    )
    note = "no table of rates to USD: no sum over currencies"

    assert (note in source.load(TODAY).notes) is is_noted


def test_rates_without_a_base_currency_are_not_used(tmp_path: Path) -> None:
    records = load_fx(tmp_path, "EUR,2026-01-05,1.1\n", base=None)

    assert not records.fx
    assert "fx.csv: the table is not used without ALERT_BASE_CURRENCY" in records.notes


def test_a_calendar_is_a_short_name(tmp_path: Path) -> None:
    (tmp_path / "strategies.csv").write_text(f"strategy,calendar\ntrend,XNYS\ncarry,{'x' * 41}\n")
    (tmp_path / "daily.csv").write_text(DAILY)
    records = open_records(str(tmp_path), shown="x", tables=TableNames(), columns={}).load(TODAY)

    assert records.strategies["trend"].calendar == "XNYS"
    assert "column calendar: is longer than 40 characters" in str(records.faults["carry"][0])


def test_a_strategy_without_rows_is_ended_by_its_status_or_its_last_day(tmp_path: Path) -> None:
    (tmp_path / "daily.csv").write_text(DAILY)
    (tmp_path / "strategies.csv").write_text(
        "strategy,status,until\ntrend,retired,\nold,retired,\nidle,paused,2026-01-01\n"
        "done,live,2025-12-31\ngone,live,\nbad,live,never\n"
    )
    records = open_records(str(tmp_path), shown="x", tables=TableNames(), columns={}).load(TODAY)

    assert records.ended == {"old": date.min, "idle": date.min, "done": date(2025, 12, 31)}


def test_the_columns_of_strategies_are_optional_but_for_their_names(tmp_path: Path) -> None:
    (tmp_path / "daily.csv").write_text(DAILY)
    (tmp_path / "strategies.csv").write_text("strategy\ntrend\ngone\n")
    records = open_records(str(tmp_path), shown="x", tables=TableNames(), columns={}).load(TODAY)

    assert records.ended == {}


def test_the_groups_of_faulty_strategies_are_known(tmp_path: Path) -> None:
    (tmp_path / "daily.csv").write_text(
        "strategy,date,return,currency,group\n"
        "good,2026-01-05,0.01,USD,g\n"
        "bad,2026-01-05,x,USD,g\nbad,2026-01-06,0.01,,h\n"
        "moved,2026-01-05,x,EUR,g\n"
        "trade,2026-01-05,0.01,USD,g\n"
    )
    (tmp_path / "strategies.csv").write_text("strategy,group\nmoved,macro\n")
    (tmp_path / "trades.csv").write_text(
        "strategy,entry_time,exit_time,pnl\ntrade,2026-01-05,2026-01-04,1\n"
    )
    records = open_records(str(tmp_path), shown="x", tables=TableNames(), columns={}).load(TODAY)

    assert set(records.strategies) == {"good"}
    assert records.faulty == {
        "bad": ("h", "USD"), "moved": ("macro", "EUR"), "trade": ("g", "USD"),
    }  # fmt: skip
