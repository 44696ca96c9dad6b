"""What a command may use of a stack that is running over the same state folder.

The stack's files and databases are its own: a command beside it takes its settings, whatever the
shell of the command says.
"""

import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perf_alerts_dagster.bootstrap.records import make_state_dir, migrate_store
from perf_alerts_dagster.core.errors import SettingsError, StackError
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_dagster.settings.model import KNOWN
from perf_alerts_dagster.stack import process_group
from perf_alerts_dagster.stack.dagster_home import (
    StackRunning,
    dagster_yaml,
    holder,
    only_stack,
    prepare_home,
)
from perf_alerts_dagster.stack.stack import CODE_SERVER, withheld

if TYPE_CHECKING:
    import dagster as dg

# Words in the command line of a code server, also of one of the version before.
_CODE_SERVERS = "api grpc"
DATABASES = ("ALERT_DATABASE_URL", "ALERT_DAGSTER_DATABASE_URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """The settings that count, and the variables in which the caller's differ.

    `is_read`: they are those of a running stack, and not the caller's.
    """

    settings: Settings
    differ: Sequence[str] = ()
    is_read: bool = False

    @property
    def warning(self) -> str:
        """One line about them, without a value; empty where none differs."""
        names = ", ".join(self.differ)
        return names and f"the running stack has other settings, and they count: {names}"


def frozen_settings(settings: Settings) -> Frozen:
    """The settings that count beside the running stack over the state folder.

    They are read from its code server's environment; where that cannot be read, such as on a
    system without /proc, the caller's count.
    """
    if holder(settings.state_dir) is None:
        return Frozen(settings=settings)
    mark = process_group.marks_of(settings.state_dir)
    variables = process_group.environment(mark, _CODE_SERVERS)
    if not any(name in variables for name in KNOWN):
        return Frozen(settings=settings)
    frozen = load_settings(variables, dotenv=None)
    ours, theirs = settings.environment(), frozen.environment()
    left_out = {"ALERT_STATE_DIR", *withheld(CODE_SERVER)}
    differ = [name for name in KNOWN if ours[name] != theirs[name] and name not in left_out]
    return Frozen(settings=frozen, differ=differ, is_read=True)


def open_home(settings: Settings) -> tuple[Path, Frozen]:
    """The Dagster home, for a command that works beside a running stack or without one.

    Without one the store is migrated and the home rendered from `settings`. A running stack's
    stay as they are.

    Raises:
        SettingsError: `settings` name another database than the running stack's.
        StackError: The home cannot be written.
        StoreUnavailable: The state folder or the store cannot be used.
    """
    make_state_dir(settings)
    home = settings.state_dir.absolute() / "dagster_home"
    try:
        with only_stack(settings.state_dir):
            prepare_home(settings)
    except StackRunning:
        frozen = frozen_settings(settings)
        ours = settings.environment()
        if others := [name for name in frozen.differ if name in DATABASES and ours[name]]:
            raise SettingsError(
                f"{' and '.join(others)} of this shell and of the stack that runs over "
                f"{settings.state_dir} are different; unset it here, or set ALERT_STATE_DIR to "
                "another folder"
            ) from None
        if not frozen.is_read and Path("/proc/self").exists():
            raise StackError(
                f"the stack over {settings.state_dir} is starting, or waits as a standby; try again"
            ) from None
        return home, frozen
    migrate_store(settings)
    return home, Frozen(settings=settings)


@contextmanager
def open_instance(settings: Settings) -> "Iterator[dg.DagsterInstance]":
    """Dagster's instance, to be looked at: nothing that is missing is made.

    It is the running stack's; without one a copy of the home that leads to the same storage, and
    before the first start to an empty one.

    Raises:
        StackError: Its files or its database are damaged, missing or out of reach; also from
            within the block. The text holds no password.
    """
    import dagster as dg

    # An unreachable server is not waited for without end, nor is each attempt logged.
    os.environ.setdefault("PGCONNECT_TIMEOUT", "10")
    logging.getLogger().addHandler(logging.NullHandler())
    home = settings.state_dir.absolute() / "dagster_home"
    with tempfile.TemporaryDirectory() as copy:
        try:
            # One that has not started yet holds the lock, and may have no home.
            if holder(settings.state_dir) is None or not (home / "dagster.yaml").is_file():
                storage = home if (home / "history" / "runs.db").is_file() else Path(copy)
                home = Path(copy)
                text = dagster_yaml(settings, storage, makes_tables=False)
                (home / "dagster.yaml").write_text(text)
            with dg.DagsterInstance.from_config(str(home)) as instance:
                yield instance
        # Dagster's storages raise errors of any kind.
        except Exception as error:
            raise StackError(_reason(error)) from error


def _reason(error: BaseException) -> str:
    """The database's own words, else the kind of the error: its text may repeat dagster.yaml."""
    cause: BaseException | None = error
    while cause is not None:
        said = getattr(cause, "orig", None) or getattr(cause, "strerror", None)
        if said is not None:
            return (str(said).strip().splitlines() or [type(said).__name__])[0]
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
