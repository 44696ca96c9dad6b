"""Every internal name of Dagster that this project uses.

A release of Dagster may move or change any of them, so that no other module may import one. The
list states the use of each name, or the consequence of its loss.

- InstigatorType, InstigatorState, InstigatorStatus, ScheduleInstigatorData: whether a schedule or
  the sensor is switched on, since when, and at what times it is due. Without them missed
  executions are not found, a schedule that is switched on after a pause catches up what the pause
  left out on purpose, and `doctor` sees neither a sensor that is off nor a clock that jumped.
- SensorInstigatorData: the sensor's last tick, which is forgotten where the clock was set back;
  without it the sensor is silent until that time.
- TickStatus: a tick that failed did not start the execution that was due.
- schedule_execution_time_iterator: the due times of a cron schedule in its timezone, as Dagster's
  own scheduler counts them over the changes of daylight saving.
- SCHEDULE_NAME_TAG: which schedule started a run; without it a scheduled run counts as a person's.
- PARTITION_NAME_TAG: the as-of date that `perf-alerts run --as-of` asks for.
- TAGS_TO_MAYBE_OMIT_ON_RETRY: the tags that a run which is executed again does not copy; without
  it the outcome of the first run and who asked for it would stand on the second.
- WILL_RETRY_TAG: a failed run that Dagster runs again by itself is not reported yet.
- GRPC_INFO_TAG: which code server started a run, so that only orphaned runs of this machine are
  ended.
- JobFailureData, RunFailureReason: that a run's process was killed, which is why Dagster runs it
  again.
- ReconstructableRepository: the jobs by the name of their module, as `perf-alerts run` executes
  them in a process of its own.
- WorkspaceProcessContext, WorkspaceRequestContext, WorkspaceFileTarget: the code locations that
  the web UI shows.
- DagsterWebserver: the web UI, whose `build_middleware` puts the guard in front of it.
- DagsterApiServer, LoadedRepositories, ReloadCodeReply, create_dagster_cli: the code server, which
  loads the definitions again in its own process; without them a reload changes nothing.
- DAEMON_MODULE: what `python -m` starts as the daemon.

A name is loaded when it is first imported from here: the supervisor needs DAEMON_MODULE and no
Dagster, and the definitions need no webserver.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagster._cli import create_dagster_cli as create_dagster_cli
    from dagster._core.definitions.reconstruct import (
        ReconstructableRepository as ReconstructableRepository,
    )
    from dagster._core.definitions.run_request import InstigatorType as InstigatorType
    from dagster._core.events import JobFailureData as JobFailureData
    from dagster._core.events import RunFailureReason as RunFailureReason
    from dagster._core.scheduler.instigation import InstigatorState as InstigatorState
    from dagster._core.scheduler.instigation import InstigatorStatus as InstigatorStatus
    from dagster._core.scheduler.instigation import ScheduleInstigatorData as ScheduleInstigatorData
    from dagster._core.scheduler.instigation import SensorInstigatorData as SensorInstigatorData
    from dagster._core.scheduler.instigation import TickStatus as TickStatus
    from dagster._core.storage.tags import GRPC_INFO_TAG as GRPC_INFO_TAG
    from dagster._core.storage.tags import PARTITION_NAME_TAG as PARTITION_NAME_TAG
    from dagster._core.storage.tags import SCHEDULE_NAME_TAG as SCHEDULE_NAME_TAG
    from dagster._core.storage.tags import (
        TAGS_TO_MAYBE_OMIT_ON_RETRY as TAGS_TO_MAYBE_OMIT_ON_RETRY,
    )
    from dagster._core.storage.tags import WILL_RETRY_TAG as WILL_RETRY_TAG
    from dagster._core.workspace.context import WorkspaceProcessContext as WorkspaceProcessContext
    from dagster._core.workspace.context import WorkspaceRequestContext as WorkspaceRequestContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget as WorkspaceFileTarget
    from dagster._grpc.__generated__.dagster_api_pb2 import ReloadCodeReply as ReloadCodeReply
    from dagster._grpc.server import DagsterApiServer as DagsterApiServer
    from dagster._grpc.server import LoadedRepositories as LoadedRepositories
    from dagster._utils.schedules import (
        schedule_execution_time_iterator as schedule_execution_time_iterator,
    )
    from dagster_webserver.webserver import DagsterWebserver as DagsterWebserver

DAEMON_MODULE = "dagster._daemon"

# The module of each name; the imports above are for the type checker.
HOMES = {
    "ReconstructableRepository": "dagster._core.definitions.reconstruct",
    "InstigatorType": "dagster._core.definitions.run_request",
    "JobFailureData": "dagster._core.events",
    "RunFailureReason": "dagster._core.events",
    "InstigatorState": "dagster._core.scheduler.instigation",
    "InstigatorStatus": "dagster._core.scheduler.instigation",
    "ScheduleInstigatorData": "dagster._core.scheduler.instigation",
    "SensorInstigatorData": "dagster._core.scheduler.instigation",
    "TickStatus": "dagster._core.scheduler.instigation",
    "GRPC_INFO_TAG": "dagster._core.storage.tags",
    "PARTITION_NAME_TAG": "dagster._core.storage.tags",
    "SCHEDULE_NAME_TAG": "dagster._core.storage.tags",
    "TAGS_TO_MAYBE_OMIT_ON_RETRY": "dagster._core.storage.tags",
    "WILL_RETRY_TAG": "dagster._core.storage.tags",
    "WorkspaceProcessContext": "dagster._core.workspace.context",
    "WorkspaceRequestContext": "dagster._core.workspace.context",
    "WorkspaceFileTarget": "dagster._core.workspace.load_target",
    "schedule_execution_time_iterator": "dagster._utils.schedules",
    "DagsterApiServer": "dagster._grpc.server",
    "LoadedRepositories": "dagster._grpc.server",
    "ReloadCodeReply": "dagster._grpc.__generated__.dagster_api_pb2",
    "create_dagster_cli": "dagster._cli",
    "DagsterWebserver": "dagster_webserver.webserver",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - each name has the type that it is imported with
    """Import a name of Dagster at its first use."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    value = globals()[name] = getattr(import_module(HOMES[name]), name)
    return value
