"""Dagster's web UI over a PostgreSQL that closes all its connections, as a restart does."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import URL, create_engine, event, make_url, text
from sqlalchemy.pool import QueuePool

from perf_alerts_dagster.http.paths import BASE
from perf_alerts_dagster.stack.webserver import ping
from perf_alerts_tests.stack.real import System, real_system
from perf_alerts_tests.stack.stacks import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

KEY = "pa_admin_only-for-the-tests-0123456789abcdef"


@pytest.fixture
def system(tmp_path: Path, fresh_postgres_url: str) -> Iterator[System]:
    environ = {
        "ALERT_ADMIN_API_KEY": KEY,
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


def test_the_first_trigger_after_a_restart_of_dagsters_database_is_answered(
    system: System, fresh_postgres_url: str
) -> None:
    base = f"http://127.0.0.1:{system.proxy_port}{BASE}"
    headers = {"X-Alert-API-Key": KEY}

    def status() -> int:
        return httpx.get(f"{base}/schedule/executions", headers=headers, timeout=60).status_code

    # Fills the pools.
    eventually(lambda: status() == 200, seconds=60, what="the REST API answers")
    closed = close_all(fresh_postgres_url)
    trigger = httpx.post(f"{base}/schedule/trigger/daily_pnl_check", headers=headers, timeout=60)
    close_all(fresh_postgres_url)
    listed = httpx.get(f"{base}/schedule/executions", headers=headers, timeout=60)

    assert closed > 0
    assert (trigger.status_code, listed.status_code) == (202, 200), (trigger.text, listed.text)
    assert len(listed.json()["data"]) == 1


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
