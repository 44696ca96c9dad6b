"""How each part of the stack shows that it is ready.

Each function makes a probe for `PartSpec.ready`. None of them imports dagster: the supervisor
lives as long as the stack does, and would hold its 100 MB for a few calls.
"""

import asyncio
import http.client
from collections.abc import Callable
from pathlib import Path

import grpc  # type: ignore[import-untyped] # ships no annotations
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # as above

from perf_alerts_dagster.scheduler.graphql import documents
from perf_alerts_dagster.scheduler.graphql.client import connected
from perf_alerts_dagster.scheduler.port import SchedulerError
from perf_alerts_dagster.stack.process import Probe

_SECONDS = 5.0


def code_server(socket: Path) -> Probe:
    """Ready when the server says that it serves: by then it has loaded the code."""

    def check(_started: float) -> bool:
        with grpc.insecure_channel(f"unix:{socket}") as channel:
            request = health_pb2.HealthCheckRequest(service="DagsterApi")
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=_SECONDS)
            except grpc.RpcError:
                return False
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return _in_thread(check)


def http_answer(port: int, path: str, *, host: str = "127.0.0.1") -> Probe:
    """Ready when a GET answers 200."""

    def check(_started: float) -> bool:
        connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return _in_thread(check)


def daemon(webserver_port: int) -> Probe:
    """Ready when each daemon that the instance requires has a heartbeat since its start.

    `healthy` would not do: Dagster leaves it true for 30 minutes after a daemon's end.
    """

    async def probe(started: float) -> bool:
        try:
            async with connected(webserver_port) as client:
                answer = await client.ask(documents.HEARTBEATS, {})
            statuses = answer["instance"]["daemonHealth"]["allDaemonStatuses"]
            required = [one["lastHeartbeatTime"] for one in statuses if one["required"]]
        except (SchedulerError, KeyError, TypeError):
            return False
        return bool(required) and all(beat is not None and beat >= started for beat in required)

    return probe


def _in_thread(check: Callable[[float], bool]) -> Probe:
    async def probe(started: float) -> bool:
        return await asyncio.to_thread(check, started)

    return probe
