"""The forms in which exports write one and the same table, and those that are not read."""

import gzip
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from sqlalchemy import create_engine, text

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_dagster.records.sources.formats import CONVERSIONS, records_fault
from perf_alerts_dagster.records.sources.open import TableNames, open_records

TODAY = date(2026, 1, 9)
HEADER = "strategy,date,pnl,capital,segment,currency\n"
ROWS = "carry,2026-01-05,10.5,1000,backtest,USD\ncarry,2026-01-06,-20,1000,live,USD\n"


def load(path: Path | str, **tables: str) -> TrackRecords:
    names = TableNames(**tables)
    return open_records(str(path), shown=str(path), tables=names, columns={}).load(TODAY)


def written(folder: Path, content: str | bytes, name: str = "daily.csv") -> TrackRecords:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load(path)


def refusal(folder: Path, content: str | bytes, name: str = "daily.csv") -> str:
    with pytest.raises((RecordsInvalid, RecordsUnavailable)) as caught:
        written(folder, content, name)
    return str(caught.value)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_any_separator_line_end_and_mark_give_the_same_record(
    tmp_path: Path, line_end: str, separator: str, mark: str, pack: Callable[[bytes], bytes]
) -> None:
    content = mark + (HEADER + ROWS).replace(",", separator).replace("\n", line_end)
    records = written(tmp_path, pack(content.encode()))

    assert records.strategies["carry"].returns.tolist() == [0.0105, -0.02]
    assert not records.faults


def test_a_header_that_two_separators_split_is_refused(tmp_path: Path) -> None:
    assert "which one separates cells would be a guess" in refusal(tmp_path, "strategy;date|pnl\n")


def test_a_decimal_comma_is_refused_with_the_line_that_converts(tmp_path: Path) -> None:
    content = (HEADER + ROWS).replace(",", ";").replace("10.5", "10,5")
    (fault,) = written(tmp_path, content).faults["carry"]

    assert str(fault) == (
        "daily.csv, row 2, column pnl: is not a number; where 1,5 means 1.5, convert the file: "
        "pandas.read_csv(FILE, sep=None, engine='python', decimal=',').to_csv(FILE, index=False) "
        "(seen: '10,5')"
    )


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_named_with_the_line_that_converts(tmp_path: Path, codec: str) -> None:
    message = refusal(tmp_path, (HEADER + ROWS).encode(codec))
    line = message.partition("convert: python -c ")[2].strip('"')
    subprocess.run([sys.executable, "-c", line], cwd=tmp_path, check=True)

    assert message.startswith("daily.csv: the file is UTF-16 text; convert: ")
    assert list(load(tmp_path / "utf8.csv").strategies) == ["carry"]


def test_a_cell_of_any_length_is_shown_short(tmp_path: Path) -> None:
    (fault,) = written(
        tmp_path, f"{HEADER}trend,2026-01-05,{'9x' * 5_000_000},1,live,USD\n"
    ).faults["trend"]

    assert fault.value == ("9x" * 20)[:37] + "..."
    assert fault.row == 2


def test_a_cell_that_is_not_printable_is_shown_escaped(tmp_path: Path) -> None:
    row = "trend,2026-01-05,1\u200b0\x1b,1000,live\u202e,USD\n"
    segment, pnl = written(tmp_path, HEADER + row).faults["trend"]

    assert (pnl.value, segment.value) == (r"1\u200b0\x1b", r"live\u202e")


MIDNIGHTS = [
    "2026-01-05T00:00:00Z",
    "2026-01-05 00:00:00+00:00",
    "2026-01-05T00:00:00.000+0200",
    "2026-01-05T00:00-05:00",
    "2026-01-05 00:00:00.000000000+05:30",
    "2026-01-05 00:00:00 UTC",
    "2026-01-05T00:00:00+09",
]


def with_sqlite(folder: Path, cell: str) -> TrackRecords:
    url = f"sqlite:///{folder}/pnl.db"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("create table daily (strategy text, date text, return real)"))
        connection.execute(text("insert into daily values ('carry', :day, 0.5)"), {"day": cell})
    engine.dispose()
    return load(url)


def with_csv(folder: Path, cell: str) -> TrackRecords:
    return written(folder, f"strategy,date,return\ncarry,{cell},0.5\n")


@pytest.mark.parametrize("cell", MIDNIGHTS)
@pytest.mark.parametrize("load_with", [with_csv, with_sqlite])
def test_midnight_with_any_offset_is_the_written_day(
    tmp_path: Path, cell: str, load_with: Callable[[Path, str], TrackRecords]
) -> None:
    records = load_with(tmp_path, cell)

    assert not records.faults
    assert records.strategies["carry"].dates.astype(str).tolist() == ["2026-01-05"]


