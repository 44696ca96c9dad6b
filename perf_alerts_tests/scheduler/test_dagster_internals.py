"""What of Dagster's inside this project stands on: a release that moves it fails here, by name."""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.instance.runs import run_domain
from dagster._core.storage.schedules.base import ScheduleStorage

import perf_alerts_dagster
from perf_alerts_dagster.scheduler import dagster_internals as internals

ROOT = Path(perf_alerts_dagster.__file__).parent
THE_ONE = Path(internals.__file__)
# `dagster._core`, `dagster_graphql._x`, and all of the webserver, which is no library.
INSIDE = re.compile(r"\bdagster(_\w+)?(\.\w+)*\._[a-z]|\bdagster_webserver\b")
# The project's own name holds Dagster's.
OURS = re.compile(r"\bperf_alerts_dagster[\w.]*")


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module and name that is imported, with its dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{one.name}" for one in node.names)


def reached(tree: ast.AST) -> Iterator[str]:
    """Every dotted name in the code that begins at Dagster."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            yield re.sub(r"^dg\b", "dagster", name)


def quoted(tree: ast.AST) -> Iterator[str]:
    """Every text in the code that is no docstring: modules are also named in command lines."""
    spoken: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            spoken |= {one.value for one in node.body[:1] if isinstance(one, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in spoken:
            yield node.value


def inside(source: str) -> list[str]:
    tree = ast.parse(source)
    names = [*imported(tree), *reached(tree), *quoted(tree)]
    return sorted({one for one in names if INSIDE.search(OURS.sub("", one))})


@pytest.mark.parametrize(
    "source",
    [
        "import dagster._core",
        "import dagster._core.events as e",
        "from dagster import _core",
        "def f():\n    from dagster._core.events import JobFailureData",
        "from dagster_graphql._x import y",
        "from dagster_webserver.webserver import DagsterWebserver",
        "import dagster\ndagster._core.events",
        "import dagster as dg\ndg._core",
        "run('dagster._daemon')",
    ],
)
def test_a_private_name_is_found_however_it_is_reached(source: str) -> None:
    assert inside(source) != []


def test_a_public_name_and_our_own_are_no_private_ones() -> None:
    source = (
        '"""Not dagster-webserver, nor dagster._core."""\n'
        "import dagster as dg\nfrom dagster import RunRecord\n"
        "from perf_alerts_dagster._x import y\ndg.RunsFilter"
    )

    assert inside(source) == []


def test_one_module_alone_reaches_into_dagster() -> None:
    found = {
        str(path.relative_to(ROOT)): inside(path.read_text())
        for path in sorted(ROOT.rglob("*.py"))
        if path != THE_ONE
    }

    assert {path: names for path, names in found.items() if names} == {}, (
        f"import it from {internals.__name__}, and say there what it is for"
    )


def test_types_are_checked_against_the_very_names_that_are_loaded() -> None:
    tree = ast.parse(THE_ONE.read_text())
    found = dict(
        (name, module) for module, _, name in (one.rpartition(".") for one in imported(tree))
    )

    assert {name: found.get(name) for name in internals.HOMES} == internals.HOMES
    inside = {name: module for name, module in found.items() if INSIDE.search(module)}
    assert inside == internals.HOMES


def test_it_is_said_of_every_name_what_it_is_for() -> None:
    said = internals.__doc__ or ""

    assert [one for one in (*internals.HOMES, "DAEMON_MODULE") if one not in said] == []


def test_the_module_itself_loads_no_dagster() -> None:
    code = (
        "import sys\n"
        "from perf_alerts_dagster.scheduler.dagster_internals import DAEMON_MODULE\n"
        "print('dagster' in sys.modules)"
    )

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "False"


def test_the_definitions_load_no_webserver() -> None:
    code = (
        "import sys, perf_alerts_dagster.definitions\n"
        "heavy = {'dagster_webserver', 'dagster._core.workspace.context', 'starlette', 'uvicorn'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "[]"


def test_a_name_that_it_does_not_have_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no attribute nonsense"):
        internals.nonsense  # noqa: B018


def takes(function: Any, *names: str) -> bool:
    """Whether it can be called with these parameters, in this order from its first one on."""
    found = [one for one in inspect.signature(function).parameters if one != "self"]
    return found[: len(names)] == list(names)


def accepts(function: Any, *names: str) -> bool:
    """Whether it has these parameters by name."""
    return set(names) <= set(inspect.signature(function).parameters)


def fields(cls: Any, *names: str) -> bool:
    return set(names) <= set(dir(cls)) | set(inspect.signature(cls).parameters)


def members(enum: Any, *names: str) -> bool:
    return set(names) <= {one.name for one in enum}


def due_times() -> bool:
    noon = datetime(2026, 3, 9, 12, tzinfo=UTC)
    earlier = internals.schedule_execution_time_iterator(
        noon.timestamp(), ["0 17 * * *"], "America/New_York", ascending=False
    )
    # The clocks went forward on the 8th.
    found = [next(earlier).astimezone(UTC) for _ in range(2)]
    return found == [datetime(2026, 3, 8, 21, tzinfo=UTC), datetime(2026, 3, 7, 22, tzinfo=UTC)]


def commands_of_the_server() -> bool:
    make: Callable[[], Any] = internals.create_dagster_cli
    return "grpc" in make().commands["api"].commands


SCHEDULED = "missed executions are not found, and doctor does not see a schedule's clock or switch"
DEAD = "a run whose process was killed is not run again"
RELOAD = "a new strategy is not in Dagster's catalog until the stack is started again"
WEB = "the web UI does not start behind its guard"
NAMES: dict[str, tuple[str, Callable[[], bool]]] = {
    "InstigatorType": (
        SCHEDULED,
        lambda: members(internals.InstigatorType, "SCHEDULE", "SENSOR"),
    ),
    "InstigatorState": (
        SCHEDULED,
        lambda: (
            fields(
                internals.InstigatorState,
                *("instigator_name", "instigator_origin_id", "selector_id", "status"),
                "instigator_data",
            )
            and takes(internals.InstigatorState.with_data, "instigator_data")
        ),
    ),
    "InstigatorStatus": (
        SCHEDULED,
        lambda: members(internals.InstigatorStatus, "RUNNING", "STOPPED", "DECLARED_IN_CODE"),
    ),
    "ScheduleInstigatorData": (
        SCHEDULED,
        lambda: accepts(
            internals.ScheduleInstigatorData,
            *("cron_schedule", "start_timestamp", "last_iteration_timestamp"),
        ),
    ),
    "SensorInstigatorData": (
        "the sensor is silent after the clock was set back",
        lambda: accepts(
            internals.SensorInstigatorData, "last_tick_timestamp", "last_tick_start_timestamp"
        ),
    ),
    "TickStatus": (
        "a tick that failed counts as an execution",
        lambda: members(internals.TickStatus, "FAILURE"),
    ),
    "schedule_execution_time_iterator": (
        "the due time of a missed execution is wrong or is not known",
        due_times,
    ),
    "SCHEDULE_NAME_TAG": (
        "a scheduled run counts as a person's",
        lambda: internals.SCHEDULE_NAME_TAG == "dagster/schedule_name",
    ),
    "PARTITION_NAME_TAG": (
        "`perf-alerts run --as-of` judges another date",
        lambda: internals.PARTITION_NAME_TAG == "dagster/partition",
    ),
    "WILL_RETRY_TAG": (
        "people hear of a failed execution that is run again by itself",
        lambda: internals.WILL_RETRY_TAG == "dagster/will_retry",
    ),
    "TAGS_TO_MAYBE_OMIT_ON_RETRY": (
        "a run that is executed again keeps the outcome of the first one and who asked for it",
        lambda: (
            isinstance(internals.TAGS_TO_MAYBE_OMIT_ON_RETRY, set)
            and vars(run_domain)["TAGS_TO_MAYBE_OMIT_ON_RETRY"]
            is internals.TAGS_TO_MAYBE_OMIT_ON_RETRY
        ),
    ),
    "GRPC_INFO_TAG": (
        "dead runs that never began are not ended",
        lambda: internals.GRPC_INFO_TAG == ".dagster/grpc_info",
    ),
    "JobFailureData": (
        DEAD,
        lambda: accepts(internals.JobFailureData, "error", "failure_reason"),
    ),
    "RunFailureReason": (
        DEAD,
        lambda: members(internals.RunFailureReason, "UNEXPECTED_TERMINATION"),
    ),
    "ReconstructableRepository": (
        "`perf-alerts run` cannot execute",
        lambda: (
            takes(internals.ReconstructableRepository.for_module, "module", "fn_name")
            and takes(internals.ReconstructableRepository.get_reconstructable_job, "name")
        ),
    ),
    "WorkspaceProcessContext": (
        WEB,
        lambda: (
            takes(internals.WorkspaceProcessContext, "instance", "workspace_load_target")
            and accepts(internals.WorkspaceProcessContext, "version")
            and hasattr(internals.WorkspaceProcessContext, "__exit__")
        ),
    ),
    "WorkspaceRequestContext": (
        WEB,
        lambda: accepts(
            internals.WorkspaceRequestContext,
            *("instance", "current_workspace", "process_context", "version", "source"),
            "read_only",
        ),
    ),
    "WorkspaceFileTarget": (
        WEB,
        lambda: internals.WorkspaceFileTarget(["workspace.yaml"]).paths == ["workspace.yaml"],
    ),
    "DagsterApiServer": (
        RELOAD,
        lambda: (
            takes(internals.DagsterApiServer.ReloadCode, "_request", "_context")
            and accepts(
                internals.DagsterApiServer,
                *("server_termination_event", "loadable_target_origin", "location_name"),
            )
            and vars(import_module("dagster._grpc.server"))["DagsterApiServer"]
            is internals.DagsterApiServer
        ),
    ),
    "LoadedRepositories": (
        RELOAD,
        lambda: takes(
            internals.LoadedRepositories,
            *("loadable_target_origin", "container_image", "entry_point", "container_context"),
            *("defs_state_info", "code_location_name"),
        ),
    ),
    "ReloadCodeReply": (
        RELOAD,
        lambda: internals.ReloadCodeReply().SerializeToString() == b"",
    ),
    "create_dagster_cli": (
        "the code server does not start",
        commands_of_the_server,
    ),
    "DagsterWebserver": (
        WEB,
        lambda: (
            takes(internals.DagsterWebserver, "process_context")
            and takes(internals.DagsterWebserver.build_middleware)
            and takes(internals.DagsterWebserver.create_asgi_app)
            and hasattr(internals.DagsterWebserver, "__class_getitem__")
            and takes(
                internals.DagsterWebserver.execute_graphql_request,
                *("request", "query", "variables", "operation_name"),
            )
            and takes(
                internals.DagsterWebserver.execute_graphql_subscription,
                *("websocket", "operation_id", "query", "variables", "operation_name"),
            )
            and all(
                takes(
                    getattr(internals.DagsterWebserver, f"report_asset_{kind}_endpoint"), "request"
                )
                for kind in ("materialization", "check", "observation")
            )
        ),
    ),
}


@pytest.mark.parametrize("name", internals.HOMES)
def test_what_a_private_name_is_needed_for_still_works(name: str) -> None:
    breaks, holds = NAMES[name]
    home = internals.HOMES[name]

    assert hasattr(import_module(home), name), f"{home} has no {name} any more: {breaks}"
    assert holds(), f"{home}.{name} is not what it was: {breaks}"


def test_the_daemon_is_still_a_module_that_runs() -> None:
    assert find_spec(f"{internals.DAEMON_MODULE}.__main__") is not None, (
        f"python -m {internals.DAEMON_MODULE} starts nothing: the stack has no daemon"
    )


INSTANCE: dict[str, tuple[str, tuple[str, ...]]] = {
    "all_instigator_state": (SCHEDULED, ("instigator_type", "instigator_statuses")),
    "get_ticks": (SCHEDULED, ("origin_id", "selector_id", "after", "limit")),
    "update_instigator_state": ("`doctor --mend` does not bring a clock back", ("state",)),
    "get_daemon_heartbeats": ("doctor does not see a dead daemon", ()),
    "get_required_daemon_types": ("doctor does not see a dead daemon", ()),
    "get_runs": ("failed executions are not reported", ("filters", "limit")),
    "report_run_failed": (DEAD, ("dagster_run", "message", "job_failure_data")),
    "report_run_canceled": (DEAD, ("dagster_run", "message")),
    "add_run_tags": ("a run shows neither attempts, error nor outcome", ("run_id", "new_tags")),
    "optimize_for_webserver": (WEB, ("statement_timeout", "pool_recycle", "max_overflow")),
}


@pytest.mark.parametrize("name", INSTANCE)
def test_what_an_instance_answers_beside_its_public_methods_is_still_there(name: str) -> None:
    breaks, parameters = INSTANCE[name]

    assert hasattr(dg.DagsterInstance, name), f"DagsterInstance.{name} is gone: {breaks}"
    assert accepts(getattr(dg.DagsterInstance, name), *parameters), (
        f"DagsterInstance.{name} takes other parameters: {breaks}"
    )


def test_ticks_can_still_be_purged() -> None:
    assert accepts(ScheduleStorage.purge_ticks, "origin_id", "selector_id", "before"), (
        "`doctor --mend` does not bring a clock back"
    )
