"""Migrations, and what happens to a store that does not have this program's schema."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

import perf_alerts_dagster.storage.migrations as migrations
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import WORTH, Evidence, Outcome
from perf_alerts_dagster.judging.store.overview import SqlOverview
from perf_alerts_dagster.judging.store.sql import SqlAlertStore, open_store
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.storage.migrate import migrate, require_current
from perf_alerts_dagster.storage.tables import REVISIONS, VERSION_TABLE, metadata
from perf_alerts_tests.incidents.incident_desk import breach, fine, judged
from perf_alerts_tests.judging.store.examples import judgement


def set_version(engine: Engine, version: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{version}'"))


def downgrade(connection: Connection, revision: str) -> None:
    """As a person does with Alembic itself."""
    config = Config()
    config.set_main_option("script_location", str(Path(str(migrations.__file__)).parent))
    config.attributes["connection"] = connection
    command.downgrade(config, revision)


def test_the_revisions_that_the_program_knows_are_the_ones_that_exist() -> None:
    script = ScriptDirectory(str(Path(str(migrations.__file__)).parent))

    found = [one.revision for one in script.walk_revisions()]

    assert tuple(reversed(found)) == REVISIONS


def test_the_migrations_make_exactly_the_tables_that_the_program_uses(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                "compare_type": True,
                "compare_server_default": True,
            },
        )

        assert compare_metadata(context, metadata) == []


def test_a_first_migration_makes_the_store_and_a_second_changes_nothing(
    empty_engine: Engine,
) -> None:
    with pytest.raises(StoreUnavailable):
        require_current(empty_engine)
    migrate(empty_engine)
    require_current(empty_engine)
    migrate(empty_engine)
    require_current(empty_engine)


def test_judgements_of_the_version_before_say_nothing_of_what_their_rules_were_worth(
    empty_engine: Engine,
) -> None:
    migrate(empty_engine)
    store, given = SqlAlertStore(empty_engine), judgement(run_id="before")
    store.record(given, watermark=None)
    with empty_engine.begin() as connection:
        downgrade(connection, "0007")
    with pytest.raises(StoreUnavailable, match="perf-alerts migrate"):
        require_current(empty_engine)
    migrate(empty_engine)

    unknown: dict[str, Any] = dict.fromkeys({*WORTH, "notifies"} - {"power", "days_to_half"})
    full, bare = given.evaluations
    expected = replace(
        given, method_version=None, evaluations=(replace(full, **unknown), replace(bare, **unknown))
    )
    assert store.latest("daily_pnl_check") == expected
    store.record(judgement(run_id="after"), watermark=None)
    assert store.latest("daily_pnl_check") == judgement(run_id="after")


def test_two_starters_do_not_collide(empty_engine: Engine) -> None:
    def start(_: int) -> None:
        # An engine of its own, as another process has.
        engine = open_engine(empty_engine.url.render_as_string(hide_password=False))
        migrate(engine)
        require_current(engine)
        engine.dispose()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, range(4)))


def test_a_store_that_was_never_migrated_is_refused_with_the_command(
    empty_engine: Engine,
) -> None:
    with pytest.raises(StoreUnavailable, match="perf-alerts migrate"):
        require_current(empty_engine)


def test_opening_a_missing_file_names_the_command_and_makes_no_file(
    sqlite_url: str, tmp_path: Path
) -> None:
    with pytest.raises(StoreUnavailable, match=r"does not exist.*perf-alerts migrate"):
        open_store(sqlite_url)

    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_a_store_without_a_schema(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "alerts.db").touch()

    with pytest.raises(StoreUnavailable, match=r"has schema none.*perf-alerts migrate"):
        open_store(sqlite_url)


def test_a_store_of_a_newer_program_is_neither_opened_nor_migrated(empty_engine: Engine) -> None:
    migrate(empty_engine)
    set_version(empty_engine, "9999")

    for attempt in (require_current, migrate):
        with pytest.raises(StoreUnavailable, match=r"9999.*newer.*update perf-alerts"):
            attempt(empty_engine)
    with pytest.raises(StoreUnavailable):
        require_current(empty_engine)


def test_a_migrated_store_opens(sqlite_engine: Engine, sqlite_url: str) -> None:
    store = open_store(sqlite_url)

    assert store.watermark("daily_pnl_check") is None
    store.close()


def test_a_migration_that_fails_leaves_nothing_behind(empty_engine: Engine) -> None:
    migrate(empty_engine)
    with empty_engine.begin() as connection:
        metadata.drop_all(connection)
        connection.execute(text(f"DROP TABLE {VERSION_TABLE}"))
        connection.execute(text("CREATE TABLE leases (in_the_way INTEGER)"))

    with pytest.raises(StoreUnavailable, match="leases"):
        migrate(empty_engine)

    with empty_engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["leases"]


def test_the_files_are_private_and_in_wal_mode(sqlite_engine: Engine, tmp_path: Path) -> None:
    with sqlite_engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        found = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.rglob("alerts.db*")}

    names = {"alerts.db", "alerts.db-wal", "alerts.db-shm", "alerts.db.lock"}
    assert found == dict.fromkeys(names, 0o600)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_file_that_others_may_read_is_made_private(sqlite_engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "state" / "alerts.db"
    file.chmod(0o644)

    migrate(sqlite_engine)

    assert file.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").touch()

    with pytest.raises(StoreUnavailable, match=r"state/alerts\.db.*cannot be made"):
        migrate(open_engine(f"sqlite:///{tmp_path}/state/alerts.db"))


@pytest.mark.parametrize("name", ["a%b.db", "two words.db", "q?x=1#y.db", "é.db"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/{name.replace('?', '%3F')}")
    migrate(engine)

    require_current(engine)
    engine.dispose()


def test_a_downgrade_takes_everything_away(engine: Engine) -> None:
    with engine.connect() as connection, connection.begin() as transaction:
        downgrade(connection, "base")
        assert inspect(connection).get_table_names() == [VERSION_TABLE]
        transaction.rollback()


def test_judgements_of_the_version_before_get_the_cells_of_their_strategies(
    engine: Engine,
) -> None:
    found = judged(
        fine(strategy="well"),
        breach(strategy="lost", severity=Severity.EMERGENCY),
        fine(strategy="lost", rule="rolling_sharpe"),
        breach(strategy="weak", evidence=Evidence.WEAK),
        fine(strategy="late", outcome=Outcome.NO_DATA, value=None),
        fine(strategy="young", outcome=Outcome.INSUFFICIENT_DATA, value=None),
        fine(strategy="young", rule="no_data"),
    )
    store = SqlAlertStore(engine)
    store.record(found, watermark=None)
    with engine.begin() as connection:
        downgrade(connection, "0013")

    migrate(engine)

    (session,) = SqlOverview(engine).sessions(found.alert)
    counts = {str(cell): count for cell, count in session.cells.items()}
    assert counts == {"ok": 2, "critical": 1, "weak": 1, "no_data": 1}
