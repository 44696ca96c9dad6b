"""The code server loads the definitions again where that is asked, or the catalog changed."""

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import dagster as dg
import pytest
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from perf_alerts_dagster.core.files import replace_file
from perf_alerts_dagster.defs import code_server
from perf_alerts_dagster.defs.catalog import strategy_asset
from perf_alerts_dagster.defs.code_server import CodeServer
from perf_alerts_dagster.executions.catalog import catalog_file
from perf_alerts_dagster.scheduler.names import DEFINITIONS


def list_strategies(state: Path, *names: str) -> None:
    entries = [{"name": name, "group": None, "owner": None, "is_group": False} for name in names]
    replace_file(catalog_file(state), json.dumps({"left_out": 0, "strategies": entries}))


def eventually(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


class Served:
    """A code server in this process, without its socket."""

    def __init__(self, state: Path) -> None:
        # As in a new process.
        sys.modules.pop(DEFINITIONS, None)
        self.state = state
        self.over = Event()
        self.server: Any = CodeServer(
            server_termination_event=self.over,
            logger=logging.getLogger("test"),
            server_threadpool_executor=ThreadPoolExecutor(1),
            loadable_target_origin=LoadableTargetOrigin(module_name=DEFINITIONS),
            location_name="perf_alerts",
        )

    def has(self, name: str) -> bool:
        (repository,) = self.server._loaded_repositories.definitions_by_name.values()
        return strategy_asset(name) in repository.asset_graph.get_all_asset_keys()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("ALERT_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(code_server, "_LOOK_SECONDS", 3600.0)
    list_strategies(tmp_path, "trend")
    with dg.instance_for_test():
        made = Served(tmp_path)
        yield made
        made.over.set()
        made.server.cleanup()


def test_a_reload_loads_the_definitions_again_and_gives_the_server_a_new_id(
    served: Served,
) -> None:
    before = served.server._server_id
    assert served.has("trend")
    list_strategies(served.state, "carry")

    served.server.ReloadCode(None, None)

    assert served.has("carry")
    assert not served.has("trend")
    assert served.server._server_id != before


def test_definitions_that_do_not_load_leave_those_that_are_there(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = served.server._server_id
    list_strategies(served.state, "carry")
    monkeypatch.setenv("ALERT_TIMEZONE", "Mars/Olympus")

    with pytest.raises(dg.DagsterError, match="loading of Dagster definitions"):
        served.server.ReloadCode(None, None)
    assert served.has("trend")
    assert served.server._server_id == before

    monkeypatch.delenv("ALERT_TIMEZONE")
    served.server.ReloadCode(None, None)
    assert served.has("carry")


def test_a_change_of_the_catalog_loads_the_definitions_again_once_and_a_failure_is_a_warning(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = catalog_file(served.state)
    loads: list[str] = []
    load_again = CodeServer.load_again

    def counted(self: CodeServer) -> None:
        loads.append(path.read_text())
        load_again(self)

    monkeypatch.setattr(CodeServer, "load_again", counted)
    seen = served.server.look(path, code_server._version(path))
    list_strategies(served.state, "carry")
    seen = served.server.look(path, served.server.look(path, seen))
    monkeypatch.setenv("ALERT_TIMEZONE", "Mars/Olympus")
    list_strategies(served.state, "vol")
    served.server.look(path, served.server.look(path, seen))

    assert len(loads) == 2
    assert served.has("carry")
    assert "the definitions were not loaded again: ALERT_TIMEZONE" in caplog.text


def test_a_module_that_ends_the_process_gets_the_caller_an_error(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ends.py").write_text("raise SystemExit(3)")
    # Not first, where Dagster takes a script's own folder out.
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    origin = LoadableTargetOrigin(module_name="ends")
    monkeypatch.setattr(served.server, "_loadable_target_origin", origin)

    with pytest.raises(dg.DagsterError, match="their module ends the process"):
        served.server.ReloadCode(None, None)
    assert served.has("trend")


def test_the_thread_of_a_server_sees_a_change_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(code_server, "_LOOK_SECONDS", 0.05)
    with dg.instance_for_test():
        served = Served(tmp_path)
        assert not served.has("trend")
        list_strategies(tmp_path, "trend")

        eventually(lambda: served.has("trend"))

        served.over.set()
        served.server.cleanup()
