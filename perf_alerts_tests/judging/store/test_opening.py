"""What opening a store asks for, and what a damaged judgement is."""

import pytest
from sqlalchemy import Engine, text

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.judging.store.sql import SqlAlertStore, open_store
from perf_alerts_tests.judging.store.examples import judgement


def test_a_store_of_this_schema_opens_and_goes_on_after_it_was_closed(
    sqlite_engine: Engine, sqlite_url: str
) -> None:
    store = open_store(sqlite_url)
    store.record(judgement(), watermark=None)
    store.close()

    assert store.latest("daily_pnl_check") == judgement()
    store.close()


def test_a_store_that_was_not_migrated_is_refused(sqlite_url: str) -> None:
    with pytest.raises(StoreUnavailable):
        open_store(sqlite_url)


def test_a_damaged_judgement_is_named(sqlite_engine: Engine) -> None:
    store = SqlAlertStore(sqlite_engine)
    store.record(judgement(), watermark=None)
    with sqlite_engine.begin() as connection:
        connection.execute(text("UPDATE evaluations SET outcome = 'nonsense'"))

    with pytest.raises(StoreUnavailable, match=r"daily_pnl_check at 2026-01-05.*damaged"):
        store.latest("daily_pnl_check")