@pytest.mark.parametrize("cell", ["2026-01-05T05:00:00Z", "2026-01-05 00:00:01+00:00"])
@pytest.mark.parametrize("load_with", [with_csv, with_sqlite])
def test_another_time_is_refused_with_what_was_seen(
    tmp_path: Path, cell: str, load_with: Callable[[Path, str], TrackRecords]
) -> None:
    (fault,) = load_with(tmp_path, cell).faults["carry"]

    assert fault.rule.startswith("is no midnight: give dates")
    assert fault.value == cell


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Kolkata", "America/Sao_Paulo"])
def test_midnight_in_the_zone_of_a_parquet_column_is_that_day(tmp_path: Path, zone: str) -> None:
    days = [date(2018, 11, 3), date(2018, 11, 5)]
    times = pl.Series([datetime(one.year, one.month, one.day) for one in days])  # noqa: DTZ001
    frame = pl.DataFrame({"strategy": "s", "date": times, "return": [0.1, 0.2]})
    zoned = frame.with_columns(pl.col("date").dt.replace_time_zone(zone))
    zoned.write_parquet(tmp_path / "daily.parquet")

    assert load(tmp_path).strategies["s"].dates.tolist() == days


def test_a_day_on_which_midnight_is_skipped_is_no_panic(tmp_path: Path) -> None:
    # Summer time began in Brazil at 00:00 that day.
    noon = datetime(2018, 11, 4, 12, tzinfo=ZoneInfo("America/Sao_Paulo"))
    pl.DataFrame({"strategy": "s", "date": [noon], "return": [0.1]}).write_parquet(
        tmp_path / "daily.parquet"
    )
    (fault,) = load(tmp_path).faults["s"]

    assert fault.value == "2018-11-04 12:00:00.000000-02:00"


def test_a_zone_that_nobody_knows_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLARS_IGNORE_TIMEZONE_PARSE_ERROR", "1")
    times = pl.Series([None], dtype=pl.Datetime("us", "Nowhere/Zone"))
    pl.DataFrame({"strategy": "a", "date": times, "return": [0.1]}).write_parquet(
        tmp_path / "daily.parquet"
    )

    with pytest.raises(RecordsInvalid, match="column date is in the zone Nowhere/Zone, which is"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("cells", "seen"),
    [
        (pl.Series([1]).cast(pl.Duration("us")), "Duration"),
        (pl.Series([[0.1]]), "List(Float64)"),
        (pl.Series([{"a": 0.1}]), "Struct"),
        (pl.Series([time(1)]), "01:00:00"),
        (pl.Series([True]), "true"),
    ],
)
def test_a_column_of_a_type_that_is_no_number_is_a_fault(
    tmp_path: Path, cells: pl.Series, seen: str
) -> None:
    pl.DataFrame({"strategy": "a", "date": date(2026, 1, 5), "return": cells}).write_parquet(
        tmp_path / "daily.parquet"
    )
    (fault,) = load(tmp_path).faults["a"]

    assert fault.rule == "is not a number"
    assert (fault.value or "").startswith(seen)


@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_a_time_beyond_all_calendars_is_shown(tmp_path: Path, zone: str | None) -> None:
    times = pl.Series([20458 * 86_400_000_000, 2**62]).cast(pl.Datetime("us", zone))
    pl.DataFrame({"strategy": ["a", "b"], "date": times, "return": [0.1, 0.1]}).write_parquet(
        tmp_path / "daily.parquet"
    )

    assert load(tmp_path).faults["b"][0].value == str(2**62)


def test_times_of_postgres_are_days_in_the_zone_in_which_they_are_delivered(
    fresh_postgres_url: str,
) -> None:
    engine = create_engine(fresh_postgres_url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "create table daily as select 'day' as strategy, 0.1 as return, "
                "timestamptz '2026-01-05 00:00:00' as date "
                "union select 'noon', 0.1, timestamptz '2026-01-06 12:00:00'"
            )
        )
    engine.dispose()
    records = load(fresh_postgres_url)

    assert [str(one.dates[0]) for one in records.strategies.values()] == ["2026-01-05"]
    assert (records.faults["noon"][0].value or "").startswith("2026-01-06 12:00:00")


def test_a_column_of_sqlite_may_mix_what_it_likes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/pnl.db"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("create table daily (strategy, date, return, extra)"))
        for row in ("'a', '2026-01-05', 0.5, 1", "'b', 20260105, 'x', x'00'", "3, 2.5, null, ''"):
            connection.execute(text(f"insert into daily values ({row})"))
    engine.dispose()
    records = load(url)

    assert set(records.strategies) == {"a"}
    assert [one.value for one in records.faults["b"]] == ["20260105", "x"]


COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (COMPOSED, DECOMPOSED),
        ("carry", "\ufeffcarry"),
        ("carry", "car\u200bry\u200d"),
        ("carry", "\u00a0carry\u3000"),
        ("carry", "carry\u2060"),
    ],
)
def test_names_that_look_alike_are_one_strategy(tmp_path: Path, one: str, other: str) -> None:
    content = f"strategy,date,return\n{one},2026-01-05,0.1\n{other},2026-01-06,0.2\n"
    (record,) = written(tmp_path, content).strategies.values()

    assert record.strategy == one
    assert record.returns.tolist() == [0.1, 0.2]


