"""The rendered Dagster home, and the files a fresh checkout has."""

import os
import stat
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.run_coordinator import DefaultRunCoordinator
from pydantic import SecretStr

from perf_alerts_dagster.core.errors import SettingsError, StackError
from perf_alerts_dagster.scheduler.dagster_internals import WorkspaceFileTarget
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_dagster.stack.dagster_home import (
    TEMPLATE,
    code_socket,
    own_folder,
    prepare_home,
)

ROOT = Path(__file__).parents[2]


def test_the_checkout_and_the_package_hold_the_same_template() -> None:
    assert (ROOT / "dagster.yaml").read_text() == TEMPLATE.read_text()


def test_a_rendered_home_opens_as_an_instance_in_the_state_folder(tmp_path: Path) -> None:
    state = tmp_path / 'a "state" folder'

    home = prepare_home(Settings(state_dir=state, run_max_seconds=321))

    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.run_monitoring_max_runtime_seconds == 321
        assert instance.run_monitoring_enabled
        assert (instance.run_retries_enabled, instance.run_retries_max_retries) == (True, 2)
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert isinstance(instance.run_coordinator, DefaultRunCoordinator)
        assert instance.scheduler.max_tick_retries == 3  # type: ignore[union-attr]
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
    assert {path.name for path in home.iterdir()} >= {"history", "schedules"}


def test_the_template_opens_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(TEMPLATE.read_text())

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_monitoring_max_runtime_seconds == 900


def test_rendering_again_changes_no_file(tmp_path: Path) -> None:
    home = prepare_home(Settings(state_dir=tmp_path))
    before = {path: path.stat().st_mtime_ns for path in home.iterdir()}

    assert prepare_home(Settings(state_dir=tmp_path)) == home
    assert {path: path.stat().st_mtime_ns for path in home.iterdir()} == before


def test_settings_that_changed_are_rendered(tmp_path: Path) -> None:
    prepare_home(Settings(state_dir=tmp_path, run_max_seconds=1))

    home = prepare_home(Settings(state_dir=tmp_path, run_max_seconds=2))

    assert "max_runtime_seconds: 2\n" in (home / "dagster.yaml").read_text()


def test_one_setting_moves_the_storage_to_postgresql(
    tmp_path: Path, fresh_postgres_url: str
) -> None:
    home = prepare_home(
        Settings(state_dir=tmp_path, dagster_database_url=SecretStr(fresh_postgres_url))
    )

    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert type(instance.run_storage).__name__ == "PostgresRunStorage"
        assert instance.get_runs_count() == 0
        # Dagster tells of each event by NOTIFY, which not every driver can.
        run = dg.DagsterRun(job_name="daily_pnl_check")
        instance.add_run(run)
        instance.report_engine_event("hello", run)
        assert len(instance.all_logs(run.run_id)) == 1
    assert stat.S_IMODE((home / "dagster.yaml").stat().st_mode) == 0o600


def test_another_database_is_refused_by_name(tmp_path: Path) -> None:
    variables = {
        "ALERT_STATE_DIR": str(tmp_path),
        "ALERT_DAGSTER_DATABASE_URL": "mysql://user:secret@host/db",
    }

    with pytest.raises(SettingsError, match=r"ALERT_DAGSTER_DATABASE_URL.* must be postgresql://"):
        load_settings(variables, None)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StackError, match="file cannot be written"):
        prepare_home(Settings(state_dir=tmp_path / "file"))


def test_both_workspaces_pin_the_locations_name(tmp_path: Path) -> None:
    home = prepare_home(Settings(state_dir=tmp_path))

    for file in (ROOT / "workspace.yaml", home / "workspace.yaml"):
        (origin,) = WorkspaceFileTarget([str(file)]).create_origins()
        assert origin.location_name == "perf_alerts"


def test_the_code_server_listens_in_the_state_folder(tmp_path: Path) -> None:
    assert code_socket(Path("/srv/state")) == Path("/srv/state/dagster_home/code.sock")


@pytest.mark.parametrize("name", ["x" * 120, "a folder", "größe"])
def test_a_path_that_no_socket_may_have_is_replaced_by_a_short_one(name: str) -> None:
    first, second = code_socket(Path("/srv") / name), code_socket(Path("/srv/other") / name)

    assert len(os.fsencode(first)) < 100
    assert first != second
    assert first == code_socket(Path("/srv") / name)


def test_a_socket_folder_is_closed_to_others(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)

    for folder in (open_to_all, tmp_path / "fresh"):
        own_folder(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_socket_folder_that_may_be_somebody_elses_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").touch()

    for place in ("link", "file"):
        with pytest.raises(StackError, match="must be a folder"):
            own_folder(tmp_path / place)
