"""Records at paths and URLs with any characters, and URLs with a password as typed."""

import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest

from perf_alerts_dagster.bootstrap.records import open_source
from perf_alerts_dagster.core.errors import RecordsUnavailable, UsageError
from perf_alerts_dagster.records.sources.sql import tables_of
from perf_alerts_dagster.settings import load_settings

NAMES = ("a%41b", "what?now", "a?b=c&d", "#1", "two words", "Übung", "100%", "%3F", "a:b@c", "[x]*")
TODAY = date(2026, 1, 30)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["csv", "parquet", "folder", "sqlite"])
def test_records_are_read_from_exactly_the_path(name: str, form: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    rows = pl.DataFrame({"strategy": ["a"], "date": ["2026-01-29"], "return": [0.01]})
    if form == "sqlite":
        with closing(sqlite3.connect(folder / "pnl.db")) as connection, connection:
            connection.execute("CREATE TABLE daily (strategy, date, return)")
            connection.executemany("INSERT INTO daily VALUES (?, ?, ?)", rows.rows())
        url = f"sqlite:///{quote(str(folder))}/pnl.db"
    else:
        path = folder / f"daily.{'csv' if form == 'folder' else form}"
        rows.write_parquet(path) if form == "parquet" else rows.write_csv(path)
        url = str(folder if form == "folder" else path)
    settings = load_settings({"ALERT_RECORDS_URL": url}, None)

    assert list(open_source(settings).load(TODAY).strategies) == ["a"]


def test_a_path_typed_into_a_url_is_a_fault_that_says_how_to_write_it(tmp_path: Path) -> None:
    (tmp_path / "a%41b").mkdir()
    (tmp_path / "a%41b" / "pnl.db").touch()

    with pytest.raises(UsageError, match="in a URL % is written %25"):
        open_source(load_settings({}, None), records_url=f"sqlite:///{tmp_path}/a%41b/pnl.db")


@pytest.mark.parametrize("password", ["hu@sh", "hu:sh", "hu/sh", "hu#sh", "hu?sh", "12/hush"])
def test_a_password_as_typed_is_no_part_of_the_error(password: str) -> None:
    url = f"postgresql+psycopg://u:{password}@h/d"
    with pytest.raises(UsageError, match="percent-encode the password") as caught:
        open_source(load_settings({}, None), records_url=url)
    assert "hu" not in str(caught.value)

    with pytest.raises(RecordsUnavailable) as unread:
        tables_of(f"postgresql+psycopg://u:{password}@127.0.0.1:port/d", "the database")
    assert "sh" not in str(unread.value)
