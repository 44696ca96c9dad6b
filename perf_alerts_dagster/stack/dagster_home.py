"""The Dagster home in the state folder: the instance's settings and the stack's workspace."""

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

from perf_alerts_dagster.core.errors import StackError
from perf_alerts_dagster.scheduler.names import LOCATION
from perf_alerts_dagster.settings import Settings

TEMPLATE = Path(__file__).with_name("dagster.yaml")

# Linux gives a unix socket's path 108 bytes, other systems 104, the closing zero included.
_LONGEST_SOCKET_PATH = 100
_PLAIN_PATH = re.compile(r"[\w./+-]+", re.ASCII)


def prepare_home(settings: Settings) -> Path:
    """Render the Dagster home that the settings ask for; see `render_home`."""
    url = settings.dagster_database_url
    return render_home(
        settings.state_dir,
        dagster_database_url=url.get_secret_value() if url else None,
        run_max_seconds=settings.run_max_seconds,
    )


def render_home(
    state_dir: Path, *, dagster_database_url: str | None = None, run_max_seconds: int = 900
) -> Path:
    """Write `dagster.yaml` and `workspace.yaml` under the state folder, and return their folder.

    Each file is replaced in one step and only where its text changes, so processes that are
    running may be rendered under. They are readable by their owner alone, since the database
    URL may hold a password.

    Args:
        state_dir: The state folder; made where it is missing.
        dagster_database_url: `postgresql://...`, a driver's name after a `+` is dropped;
            SQLite under the state folder where None.
        run_max_seconds: How long a run may take that has no limit of its own.

    Returns:
        The absolute folder to set as DAGSTER_HOME.

    Raises:
        StackError: The database URL is not PostgreSQL's, or the folder cannot be written.
    """
    home = state_dir.absolute() / "dagster_home"
    storage = _storage(home, dagster_database_url)
    settled, count = re.subn(
        r"(?m)^( +max_runtime_seconds:).*$", rf"\1 {run_max_seconds}", TEMPLATE.read_text()
    )
    if count != 1:
        raise StackError(f"{TEMPLATE} must hold max_runtime_seconds once")
    text = f"{settled}\n{storage}{_folders(home)}"
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(home / "dagster.yaml", text)
        _write(home / "workspace.yaml", _workspace(code_socket(state_dir)))
    except OSError as error:
        raise StackError(f"the state folder {state_dir} cannot be written: {error}") from error
    return home


def code_socket(state_dir: Path) -> Path:
    """Where the code server listens: in the state folder, where a socket's path allows it.

    A path that is too long or holds unusual characters is replaced by one in a folder of the
    user's own for temporary files.
    """
    inside = state_dir.absolute() / "dagster_home" / "code.sock"
    if len(os.fsencode(inside)) <= _LONGEST_SOCKET_PATH and _PLAIN_PATH.fullmatch(str(inside)):
        return inside
    name = hashlib.sha256(os.fsencode(inside)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"perf-alerts-{os.getuid()}" / f"{name}.sock"


def own_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, or close one of ours to others.

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


def _storage(home: Path, url: str | None) -> str:
    if url is None:
        return f"storage:\n  sqlite:\n    base_dir: {_quoted(home)}\n"
    # Named, since SQLAlchemy 2.1 takes psycopg where none is, which Dagster's NOTIFY fails with.
    plain = re.sub(r"^(postgres(ql)?)(\+\w+)?://", "postgresql+psycopg2://", url)
    if not plain.startswith("postgresql+psycopg2://"):
        kind = url.partition("://")[0]
        raise StackError(
            f"ALERT_DAGSTER_DATABASE_URL must start with postgresql://, not {kind!r}; "
            "unset it for SQLite in the state folder"
        )
    return f"storage:\n  postgres:\n    postgres_url: {json.dumps(plain)}\n"


def _folders(home: Path) -> str:
    return (
        "local_artifact_storage:\n"
        "  module: dagster.core.storage.root\n"
        "  class: LocalArtifactStorage\n"
        f"  config:\n    base_dir: {_quoted(home)}\n"
        "compute_logs:\n"
        "  module: dagster.core.storage.local_compute_log_manager\n"
        "  class: LocalComputeLogManager\n"
        f"  config:\n    base_dir: {_quoted(home / 'compute_logs')}\n"
    )


def _workspace(socket: Path) -> str:
    return (
        "load_from:\n"
        "  - grpc_server:\n"
        f"      socket: {_quoted(socket)}\n"
        f"      location_name: {LOCATION}\n"
    )


def _quoted(path: Path) -> str:
    # A JSON string is a YAML string, whatever characters the path holds.
    return json.dumps(str(path))


def _write(target: Path, text: str) -> None:
    if target.is_file() and target.read_text() == text:
        return
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(draft).replace(target)
