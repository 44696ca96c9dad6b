"""For any table and any damage: alike in every form, and never past our own errors."""

import gzip
from datetime import date
from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_dagster.records.sources.open import TableNames, open_records

TODAY = date(2026, 1, 9)
HEADER = "strategy,date,pnl,capital,segment,currency\n"
ROWS = "carry,2026-01-05,10.5,1000,backtest,USD\ncarry,2026-01-06,-20,1000,live,USD\n"
COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def load(path: Path | str) -> TrackRecords:
    return open_records(str(path), shown=str(path), tables=TableNames(), columns={}).load(TODAY)


def tables() -> st.SearchStrategy[list[tuple[object, ...]]]:
    day = st.dates(date(2025, 1, 1), date(2025, 3, 1)).map(str)
    number = st.floats(-1e6, 1e6).map(lambda one: round(one, 4) + 0.0)
    row = st.tuples(
        st.sampled_from(["a", "b", COMPOSED, DECOMPOSED, "ALL"]),
        day.flatmap(lambda one: st.sampled_from([one, f"{one}T00:00:00+02:00", f"{one} 12:00"])),
        number,
        st.sampled_from([0.0, 1000.0, -5.0]),
        st.sampled_from(["live", "backtest", "paper"]),
    )
    return st.lists(row, min_size=1, max_size=12)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=tables())
def test_csv_sql_and_parquet_give_the_same_records_faults_and_notes(
    tmp_path: Path, rows: list[tuple[object, ...]]
) -> None:
    columns = ["strategy", "date", "pnl", "capital", "segment"]
    table = pl.DataFrame(rows, schema=columns, orient="row")
    table.write_csv(tmp_path / "daily.csv")
    table.write_parquet(tmp_path / "daily.parquet")
    url = f"sqlite:///{tmp_path}/pnl.db"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("drop table if exists daily"))
        connection.execute(
            text("create table daily (strategy text, date text, pnl real, capital real, segment)")
        )
        connection.execute(
            text("insert into daily values (:strategy, :date, :pnl, :capital, :segment)"),
            table.to_dicts(),
        )
    engine.dispose()
    csv, parquet, sql = (
        load(one) for one in (tmp_path / "daily.csv", tmp_path / "daily.parquet", url)
    )

    for other in (parquet, sql):
        assert {name: one.content_hash() for name, one in other.strategies.items()} == {
            name: one.content_hash() for name, one in csv.strategies.items()
        }
        # A CSV file counts its header as a line.
        assert {
            name: [(one.row, one.column, one.rule, one.value) for one in found]
            for name, found in other.faults.items()
        } == {
            name: [(one.row and one.row - 1, one.column, one.rule, one.value) for one in found]
            for name, found in csv.faults.items()
        }
        assert [note.partition(".csv")[2] or note for note in csv.notes] == [
            note.partition(".parquet")[2] or note.removeprefix("daily") for note in other.notes
        ]


WHOLE = (HEADER + ROWS * 3).encode()


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda at, junk: WHOLE[:at] + junk + WHOLE[at + len(junk) :],
            st.integers(0, len(WHOLE)),
            st.one_of(
                st.binary(min_size=1, max_size=8),
                st.sampled_from([b'"', b"\r", b";", b"\n", b"\0", b"\xef\xbb\xbf", b"\xff\xfe"]),
            ),
        ),
        st.builds(
            lambda cells: HEADER.encode() + "\n".join(map(",".join, cells)).encode(),
            st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), max_size=8)),
        ),
    ),
    packed=st.booleans(),
)
def test_no_damage_to_a_csv_file_gets_past_our_own_errors(
    tmp_path: Path, content: bytes, packed: bool
) -> None:
    path = tmp_path / "daily.csv"
    path.write_bytes(gzip.compress(content)[: -len(content) % 7 or None] if packed else content)
    try:
        records = load(path)
    except (RecordsInvalid, RecordsUnavailable) as error:
        assert str(error).startswith("daily.csv: ")  # noqa: PT017 # both ends are right
        return
    for fault in (one for found in records.faults.values() for one in found):
        assert len(fault.value or "") <= 40
        assert str(fault).isprintable()
        assert fault.row is None or fault.row >= 2
