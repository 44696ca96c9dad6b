"""The model's own P&L and benchmarks, alike from CSV, Parquet and a database."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sqlalchemy import create_engine, text

from perf_alerts_dagster.bootstrap.records import open_source
from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable
from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_dagster.judging.judge import data_hash, judge_strategy
from perf_alerts_dagster.records import restatement, source_changes
from perf_alerts_dagster.records.desk import Kept
from perf_alerts_dagster.records.model import Shadow, TrackRecords
from perf_alerts_dagster.records.reading import Reading
from perf_alerts_dagster.records.sources.open import TableNames, open_records
from perf_alerts_dagster.settings import load_settings
from perf_alerts_tests.builders import context_of, reader
from perf_alerts_tests.fakes import FakeRecordsSource

TODAY = date(2026, 1, 9)
Row = tuple[Any, ...]
Tables = Mapping[str, tuple[Sequence[str], Sequence[Row]]]
Load = Callable[..., TrackRecords]

DAILY = ("strategy", "date", "pnl", "capital", "segment")
LIVE = (
    ("trend", "2026-01-05", 10.0, 1000.0, "live"),
    ("trend", "2026-01-06", -20.0, 1000.0, "live"),
    ("carry", "2026-01-05", 5.0, 500.0, "live"),
)
SHADOW = ("strategy", "date", "return")


@pytest.fixture(params=["csv", "parquet", "sql"])
def load(request: pytest.FixtureRequest, tmp_path: Path) -> Load:
    """Writes tables in one of the forms and reads them."""

    def written(tables: Tables, **options: Any) -> TrackRecords:
        url = str(tmp_path)
        if request.param == "sql":
            url = f"sqlite:///{tmp_path}/pnl.db"
        for name, (columns, rows) in tables.items():
            if request.param == "sql":
                _insert(url, name, columns, rows)
                continue
            frame = pl.DataFrame(rows, schema=list(columns), orient="row", strict=False)
            if not rows:
                frame = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
            if request.param == "csv":
                frame.write_csv(tmp_path / f"{name}.csv")
            else:
                frame.write_parquet(tmp_path / f"{name}.parquet")
        names = options.pop("names", TableNames())
        columns = options.pop("columns", {})
        source = open_records(url, shown="the source", tables=names, columns=columns, **options)
        return source.load(TODAY)

    return written


def _insert(url: str, name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    engine = create_engine(url)
    quoted = ", ".join(f'"{column}"' for column in columns)
    with engine.begin() as connection:
        connection.execute(text(f'drop table if exists "{name}"'))
        connection.execute(text(f'create table "{name}" ({quoted})'))
        for row in rows:
            values = {f"v{place}": value for place, value in enumerate(row)}
            marks = ", ".join(f":{key}" for key in values)
            connection.execute(text(f'insert into "{name}" values ({marks})'), values)
    engine.dispose()


def shadow_of(records: TrackRecords, name: str = "trend") -> Shadow:
    found = records.strategies[name].shadow
    assert found is not None
    return found


def said(shadow: Shadow) -> list[str]:
    """The faults without file and row, which differ by form."""
    assert len(shadow) == len(shadow.returns) == len(shadow.costs) == len(shadow.seen) == 0
    return [f"{one.column}: {one.rule} ({one.value})" for one in shadow.faults]


@pytest.mark.parametrize("segment", ["shadow", "Shadow ", " SHADOW"])
def test_rows_of_the_segment_shadow_are_the_models_own(load: Load, segment: str) -> None:
    more = (*DAILY, "expected_cost", "model_version")
    records = load(
        {
            "daily": (
                more,
                [
                    ("trend", "2026-01-06", -10.0, 1000.0, segment, 0.0002, "v2"),
                    *((*row, None, None) for row in LIVE),
                    ("trend", "2026-01-05", 12.0, 1000.0, segment, None, None),
                ],
            )
        }
    )
    trend, shadow = records.strategies["trend"], shadow_of(records)

    assert trend.returns.tolist() == [0.01, -0.02]
    assert trend.live.all()
    assert trend.extras == {}
    assert shadow.dates.astype(str).tolist() == ["2026-01-05", "2026-01-06"]
    assert shadow.returns.tolist() == [0.012, -0.01]
    assert shadow.costs.tolist() == [0.0, 0.0002]
    assert shadow.versions.tolist() == ["", "v2"]
    assert np.isnat(shadow.seen).all()
    assert shadow.faults == ()
    assert records.strategies["carry"].shadow is None
    assert not records.faults
    assert not records.table_faults
    assert records.notes == ()


def test_a_table_holds_shadows_by_return_or_by_money(load: Load) -> None:
    records = load(
        {
            "daily": (DAILY, LIVE),
            "shadow": (
                ("strategy", "date", "pnl", "capital"),
                [("trend", "2026-01-05", 12.0, 600.0), ("carry", "2026-01-05", 0.0, 0.0)],
            ),
            "model": (SHADOW, [("trend", "2026-01-05", 0.5)]),
        }
    )
    assert shadow_of(records).returns.tolist() == [0.02]
    assert shadow_of(records, "carry").returns.tolist() == [0.0]


def test_a_table_may_have_another_name_and_other_columns(load: Load) -> None:
    records = load(
        {
            "daily": (DAILY, LIVE),
            "model": (
                ("strategy", "date", "modelled", "bp", "release"),
                [("trend", "2026-01-05", 0.5, 0.001, 7)],
            ),
        },
        names=TableNames(shadow="model"),
        columns={"return": "modelled", "expected_cost": "bp", "model_version": "release"},
    )
    shadow = shadow_of(records)

    assert (shadow.returns.tolist(), shadow.costs.tolist()) == ([0.5], [0.001])
    assert shadow.versions.tolist() == ["7"]


@pytest.mark.parametrize("kind", ["shadow", "benchmark"])
def test_a_table_of_another_name_must_be_there(load: Load, kind: str) -> None:
    with pytest.raises(RecordsUnavailable, match="mine"):
        load({"daily": (DAILY, LIVE)}, names=TableNames(**{kind: "mine"}))


def test_live_and_shadow_rows_of_one_table_may_differ_in_their_form(load: Load) -> None:
    columns = (*DAILY, "return")
    records = load(
        {
            "daily": (
                columns,
                [
                    *((*row, None) for row in LIVE),
                    ("trend", "2026-01-05", None, None, "shadow", 0.02),
                    ("trend", "2026-01-06", 5.0, 1000.0, "shadow", None),
                ],
            )
        }
    )
    assert shadow_of(records).returns.tolist() == [0.02, 0.005]


def test_a_shadow_changes_nothing_that_is_judged_otherwise(load: Load) -> None:
    columns = (*DAILY, "currency", "group", "expected_cost", "var")
    live = [(*row, "USD", "g", None, 2.0) for row in LIVE]
    # Another currency and group, dates without a row of its own, later ones, and a wipe-out.
    shadow = [
        ("trend", f"2026-01-{day:02d}", pnl, 10.0, "shadow", "EUR", "h", 0.001, 3.0)
        for day, pnl in ((1, 1.0), (5, -11.0), (6, 9.0), (8, 1.0))
    ]
    plain = load({"daily": (columns, live)})
    shadowed = load({"daily": (columns, [*shadow, *live])})

    assert len(shadow_of(shadowed)) == 4
    assert shadowed.notes == plain.notes
    assert shadowed.dates.tolist() == plain.dates.tolist()
    first, second = (_read(records) for records in (plain, shadowed))
    assert second.sessions == first.sessions
    assert second.last_final == first.last_final
    assert set(second.groups) == set(first.groups)
    assert {name: one.content for name, one in second.calendars.items()} == {
        name: one.content for name, one in first.calendars.items()
    }
    assert data_hash(second.records.strategies, second.calendars) == data_hash(
        first.records.strategies, first.calendars
    )
    accepted, same = (
        source_changes.compare(None, records, kept=Kept(), today=TODAY).accepted
        for records in (plain, shadowed)
    )
    assert same == accepted
    texts, alike = (
        restatement.compare(one.strategies["trend"], {}, last_final=TODAY).texts
        for one in (plain, shadowed)
    )
    assert alike == texts


def _read(records: TrackRecords) -> Reading:
    return reader(FakeRecordsSource(records))(datetime(2026, 1, 9, 18, tzinfo=UTC))


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (("trend", "2026-01-06", "ten"), "return: is not a number (ten)"),
        (("trend", "2026-01-06", None), "return: is empty (None)"),
        (("trend", "2026-01-06", "inf"), "return: is NaN or infinite (inf)"),
        (("trend", "2026-01-06", "NaN"), "return: is NaN or infinite (NaN)"),
        (("trend", "2026-01-05", "0.1"), "date: is there twice for this strategy (2026-01-05)"),
        (
            ("trend", "2026-01-10", "0.1"),
            "date: is in the future (today is 2026-01-09) (2026-01-10)",
        ),
        (("trend", "tomorrow", "0.1"), "date: is no date YYYY-MM-DD (tomorrow)"),
        (("trend", None, "0.1"), "date: is empty (None)"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("table", ["daily", "shadow"])
def test_a_bad_row_is_the_fault_of_the_shadow_alone(
    load: Load, table: str, row: Row, fault: str
) -> None:
    columns = ("strategy", "date", "return", "segment")
    live = [("trend", "2026-01-05", "0.01", "live"), ("carry", "2026-01-05", "0.01", "live")]
    bad: list[Row] = [("trend", "2026-01-05", "0.02"), ("carry", "2026-01-05", "0.02"), row]
    tables: dict[str, Any] = {"daily": (columns, live)}
    if table == "daily":
        tables["daily"] = (columns, [*live, *((*each, "shadow") for each in bad)])
    else:
        tables["shadow"] = (SHADOW, bad)
    records = load(tables)

    assert said(shadow_of(records)) == [fault]
    assert shadow_of(records, "carry").returns.tolist() == [0.02]
    assert records.strategies["trend"].returns.tolist() == [0.01]
    assert not records.faults
    assert not records.table_faults


@pytest.mark.parametrize(
    ("cost", "version", "fault"),
    [
        ("-0.1", "", "expected_cost: is negative (-0.1)"),
        ("dear", "", "expected_cost: is not a number (dear)"),
        ("NaN", "", "expected_cost: is NaN or infinite (NaN)"),
        ("inf", "", "expected_cost: is NaN or infinite (inf)"),
        ("0", "v" * 10_000, f"model_version: is longer than 200 characters ({'v' * 37}...)"),
        ("0", "v\x071", r"model_version: holds a control character (v\x071)"),
    ],
)
def test_a_bad_cost_or_version_is_the_fault_of_the_shadow(
    load: Load, cost: str, version: str, fault: str
) -> None:
    columns = (*SHADOW, "expected_cost", "model_version")
    rows = [("trend", "2026-01-05", "0.1", cost, version)]

    assert said(shadow_of(load({"daily": (DAILY, LIVE), "shadow": (columns, rows)}))) == [fault]


@pytest.mark.parametrize(
    ("pnl", "capital", "fault"),
    [
        (1.0, -5.0, "capital: is negative (-5.0)"),
        (1.0, 0.0, "capital: is zero while pnl is not (0.0)"),
        (1.0, None, "capital: is empty (None)"),
        (None, 5.0, "pnl: is empty (None)"),
        (1e300, 1e-300, "pnl: is too large against capital (1e300)"),
    ],
)
def test_money_of_a_shadow_keeps_the_rules_of_daily(
    load: Load, pnl: float | None, capital: float | None, fault: str
) -> None:
    rows = [*LIVE, ("trend", "2026-01-05", pnl, capital, "shadow")]

    found = said(shadow_of(load({"daily": (DAILY, rows)})))
    assert found == [fault.replace("1e300", "1e+300")] or found == [fault]


def test_a_table_takes_the_place_of_rows_in_daily_and_says_so(load: Load) -> None:
    rows = [
        *LIVE,
        ("trend", "2026-01-05", 1.0, 100.0, "shadow"),
        ("carry", "2026-01-05", 3.0, 100.0, "shadow"),
    ]
    records = load({"daily": (DAILY, rows), "shadow": (SHADOW, [("trend", "2026-01-06", 0.5)])})

    assert shadow_of(records).returns.tolist() == [0.5]
    assert shadow_of(records, "carry").returns.tolist() == [0.03]
    (note,) = records.notes
    assert "used in place of the rows in daily" in note
    assert note.endswith(" for trend")


def test_shadows_of_unknown_strategies_and_groups_are_noted_and_not_used(load: Load) -> None:
    long = "x" * 10_000
    names = ("ghost", "ALL", "group:g", long)
    rows = [(name, "2026-01-05", 0.5) for name in names]
    records = load({"daily": (DAILY, LIVE), "shadow": (SHADOW, rows)})

    assert set(records.strategies) == {"trend", "carry"}
    assert all(one.shadow is None for one in records.strategies.values())
    (note,) = records.notes
    assert note.endswith(f"without rows of their own: ALL, ghost, group:g, {'x' * 40}...")
    assert not records.faults


def test_a_strategy_with_shadow_rows_only_is_none(load: Load) -> None:
    rows = [*LIVE, ("model", "2026-01-05", 1.0, 100.0, "shadow")]
    records = load({"daily": (DAILY, rows)})

    assert set(records.strategies) == {"trend", "carry"}
    assert "model" in records.notes[0]
    with pytest.raises(RecordsInvalid, match="empty but for rows of the segment shadow"):
        _only_shadows(load)


def _only_shadows(load: Load) -> None:
    rows = [("model", "2026-01-05", 1.0, 100.0, "shadow")]
    load({"book": (DAILY, rows)}, names=TableNames(daily="book"))


def test_a_shadow_row_without_a_strategy_is_a_fault_of_the_table(load: Load) -> None:
    rows = [("trend", "2026-01-05", 0.5), (None, "2026-01-05", 0.5)]
    records = load({"daily": (DAILY, LIVE), "shadow": (SHADOW, rows)})

    assert [(one.column, one.rule) for one in records.table_faults] == [("strategy", "is empty")]
    assert shadow_of(records).returns.tolist() == [0.5]
    assert not records.faults


def test_tables_without_a_row_change_nothing(load: Load) -> None:
    empty = {"shadow": (SHADOW, ()), "benchmark": (("date", "return"), ())}
    records = load({"daily": (DAILY, LIVE), **empty})

    assert not records.table_faults
    assert {one.shadow for one in records.strategies.values()} == {None}
    assert all(one.benchmark is None for one in records.strategies.values())


def test_a_table_that_is_none_of_shadows_leaves_the_strategies_whole(load: Load) -> None:
    records = load({"daily": (DAILY, LIVE), "shadow": (("strategy", "date"), [("trend", "x")])})

    assert set(records.strategies) == {"trend", "carry"}
    assert [one.rule.partition(";")[0] for one in records.table_faults] == [
        "column pnl, capital is missing"
    ]
    assert records.shadow_fault in records.table_faults


def test_a_mapped_column_that_no_table_has_is_refused(load: Load) -> None:
    with pytest.raises(RecordsInvalid, match="maps benchmark to spx, which is no column"):
        load({"daily": (DAILY, LIVE)}, columns={"benchmark": "spx"})


BENCHMARK = (*DAILY, "benchmark")


def _with(values: Sequence[Any]) -> dict[str, Any]:
    rows = [(*row, value) for row, value in zip(LIVE, values, strict=True)]
    return {"daily": (BENCHMARK, rows)}


def benchmarks(records: TrackRecords) -> dict[str, list[float | None] | None]:
    return {
        name: None
        if one.benchmark is None
        else [None if np.isnan(value) else value for value in one.benchmark]
        for name, one in records.strategies.items()
    }


def test_a_column_benchmark_is_aligned_and_still_a_further_column(load: Load) -> None:
    records = load(_with([0.01, None, None]))

    assert benchmarks(records) == {"trend": [0.01, None], "carry": None}
    assert records.strategies["trend"].extras["benchmark"].tolist() == [
        0.01,
        pytest.approx(np.nan, nan_ok=True),
    ]
    assert not records.table_faults
    assert records.notes == ()


@pytest.mark.parametrize("bad", ["x", "NaN", "inf"])
def test_a_strategy_is_not_judged_on_half_a_benchmark(load: Load, bad: str) -> None:
    records = load(_with(["0.01", bad, "0.02"]))

    assert benchmarks(records) == {"trend": None, "carry": [0.02]}
    assert [one.column for one in records.table_faults] == ["benchmark"]
    assert any("trend has no benchmark: its rows have faults" in one for one in records.notes)
    assert not records.faults


def test_a_column_of_names_is_no_benchmark(load: Load) -> None:
    records = load(_with(["SPX", "SPX", "SPX"]))

    assert benchmarks(records) == {"trend": None, "carry": None}
    assert not records.table_faults
    assert any("column benchmark holds no number" in note for note in records.notes)


def test_a_table_holds_the_benchmark_of_all_and_of_single_strategies(load: Load) -> None:
    rows = [
        ("", "2026-01-06", 0.2),
        ("", "2026-01-05", 0.1),
        ("", "2026-01-02", 0.3),
        ("carry", "2026-01-05", -0.5),
        ("ghost", "2026-01-05", -0.5),
    ]
    records = load({**_with([0.7, 0.7, 0.7]), "benchmark": (SHADOW, rows)})

    assert benchmarks(records) == {"trend": [0.1, 0.2], "carry": [-0.5]}
    unknown, replaced = records.notes
    assert unknown.endswith("benchmarks of unknown strategies: ghost")
    assert replaced.endswith("used in place of the column benchmark for carry, trend")


def test_a_benchmark_without_a_day_of_the_strategy_is_none(load: Load) -> None:
    records = load(
        {"daily": (DAILY, LIVE), "benchmark": (("date", "return"), [("2026-01-06", 0.2)])}
    )

    assert benchmarks(records) == {"trend": [None, 0.2], "carry": None}


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (("", "2026-01-05", "0.3"), "is there twice for this strategy"),
        (("", "2026-01-06", "x"), "is not a number"),
        (("", "2026-01-06", ""), "is empty"),
        (("", "2026-01-06", "inf"), "is NaN or infinite"),
        (("", "never", "0.3"), "is no date YYYY-MM-DD"),
    ],
)
def test_bad_rows_for_all_leave_those_with_their_own(load: Load, row: Row, rule: str) -> None:
    rows = [("", "2026-01-05", "0.1"), ("carry", "2026-01-05", "0.5"), row]
    records = load({"daily": (DAILY, LIVE), "benchmark": (SHADOW, rows)})

    assert benchmarks(records) == {"trend": None, "carry": [0.5]}
    assert [one.rule for one in records.table_faults] == [rule]
    assert any("rows for all strategies have faults" in note for note in records.notes)
    assert not records.faults


def test_a_bad_row_of_one_takes_its_benchmark_and_no_other(load: Load) -> None:
    rows = [("", "2026-01-05", "0.1"), ("carry", "2026-01-05", "x")]
    records = load({"daily": (DAILY, LIVE), "benchmark": (SHADOW, rows)})

    assert benchmarks(records) == {"trend": [0.1, None], "carry": None}
    assert len(records.table_faults) == 1


def test_a_table_that_is_none_of_benchmarks_leaves_the_strategies_whole(load: Load) -> None:
    records = load({"daily": (DAILY, LIVE), "benchmark": (("day", "close"), [("x", 1)])})

    assert benchmarks(records) == {"trend": None, "carry": None}
    assert [one.rule.partition(";")[0] for one in records.table_faults] == [
        "column date, return is missing"
    ]


def test_groups_have_no_benchmark_and_no_shadow(load: Load) -> None:
    rows = [*LIVE, ("carry", "2026-01-06", 5.0, 500.0, "live")]
    given = {
        "shadow": (SHADOW, [("trend", "2026-01-05", 0.5), ("carry", "2026-01-05", 0.5)]),
        "benchmark": (("date", "return"), [("2026-01-05", 0.5)]),
    }
    reading = _read(load({"daily": (DAILY, rows), **given}))
    desk = reading.records.strategies["ALL"]

    assert reading.records.strategies["trend"].shadow is not None
    assert (desk.shadow, desk.benchmark) == (None, None)


def test_a_benchmark_that_changes_restates_nothing(load: Load) -> None:
    before, after = (load(_with(values)) for values in ([0.1, 0.1, 0.1], [0.2, 0.3, None]))
    kept = restatement.compare(before.strategies["trend"], {}, last_final=TODAY).texts
    found = restatement.compare(after.strategies["trend"], kept, last_final=TODAY)

    assert found.days == {}


def test_a_bounded_column_of_that_name_is_judged_as_before(load: Load) -> None:
    record = load(_with([0.1, 0.1, 0.1])).strategies["trend"]
    policy = {"default": {"columns": {"benchmark": {"max": 0.05}}}}
    breaches = [
        one
        for one in judge_strategy(record, (Family.THRESHOLD,), context_of(record, policy=policy))
        if one.outcome is Outcome.BREACH
    ]
    assert breaches


TRADES = ("strategy", "entry_time", "exit_time", "pnl", "symbol", "side")


def test_trades_have_their_symbols_and_sides(load: Load) -> None:
    rows = [
        ("trend", "2026-01-05", "2026-01-06", 2.0, "ES", None),
        ("trend", "2026-01-05", "2026-01-05", 1.0, "s" * 10_000, "long"),
    ]
    trades = load({"daily": (DAILY, LIVE), "trades": (TRADES, rows)}).strategies["trend"].trades

    assert trades is not None
    assert trades.symbols is not None
    assert trades.sides is not None
    assert trades.symbols.tolist() == ["s" * 200, "ES"]
    assert trades.sides.tolist() == ["long", ""]
    first = trades.until(date(2026, 1, 5))
    assert first.symbols is not None
    assert (first.symbols.tolist(), len(first)) == (["s" * 200], 1)


def test_trades_without_the_columns_have_none_and_the_hash_is_the_same(load: Load) -> None:
    rows = [("trend", "2026-01-05", "2026-01-06", 2.0, "ES", "long")]
    having = load({"daily": (DAILY, LIVE), "trades": (TRADES, rows)}).strategies["trend"]
    without = load({"daily": (DAILY, LIVE), "trades": (TRADES[:4], [rows[0][:4]])}).strategies[
        "trend"
    ]
    assert without.trades is not None
    assert (without.trades.symbols, without.trades.sides) == (None, None)
    assert having.content_hash() == without.content_hash()


@pytest.mark.parametrize("at", ["2026-01-05T00:00:00+09:00", "2026-01-05 00:00:00-05:00"])
def test_midnight_in_any_zone_is_the_written_day(load: Load, at: str) -> None:
    tables = {"shadow": (SHADOW, [("trend", at, 0.5)]), "benchmark": (SHADOW, [("", at, 0.1)])}
    records = load({"daily": (DAILY, LIVE), **tables})

    assert shadow_of(records).dates.astype(str).tolist() == ["2026-01-05"]
    assert benchmarks(records) == {"trend": [0.1, None], "carry": [0.1]}


def test_another_time_is_no_day(load: Load) -> None:
    at = "2026-01-05 14:30:00"
    tables = {"shadow": (SHADOW, [("trend", at, 0.5)]), "benchmark": (SHADOW, [("", at, 0.1)])}
    records = load({"daily": (DAILY, LIVE), **tables})

    (fault,) = shadow_of(records).faults
    assert fault.rule.startswith("is no midnight")
    assert [one.rule for one in records.table_faults] == [fault.rule]
    assert benchmarks(records) == {"trend": None, "carry": None}


def test_typed_columns_of_parquet_are_read_as_they_are(tmp_path: Path) -> None:
    at = [datetime(2026, 1, 5, 5, tzinfo=UTC), datetime(2026, 1, 6, 5, tzinfo=UTC)]
    new_york = pl.Datetime("us", "America/New_York")
    pl.DataFrame({"strategy": ["trend"] * 2, "date": at, "return": [0.1, 0.2]}).cast(
        {"date": new_york}
    ).write_parquet(tmp_path / "daily.parquet")
    pl.DataFrame(
        {
            "strategy": ["trend"] * 2,
            "date": at,
            "return": [1, 2],
            "expected_cost": [None, 1],
            "model_version": [date(2025, 12, 1), None],
        }
    ).cast({"date": new_york}).write_parquet(tmp_path / "shadow.parquet")
    source = open_records(str(tmp_path), shown="x", tables=TableNames(), columns={})
    shadow = shadow_of(source.load(TODAY))

    assert shadow.dates.astype(str).tolist() == ["2026-01-05", "2026-01-06"]
    assert shadow.returns.tolist() == [1.0, 2.0]
    assert shadow.costs.tolist() == [0.0, 1.0]
    assert shadow.versions.tolist() == ["2025-12-01", ""]


def test_the_settings_name_the_tables(tmp_path: Path) -> None:
    live = "strategy,date,return\ntrend,2026-01-05,0.01\n"
    for name in ("daily", "model", "index"):
        (tmp_path / f"{name}.csv").write_text(live)
    settings = load_settings(
        {
            "ALERT_RECORDS_URL": str(tmp_path),
            "ALERT_SHADOW_TABLE": "model",
            "ALERT_BENCHMARK_TABLE": "index",
        },
        None,
    )
    records = open_source(settings).load(TODAY)

    assert shadow_of(records).returns.tolist() == [0.01]
    assert benchmarks(records) == {"trend": [0.01]}
    plain = load_settings({"ALERT_RECORDS_URL": str(tmp_path)}, None)
    assert open_source(plain).load(TODAY).strategies["trend"].shadow is None
    assert plain.settings_version == settings.settings_version


def test_rates_with_faults_leave_those_of_benchmarks_named(tmp_path: Path) -> None:
    (tmp_path / "daily.csv").write_text("strategy,date,return\ntrend,2026-01-05,0.01\n")
    (tmp_path / "benchmark.csv").write_text("date,return\n2026-01-05,x\n")
    (tmp_path / "fx.csv").write_text("currency,date,rate\nEUR,2026-01-05,0\n")
    source = open_records(
        str(tmp_path), shown="x", tables=TableNames(), columns={}, base_currency="USD"
    )
    assert [one.where for one in source.load(TODAY).table_faults] == ["benchmark.csv", "fx.csv"]


def test_a_file_of_shadows_that_is_not_read_is_noted(tmp_path: Path) -> None:
    (tmp_path / "daily.csv").write_text("strategy,date,return\ntrend,2026-01-05,0.01\n")
    for name in ("shadow", "benchmark"):
        (tmp_path / f"{name}.xlsx").write_bytes(b"PK")
    records = open_records(str(tmp_path), shown="x", tables=TableNames(), columns={}).load(TODAY)

    assert [note.partition(":")[0] for note in records.notes] == [
        "there is no column segment",
        "shadow.xlsx",
        "benchmark.xlsx",
    ]