def test_rows_of_names_that_look_alike_are_duplicates(tmp_path: Path) -> None:
    content = "strategy,date,return\ncarry,2026-01-05,0.1\n\u200bcarry,2026-01-05,0.2\n"

    assert "is there twice" in str(written(tmp_path, content).faults["carry"][0])


def test_groups_currencies_owners_and_columns_lose_invisible_characters_too(
    tmp_path: Path,
) -> None:
    (tmp_path / "strategies.csv").write_text("strategy\u200b,owner\ncarry\ufeff,ada\u200b\n")
    (tmp_path / "daily.csv").write_text(
        f"\u200bstrategy,date,return,group,currency\ncarry,2026-01-05,0.1,{DECOMPOSED},\u200bUSD\n"
        f"carry,2026-01-06,0.1,{COMPOSED},USD\n"
    )
    records = load(tmp_path)
    record = records.strategies["carry"]

    assert (record.group, record.currency, record.owner) == (COMPOSED, "USD", "ada")
    assert "strategies.csv: invisible characters in the column owner were removed" in records.notes


def test_two_columns_that_look_alike_are_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, "strategy,date,return,return\u200b\ncarry,2026-01-05,0.1,0.2\n")

    assert message == "daily.csv: column return is there twice"


def test_columns_of_blanks_do_no_harm(tmp_path: Path) -> None:
    assert written(tmp_path, "strategy,date,return, ,\ncarry,2026-01-05,0.1,,\n").strategies


@pytest.mark.parametrize("name", ["ALL", "ALL:USD", "group:fast", " ALL\u200b"])
def test_a_strategy_with_the_name_of_a_group_is_refused(tmp_path: Path, name: str) -> None:
    rows = f"{name},2026-01-05,0.1\ncarry,2026-01-05,0.1\n"
    records = written(tmp_path, f"strategy,date,return\n{rows}")
    ((notified, (fault,)),) = records.faults.items()

    assert fault.rule == "is a group's name (ALL, ALL:... or group:...)"
    # The group itself may still be made.
    assert notified not in ("ALL", "ALL:USD", "group:fast")
    assert set(records.strategies) == {"carry"}


def test_overlapping_segments_are_live_and_no_duplicates(tmp_path: Path) -> None:
    rows = [
        "2026-01-05,0.1,backtest",
        "2026-01-06,0.2,backtest",
        "2026-01-06,0.3,live",
        "2026-01-07,0.4,backtest",
        "2026-01-07,0.5,backtest",
        "2026-01-08,0.6,live",
    ]
    body = "".join(f"carry,{row}\n" for row in rows)
    records = written(tmp_path, f"strategy,date,return,segment\n{body}")

    assert records.strategies["carry"].returns.tolist() == [0.1, 0.3, 0.6]
    assert "carry: 3 backtest rows on or after its first live day are left out" in records.notes


@pytest.mark.parametrize("ending", CONVERSIONS)
def test_what_is_not_read_is_answered_with_the_line_that_converts(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"daily{ending}"
    path.write_bytes(b"any")
    why, _ = CONVERSIONS[ending]
    fault = records_fault(str(path))

    assert fault is not None
    assert fault.startswith(f"{why}; convert: ")
    assert f"daily{ending}" in fault
    for url, names in ((path, {}), (tmp_path, {}), (tmp_path, {"daily": f"daily{ending}"})):
        with pytest.raises(RecordsInvalid) as caught:
            load(url, **names)
        assert str(caught.value) == f"daily{ending}: {fault}"


def test_excel_is_answered_by_pandas(tmp_path: Path) -> None:
    (tmp_path / "daily.xlsx").touch()

    assert records_fault(str(tmp_path / "daily.xlsx")) == (
        "Excel is not read (dates and percents of a sheet are guesses); convert: python -c "
        "\"import pandas as pd; pd.read_excel('daily.xlsx').to_csv('daily.csv', index=False)\""
    )


def frame() -> pl.DataFrame:
    return pl.DataFrame({"strategy": ["carry"], "date": ["2026-01-05"], "return": [0.1]})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "write"),
    [
        (".json", lambda path: frame().write_json(path)),
        (".jsonl", lambda path: frame().write_ndjson(path)),
        (".feather", lambda path: frame().write_ipc(path)),
        (".avro", lambda path: frame().write_avro(path)),
    ],
)
def test_the_line_that_converts_does_so(
    tmp_path: Path, ending: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / f"daily{ending}")
    fault = records_fault(str(tmp_path / f"daily{ending}")) or ""
    line = fault.partition("convert: python -c ")[2].strip('"')
    subprocess.run([sys.executable, "-c", line], cwd=tmp_path, check=True)

    assert load(tmp_path / "daily.csv").strategies["carry"].returns.tolist() == [0.1]


def test_an_optional_table_that_is_not_read_is_noted(tmp_path: Path) -> None:
    (tmp_path / "daily.csv").write_text(HEADER + ROWS)
    (tmp_path / "strategies.xlsx").touch()

    assert any(
        note.startswith("strategies.xlsx: Excel is not read") for note in load(tmp_path).notes
    )


def test_a_days_offset_in_python_is_kept(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 5, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    assert not with_csv(tmp_path, moment.isoformat()).faults
