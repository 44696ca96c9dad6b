"""State folders with any name: the store is in the folder, and in its backup."""

from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from click.testing import CliRunner, Result

from perf_alerts_dagster.bootstrap.desk import kept_of
from perf_alerts_dagster.bootstrap.records import migrate_store, store_url
from perf_alerts_dagster.cli.commands.backup import backup, restore
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_dagster.storage.engine import open_engine, sqlite_file

NAMES = ("a%41b", "what?now", "a?b=c&d", "#1", "two words", "Übung", "100%", "%3F", "a:b@c", "+[x]")


@pytest.fixture
def settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Settings:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALERT_STATE_DIR", str(tmp_path / request.param / "state"))
    return load_settings()


def command(*words: str) -> Result:
    which, *rest = words
    return CliRunner().invoke({"backup": backup, "restore": restore}[which], rest)


@pytest.mark.parametrize("settings", NAMES, indirect=True)
def test_the_store_is_in_the_state_folder_and_in_its_backup(
    settings: Settings, tmp_path: Path
) -> None:
    migrate_store(settings)

    assert (settings.state_dir / "perf_alerts.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [settings.state_dir.parent.name]
    assert kept_of(settings).retired == {}

    assert command("backup", "saved").exit_code == 0
    assert (tmp_path / "saved" / "perf_alerts.db").is_file()
    (settings.state_dir / "perf_alerts.db").unlink()
    assert command("restore", "saved").exit_code == 0
    assert (settings.state_dir / "perf_alerts.db").is_file()


@pytest.mark.parametrize("settings", ["plain"], indirect=True)
def test_a_backup_of_a_folder_without_its_store_fails(settings: Settings, tmp_path: Path) -> None:
    settings.state_dir.mkdir(parents=True)
    (settings.state_dir / "jwt_secret").write_text("s" * 64)

    failed = command("backup", "saved")

    assert isinstance(failed.exception, StoreUnavailable)
    assert "perf_alerts.db is missing" in str(failed.exception)
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize("settings", ["plain"], indirect=True)
def test_a_store_outside_of_the_folder_is_said_to_be_left_out(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.state_dir.mkdir(parents=True)
    monkeypatch.setenv("ALERT_DATABASE_URL", f"sqlite:///{tmp_path}/elsewhere.db")

    made = command("backup", "saved")

    assert made.exit_code == 0
    assert "ALERT_DATABASE_URL is not in the state folder" in " ".join(made.stderr.split())


@pytest.mark.parametrize("settings", ["a%41b", "what?now"], indirect=True)
def test_a_store_that_lay_where_the_path_was_read_as_a_url_is_not_begun_anew(
    settings: Settings,
) -> None:
    file = settings.state_dir / "perf_alerts.db"
    former = Path(unquote(str(file).partition("?")[0]))
    former.parent.mkdir(parents=True, exist_ok=True)
    former.touch()

    with pytest.raises(StoreUnavailable) as caught:
        migrate_store(settings)
    assert f"was kept at {former} until now, and belongs at {file}" in str(caught.value)
    assert not file.exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_url_with_a_quoted_path_is_that_path(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    urls = (f"sqlite:///{quote(str(folder))}/x.db", "sqlite:///x.db", "sqlite:///./x.db")
    for url in urls:
        settings = load_settings({"ALERT_DATABASE_URL": url}, None)
        engine = open_engine(store_url(settings))

        assert (sqlite_file(engine) or Path()).resolve() == folder / "x.db"
        assert load_settings(settings.environment(), None) == settings
