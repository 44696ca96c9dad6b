"""Which URLs open a store, how it is opened, and what an error never reveals."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, text

from perf_alerts_dagster.core.errors import SettingsError, StoreUnavailable
from perf_alerts_dagster.storage.engine import open_engine, reading
from perf_alerts_dagster.storage.migrate import migrate, require_current


@pytest.mark.parametrize("call", [require_current, migrate])
def test_a_server_that_is_down_is_unavailable_and_no_password_is_revealed(
    call: Callable[[Engine], object],
) -> None:
    engine = open_engine("postgresql+psycopg://desk:s3cret@127.0.0.1:9/alerts?connect_timeout=2")

    with pytest.raises(StoreUnavailable, match=r"alerts on 127\.0\.0\.1") as caught:
        call(engine)

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://desk:s3cret@db/alerts",
        "s3cret",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///a.db?mode=ro",
        "postgresql+psycopg2://desk:s3cret@db/alerts",
    ],
)
def test_a_url_of_another_kind_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError, match="sqlite:///") as caught:
        open_engine(url)

    assert "s3cret" not in str(caught.value)


def test_plain_postgresql_means_the_driver_that_is_installed() -> None:
    engine = open_engine("postgresql://desk@db/alerts")

    assert engine.url.drivername == "postgresql+psycopg"


def test_foreign_keys_and_full_synchronisation_are_on(sqlite_engine: Engine) -> None:
    with reading(sqlite_engine) as connection:
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1
        assert connection.scalar(text("PRAGMA synchronous")) == 2
        assert connection.scalar(text("PRAGMA busy_timeout")) == 30_000
