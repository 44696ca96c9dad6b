"""The code server, which loads the definitions again where that is asked or the catalog changed.

`dagster api grpc` answers a request to load them again and does nothing, and `dagster code-server`
does it by one more process of 100 MB. Here it is done in this process: runs and ticks under way go
on, and web UI and daemon, which watch the server's id, show the new ones within seconds.

Run as `python -m perf_alerts_dagster.defs.code_server`, with the arguments of `dagster`.
"""

import logging
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

from dagster import DagsterError

from perf_alerts_dagster.executions.catalog import catalog_file
from perf_alerts_dagster.scheduler.dagster_internals import (
    DagsterApiServer,
    LoadedRepositories,
    ReloadCodeReply,
    create_dagster_cli,
)
from perf_alerts_dagster.settings import load_settings

LOG = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0


class CodeServer(DagsterApiServer):
    """Dagster's, whose definitions can be loaded again."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - those of Dagster
        """Load the definitions, and look every five seconds whether the catalog has changed."""
        self._location = options.get("location_name")
        path = catalog_file(load_settings().state_dir)
        seen = _version(path)
        super().__init__(*arguments, **options)
        threading.Thread(target=self._follow, args=(path, seen), daemon=True).start()

    def ReloadCode(self, _request: object, _context: object) -> ReloadCodeReply:
        """Load the definitions again; where that fails, the caller gets the error."""
        self.load_again()
        return ReloadCodeReply()

    def load_again(self) -> None:
        """Replace the definitions in one step; where they do not load, these stay.

        Raises:
            DagsterError: they do not load.
        """
        origin = self._loadable_target_origin
        name = str(origin.module_name) if origin is not None else ""
        with self._reload_lock:
            before = sys.modules.pop(name, None)
            try:
                loaded = LoadedRepositories(
                    origin,
                    container_image=self._container_image,
                    entry_point=self._entry_point,
                    container_context=self._container_context,
                    defs_state_info=self._defs_state_info,
                    code_location_name=self._location,
                )
            except (DagsterError, SystemExit) as error:
                if before is not None:
                    sys.modules[name] = before
                if isinstance(error, DagsterError):
                    raise
                # It would end the thread alone, whose caller gets no answer.
                raise DagsterError("their module ends the process") from error
            self._loaded_repositories = loaded
            self._serializable_load_error = None
            self._server_id = str(uuid.uuid4())

    def look(self, path: Path, seen: object) -> object:
        """Load the definitions again where a file is no longer what was seen; what it is now."""
        found = _version(path)
        if found != seen:
            try:
                self.load_again()
            except DagsterError as error:
                LOG.warning("the definitions were not loaded again: %s", error.__cause__ or error)
        return found

    def _follow(self, path: Path, seen: object) -> None:
        while not self._server_termination_event.wait(_LOOK_SECONDS):
            seen = self.look(path, seen)


def _version(path: Path) -> object:
    """What changes whenever a file is replaced; None where it is missing."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def main() -> None:
    """Run a command of Dagster, whose code server is this one."""
    # Where its command looks the class up.
    sys.modules[DagsterApiServer.__module__].DagsterApiServer = CodeServer  # type: ignore[attr-defined]
    create_dagster_cli()(prog_name="dagster")  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
