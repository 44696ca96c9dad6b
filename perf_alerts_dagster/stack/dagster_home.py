"""The Dagster home in the state folder, and the lock of the one stack that may use it."""

import fcntl
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pydantic import SecretStr

from perf_alerts_dagster.core.errors import StackError
from perf_alerts_dagster.core.files import replace_file
from perf_alerts_dagster.scheduler.names import LOCATION
from perf_alerts_dagster.settings import Settings

TEMPLATE = Path(__file__).with_name("dagster.yaml")

# Linux gives a unix socket's path 108 bytes, other systems 104, the closing zero included.
_LONGEST_SOCKET_PATH = 100
_LOCK = "up.lock"
_LOCK_TRIES = 20
_LOCK_PAUSE = 0.05
_PLAIN_PATH = re.compile(r"[\w./+-]+", re.ASCII)


class StackRunning(StackError):
    """Another process holds the state folder."""


def prepare_home(settings: Settings) -> Path:
    """Write `dagster.yaml` and `workspace.yaml` under the state folder; the path for DAGSTER_HOME.

    Its caller holds `only_stack`: a running stack's files are its own. Each file is replaced in
    one step and only where its text changes. They are readable by their owner alone, since the
    database URL may hold a password.

    Raises:
        StackError: The folder cannot be written.
    """
    home = settings.state_dir.absolute() / "dagster_home"
    server = {"socket": str(code_socket(settings.state_dir)), "location_name": LOCATION}
    try:
        own_folder(home)
        _write(home / "dagster.yaml", dagster_yaml(settings, home))
        _write(home / "workspace.yaml", _yaml(load_from=[{"grpc_server": server}]))
    except OSError as error:
        raise StackError(
            f"the state folder {settings.state_dir} cannot be written: {error}"
        ) from error
    return home


def dagster_yaml(settings: Settings, storage: Path, *, makes_tables: bool = True) -> str:
    """The text of `dagster.yaml`, with Dagster's storage in a folder where it is SQLite.

    `makes_tables`: whether opening it makes the tables that a PostgreSQL database lacks.
    """
    template, count = re.subn(
        r"(?m)^( +max_runtime_seconds:).*$",
        rf"\1 {settings.run_max_seconds}",
        TEMPLATE.read_text(),
    )
    if count != 1:
        raise StackError(f"{TEMPLATE} must hold max_runtime_seconds once")
    return f"{template}\n{_storages(_plain(storage), settings.dagster_database_url, makes_tables)}"


def _plain(home: Path) -> Path:
    """The home, by a link where Dagster would read its path as an escape or a query of a URL."""
    if not re.search("[%?]", str(home)):
        return home
    link = _short_folder() / hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    own_folder(link.parent)
    if not (link.is_symlink() and link.readlink() == home):
        link.unlink(missing_ok=True)
        link.symlink_to(home)
    return link


def _short_folder() -> Path:
    """A folder of this user for what cannot be under the state folder's path."""
    return Path(tempfile.gettempdir()) / f"perf-alerts-{os.getuid()}"


def code_socket(state_dir: Path) -> Path:
    """The path of the code server's socket, in the state folder.

    Where it is too long or holds unusual characters, it is in a temporary folder of the user.
    """
    inside = state_dir.absolute() / "dagster_home" / "code.sock"
    if len(os.fsencode(inside)) <= _LONGEST_SOCKET_PATH and _PLAIN_PATH.fullmatch(str(inside)):
        return inside
    name = hashlib.sha256(os.fsencode(inside)).hexdigest()[:16]
    return _short_folder() / f"{name}.sock"


def own_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, or restrict an existing one to this user.

    Raises:
        StackError: It is somebody else's, or no folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except FileExistsError as error:
        raise StackError(f"{folder} must be a folder") from error
    if folder.is_symlink() or folder.lstat().st_uid != os.getuid():
        raise StackError(f"{folder} must be a folder of yours; remove it, or move the state folder")
    folder.chmod(0o700)


@contextmanager
def only_stack(state_dir: Path) -> Iterator[None]:
    """Lock the state folder; the kernel releases the lock when this process ends.

    Raises:
        StackRunning: Another process holds it.
        StackError: It cannot be written.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (state_dir / _LOCK).open("a+")
    except OSError as error:
        raise StackError(
            f"the state folder {state_dir} cannot be written: {error.strerror}; "
            "give this user the folder, or set ALERT_STATE_DIR to another one"
        ) from error
    with lock as file:
        # Commands that only look, or render the home, hold it for a moment.
        for _ in range(_LOCK_TRIES):
            if _locked(file, fcntl.LOCK_EX):
                break
            time.sleep(_LOCK_PAUSE)
        else:
            file.seek(0)
            raise StackRunning(
                f"perf-alerts is already up over {state_dir}, in process {file.read().strip()}; "
                "stop that one, or set ALERT_STATE_DIR to another folder"
            )
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def holder(state_dir: Path) -> int | None:
    """The process of the stack that runs over a state folder; None without one. Changes nothing."""
    try:
        with (state_dir / _LOCK).open() as file:
            return None if _locked(file, fcntl.LOCK_SH) else int(file.read() or 0)
    except (OSError, ValueError):
        return None


def _locked(file: TextIO, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _storages(home: Path, url: SecretStr | None, makes_tables: bool) -> str:
    """Dagster's storage of runs, results and logs, as lines of `dagster.yaml`."""
    folder = {"base_dir": str(home)}
    if url is None:
        storage: dict[str, dict[str, object]] = {"sqlite": {**folder}}
    else:
        # Explicit, since SQLAlchemy 2.1 defaults to psycopg, with which Dagster's NOTIFY fails.
        named = re.sub(r"^[^:]+(?=://)", "postgresql+psycopg2", url.get_secret_value())
        storage = {"postgres": {"postgres_url": named}}
        if not makes_tables:
            storage["postgres"]["should_autocreate_tables"] = False
    return _yaml(
        storage=storage,
        local_artifact_storage={
            "module": "dagster.core.storage.root",
            "class": "LocalArtifactStorage",
            "config": folder,
        },
        compute_logs={
            "module": "dagster.core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(home / "compute_logs")},
        },
    )


def _yaml(**entries: object) -> str:
    # JSON is YAML, whatever characters a path holds.
    return "".join(f"{name}: {json.dumps(entry)}\n" for name, entry in entries.items())


def _write(target: Path, text: str) -> None:
    if not target.is_file() or target.read_text() != text:
        replace_file(target, text)
