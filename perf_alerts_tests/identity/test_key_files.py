"""Secrets that are made once."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.identity import keys as secrets
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_dagster.settings.keys import secret_fault

LONG = "0123456789abcdefghijklmnopqrstuv"


def settings_of(folder: Path, **changes: str) -> Settings:
    return load_settings({"ALERT_STATE_DIR": str(folder / "state")} | changes, dotenv=None)


def test_the_first_start_makes_one_admin_key_and_tells_it_once(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)

    key = secrets.first_admin_key(settings)

    assert key is not None
    assert len(key) >= 43
    assert secrets.first_admin_key(settings) is None
    found = secrets.registry(settings).find(key)
    assert found is not None
    assert found.user_id == "admin"


def test_only_the_hash_of_the_key_is_kept_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    key = secrets.first_admin_key(settings_of(tmp_path)) or ""

    (file,) = (tmp_path / "state").iterdir()
    assert file.read_text().strip() == hashlib.sha256(key.encode()).hexdigest()
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "changes", [{"ALERT_VIEWER_API_KEY": LONG}, {"ALERT_AUTH_ENABLED": "false"}]
)
def test_where_a_key_is_configured_or_none_is_needed_none_is_made(
    tmp_path: Path, changes: dict[str, str]
) -> None:
    settings = settings_of(tmp_path, **changes)

    assert secrets.first_admin_key(settings) is None
    secrets.registry(settings)
    assert not (tmp_path / "state").exists()


def test_without_any_key_nobody_is_let_in_and_no_key_is_made_in_secret(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ALERT_ADMIN_API_KEY is not set"):
        secrets.registry(settings_of(tmp_path))

    assert not (tmp_path / "state").exists()


def test_a_key_that_is_configured_later_takes_the_place_of_the_one_that_was_made(
    tmp_path: Path,
) -> None:
    made = secrets.first_admin_key(settings_of(tmp_path)) or ""

    found = secrets.registry(settings_of(tmp_path, ALERT_ADMIN_API_KEY=LONG))

    assert found.find(made) is None
    assert found.find(LONG) is not None


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_token_secret_is_made_once_strong_enough_and_private(
    tmp_path: Path, algorithm: str
) -> None:
    settings = settings_of(tmp_path, ALERT_JWT_ALGORITHM=algorithm)

    first = secrets.token_secret(settings)

    assert secrets.token_secret(settings) == first
    assert secret_fault(first.decode(), algorithm) is None
    assert (tmp_path / "state" / "jwt_secret").stat().st_mode & 0o777 == 0o600


def test_a_configured_token_secret_is_used_and_nothing_is_written(tmp_path: Path) -> None:
    given = "2Ys9vLqfJ3kXw8ZbN5tRgHc7Dm4PaEuVi6oTyW1x"

    assert secrets.token_secret(settings_of(tmp_path, ALERT_JWT_SECRET=given)) == given.encode()
    assert not (tmp_path / "state").exists()


def test_of_many_starters_one_tells_the_key_and_all_share_the_secret(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(lambda _: secrets.first_admin_key(settings), range(32)))
        shared = set(pool.map(lambda _: secrets.token_secret(settings), range(32)))

    (key,) = [one for one in keys if one is not None]
    assert secrets.registry(settings).find(key) is not None
    assert len(shared) == 1
    assert sorted(one.name for one in (tmp_path / "state").iterdir()) == [
        "admin_key.sha256",
        "jwt_secret",
    ]


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    secrets.token_secret(settings)
    file = tmp_path / "state" / "jwt_secret"
    file.chmod(0o644)

    secrets.token_secret(settings)

    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 90, b"x" * 200 + b" y"])
def test_a_damaged_file_is_named_and_never_shown_or_replaced(
    tmp_path: Path, content: bytes
) -> None:
    settings = settings_of(tmp_path)
    (tmp_path / "state").mkdir()
    for name in ("jwt_secret", "admin_key.sha256"):
        (tmp_path / "state" / name).write_bytes(content)

    with pytest.raises(SettingsError, match=r"jwt_secret is damaged; delete it"):
        secrets.token_secret(settings)
    with pytest.raises(SettingsError, match=r"admin_key\.sha256 is damaged"):
        secrets.registry(settings)
    assert (tmp_path / "state" / "jwt_secret").read_bytes() == content


def test_a_state_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = settings_of(tmp_path).model_copy(update={"state_dir": tmp_path / "file" / "x"})

    with pytest.raises(SettingsError, match="cannot be written"):
        secrets.token_secret(settings)
    with pytest.raises(SettingsError, match="cannot be written"):
        secrets.first_admin_key(settings)
