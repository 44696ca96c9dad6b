"""The Dagster home in the state folder, and the lock of the one stack that may use it."""

import fcntl
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from perf_alerts_dagster.core.errors import StackError
from perf_alerts_dagster.core.files import replace_file
from perf_alerts_dagster.scheduler.names import LOCATION
from perf_alerts_dagster.settings import Settings

TEMPLATE = Path(__file__).with_name("dagster.yaml")

# Linux gives a unix socket's path 108 bytes, other systems 104, the closing zero included.
_LONGEST_SOCKET_PATH = 100
_PLAIN_PATH = re.compile(r"[\w./+-]+", re.ASCII)


def prepare_home(settings: Settings) -> Path:
    """Write `dagster.yaml` and `workspace.yaml` under the state folder; the path for DAGSTER_HOME.

    Each file is replaced in one step and only where its text changes, so this is safe while
    processes read them. They are readable by their owner alone, since the database URL may hold
    a password.

    Raises:
        StackError: The folder cannot be written.
    """
    home = settings.state_dir.absolute() / "dagster_home"
    template, count = re.subn(
        r"(?m)^( +max_runtime_seconds:).*$",
        rf"\1 {settings.run_max_seconds}",
        TEMPLATE.read_text(),
    )
    if count != 1:
        raise StackError(f"{TEMPLATE} must hold max_runtime_seconds once")
    server = {"socket": str(code_socket(settings.state_dir)), "location_name": LOCATION}
    text = f"{template}\n{_storages(home, settings.dagster_database_url)}"
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(home / "dagster.yaml", text)
        _write(home / "workspace.yaml", _yaml(load_from=[{"grpc_server": server}]))
    except OSError as error:
        raise StackError(
            f"the state folder {settings.state_dir} cannot be written: {error}"
        ) from error
    return home


def code_socket(state_dir: Path) -> Path:
    """The path of the code server's socket, in the state folder.

    Where it is too long or holds unusual characters, it is in a temporary folder of the user.
    """
    inside = state_dir.absolute() / "dagster_home" / "code.sock"
    if len(os.fsencode(inside)) <= _LONGEST_SOCKET_PATH and _PLAIN_PATH.fullmatch(str(inside)):
        return inside
    name = hashlib.sha256(os.fsencode(inside)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"perf-alerts-{os.getuid()}" / f"{name}.sock"


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
        StackError: Another process holds it, or it cannot be written.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = (state_dir / "up.lock").open("a+")
    except OSError as error:
        raise StackError(
            f"the state folder {state_dir} cannot be written: {error.strerror}; "
            "give this user the folder, or set ALERT_STATE_DIR to another one"
        ) from error
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise StackError(
                f"perf-alerts is already up over {state_dir}, in process {file.read().strip()}; "
                "stop that one, or set ALERT_STATE_DIR to another folder"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _storages(home: Path, url: SecretStr | None) -> str:
    """Dagster's storage of runs, results and logs, as lines of `dagster.yaml`."""
    folder = {"base_dir": str(home)}
    if url is None:
        storage: dict[str, object] = {"sqlite": folder}
    else:
        # Explicit, since SQLAlchemy 2.1 defaults to psycopg, with which Dagster's NOTIFY fails.
        named = re.sub(r"^[^:]+(?=://)", "postgresql+psycopg2", url.get_secret_value())
        storage = {"postgres": {"postgres_url": named}}
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
