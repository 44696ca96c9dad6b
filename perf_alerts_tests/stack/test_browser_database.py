"""Dagster's web UI over a PostgreSQL that closes all its connections, as a restart does."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import URL, create_engine, event, make_url, text
from sqlalchemy.pool import QueuePool

from perf_alerts_dagster.scheduler.graphql.client import TOKEN_HEADER
from perf_alerts_dagster.stack.webserver import ping
from perf_alerts_tests.stack.real import Ledger, System, real_system
from perf_alerts_tests.stack.stacks import LAUNCH

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

RUNS = "{ runsOrError { ... on Runs { results { runId } } } }"


@pytest.fixture
def system(tmp_path: Path, fresh_postgres_url: str) -> Iterator[System]:
    ledger = Ledger(tmp_path / "daily.csv")
    ledger.begin(date(2026, 1, 5))
    environ = {
        "ALERT_RECORDS_URL": str(ledger.path),
        "ALERT_PROJECTION_PATHS": "1000",
        "ALERT_DAGSTER_DATABASE_URL": fresh_postgres_url.replace("+psycopg", ""),
    }
    with real_system(tmp_path / "state", environ) as running:
        running.start()
        yield running


def close_all(url: str) -> int:
    """Close every connection to the database but this one; their number."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as admin:
        closed = admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    return len(closed)


def test_the_first_launch_after_a_restart_of_dagsters_database_is_answered(
    system: System, fresh_postgres_url: str
) -> None:
    def ask(text: str, **variables: str) -> httpx.Response:
        # Without the REST API's budget of 10 s, which a busy machine may exceed.
        return httpx.post(
            f"http://127.0.0.1:{system.port}/graphql",
            json={"query": text, "variables": variables},
            headers={TOKEN_HEADER: system.running.token},
            timeout=200,
        )

    # Fills the pools.
    assert ask(RUNS).status_code == 200
    closed = close_all(fresh_postgres_url)
    launched = ask(LAUNCH, job="daily_pnl_check")
    close_all(fresh_postgres_url)
    listed = ask(RUNS)

    assert closed > 0
    assert launched.json()["data"]["launchRun"]["__typename"] == "LaunchRunSuccess", launched.text
    assert len(listed.json()["data"]["runsOrError"]["results"]) == 1


@pytest.mark.parametrize("driver", ["sqlite", "postgresql+psycopg", "postgresql+psycopg2"])
def test_a_pooled_connection_that_its_database_has_closed_is_replaced_unseen(
    driver: str, tmp_path: Path, fresh_postgres_url: str
) -> None:
    url: str | URL = f"sqlite:///{tmp_path / 'x.db'}"
    if driver != "sqlite":
        url = make_url(fresh_postgres_url).set(drivername=driver)
    engine = create_engine(url, poolclass=QueuePool, pool_size=1)
    event.listen(engine, "checkout", ping)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE kept (a INTEGER)"))
    if driver == "sqlite":
        with engine.connect() as connection:
            assert connection.connection.driver_connection is not None
            connection.connection.driver_connection.close()
    else:
        assert close_all(fresh_postgres_url) == 1

    with engine.begin() as connection:
        connection.execute(text("INSERT INTO kept VALUES (1)"))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT a FROM kept")).scalar_one() == 1
    engine.dispose()
