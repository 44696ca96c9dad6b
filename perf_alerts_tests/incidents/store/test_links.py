"""The stored links, in SQLite and PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.incidents.store.links import SqlLinks
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.storage.event_tables import links
from perf_alerts_tests.incidents.incident_desk import DAY, START

WEEK = timedelta(days=7)
KNOWN = ("e" * 24, "mail")


def keep(store: SqlLinks, token_hash: str, *, days: int = 0) -> None:
    """A message is sent so many days after the start."""
    now = START + days * DAY
    event_id, channel = KNOWN
    store.keep({token_hash: event_id}, channel=channel, until=now + WEEK, now=now)


def stored(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(select(links.c.token_hash).order_by(links.c.token_hash)))


def test_a_link_is_found_by_its_hash_and_no_other(engine: Engine) -> None:
    store = SqlLinks(engine)
    keep(store, "a")

    assert store.find("a") == (*KNOWN, START + WEEK)
    assert store.find("A") is None
    assert store.find("") is None


def test_each_message_makes_its_link_last_longer(engine: Engine) -> None:
    store = SqlLinks(engine)
    keep(store, "a")
    keep(store, "a", days=3)

    assert store.find("a") == (*KNOWN, START + 3 * DAY + WEEK)
    assert stored(engine) == ["a"]


def test_an_expired_link_is_found_until_the_next_one_is_stored(engine: Engine) -> None:
    store = SqlLinks(engine)
    keep(store, "a")
    keep(store, "b", days=6)
    assert stored(engine) == ["a", "b"]
    keep(store, "c", days=7)

    assert stored(engine) == ["b", "c"]


def test_one_link_of_many_messages_at_once_is_stored_once(engine: Engine) -> None:
    store = SqlLinks(engine)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda day: keep(store, "a", days=day), [0, 1, 2, 3] * 4))

    assert stored(engine) == ["a"]


def test_a_store_that_cannot_be_used_says_so(tmp_path: object) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/nothing.db")
    with pytest.raises(StoreUnavailable):
        SqlLinks(engine).find("a")
    engine.dispose()
