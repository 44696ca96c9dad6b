"""How each part of the stack shows that it is ready.

Each function makes a probe for `PartSpec.ready`. None of them imports dagster: the supervisor
lives as long as the stack does, and would hold its 100 MB for a few calls.
"""

import asyncio
import http.client
import json
from collections.abc import Callable
from pathlib import Path

import grpc  # type: ignore[import-untyped] # ships no annotations
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # as above

from perf_alerts_dagster.stack.process import Probe

_SECONDS = 5.0

_HEARTBEATS = """
query Heartbeats {
  instance { daemonHealth { allDaemonStatuses { required lastHeartbeatTime } } }
}
"""


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
    return _in_thread(lambda _started: _call(port, "GET", path, host=host) is not None)


def daemon(webserver_port: int) -> Probe:
    """Ready when each daemon that the instance requires has a heartbeat since its start.

    `healthy` would not do: Dagster leaves it true for 30 minutes after a daemon's end.
    """

    def check(started: float) -> bool:
        body = json.dumps({"query": _HEARTBEATS})
        answer = _call(webserver_port, "POST", "/graphql", body)
        if answer is None:
            return False
        try:
            statuses = json.loads(answer)["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
            required = [s["lastHeartbeatTime"] for s in statuses if s["required"]]
        except (ValueError, KeyError, TypeError):
            return False
        return bool(required) and all(beat is not None and beat >= started for beat in required)

    return _in_thread(check)


def _in_thread(check: Callable[[float], bool]) -> Probe:
    async def probe(started: float) -> bool:
        return await asyncio.to_thread(check, started)

    return probe


def _call(
    port: int, method: str, path: str, body: str | None = None, *, host: str = "127.0.0.1"
) -> bytes | None:
    """The body of a 200 answer, else None."""
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    headers = {"Content-Type": "application/json"} if body else {}
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return text if response.status == http.HTTPStatus.OK else None
