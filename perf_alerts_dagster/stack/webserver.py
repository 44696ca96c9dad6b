"""Dagster's web UI behind the guard, on loopback only.

Run as `python -m perf_alerts_dagster.stack.webserver --port N --workspace FILE`. Not
`dagster-webserver`, which has no guard and would listen to the whole network by a
DAGSTER_WEBSERVER_HOST variable.
"""

import argparse
import ipaddress
import os
import secrets
import socket
import sys
import uuid
from collections.abc import Awaitable, Callable
from contextlib import closing
from http import HTTPStatus
from typing import Any

import uvicorn
from dagster import DagsterInstance, __version__
from graphql import GraphQLError, GraphQLFormattedError
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import Pool
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

from perf_alerts_dagster.bootstrap.records import store_url
from perf_alerts_dagster.control.principal import Permission, Principal
from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.core.files import replace_file
from perf_alerts_dagster.scheduler import names
from perf_alerts_dagster.scheduler.dagster_internals import (
    TAGS_TO_MAYBE_OMIT_ON_RETRY,
    DagsterWebserver,
    WorkspaceFileTarget,
    WorkspaceProcessContext,
    WorkspaceRequestContext,
)
from perf_alerts_dagster.scheduler.graphql.client import token_file
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_dagster.stack import ui_mutations
from perf_alerts_dagster.stack.browser_guard import Guard, Refusal, own_hosts, problem
from perf_alerts_dagster.stack.ui_audit import AuditedChanges
from perf_alerts_dagster.stack.ui_login import Login
from perf_alerts_dagster.storage.engine import open_engine

_LOOPBACK = "127.0.0.1"

# As dagster-webserver sets them for its database: statement timeout in ms, recycling in s.
_STATEMENT_TIMEOUT = 15_000
_POOL_RECYCLE = 3600
_POOL_OVERFLOW = 20

# Browsers send the cookies of every program under this host name.
_LARGEST_HEAD = 64 * 1024

# Seconds for open requests at a stop; the UI's websockets never end by themselves.
_GRACE = 3


class UIContext(WorkspaceProcessContext):
    """The code locations, in which a person who may launch nothing sees no working button."""

    def create_request_context(self, source: object | None = None) -> WorkspaceRequestContext:
        """As Dagster's, but read-only for a viewer."""
        person = source.state.person if isinstance(source, HTTPConnection) else None
        return WorkspaceRequestContext(
            instance=self.instance,
            current_workspace=self.get_current_workspace(),
            process_context=self,
            version=self.version,
            source=source,
            read_only=person is not None and Permission.TRIGGER not in person.permissions,
        )


class GuardedWebserver(DagsterWebserver[WorkspaceProcessContext, WorkspaceRequestContext]):
    """Dagster's webserver behind the guard and the login, with an audit of what people change."""

    def __init__(
        self, context: WorkspaceProcessContext, port: int, settings: Settings, token: str
    ) -> None:
        """Serve `context` on `port`; processes of this stack send `token`."""
        self._port = port
        self._settings = settings
        self._token = token
        self._changes = AuditedChanges(open_engine(store_url(settings), wait=10.0), self._name_of)
        super().__init__(context)

    def build_middleware(self) -> list[Middleware]:
        """Dagster's middleware, with the guard and the login in front of it."""
        return [
            Middleware(Guard, hosts=own_hosts(self._port)),
            Middleware(Login, settings=self._settings, token=self._token),
            *super().build_middleware(),
        ]

    async def execute_graphql_request(
        self,
        request: Request,
        query: str,
        variables: dict[str, Any] | None,
        operation_name: str | None,
    ) -> JSONResponse:
        """As Dagster's; what a person changes is permitted and audited, and carries the name."""
        execute = super().execute_graphql_request
        person: Principal | None = request.state.person
        if person is None:
            return await execute(request, query, variables, operation_name)
        schema = self._graphene_schema.graphql_schema
        request_id = uuid.uuid4().hex
        tags = {names.TRIGGERED_BY: person.user_id, names.REQUEST_ID: request_id}
        try:
            wanted = ui_mutations.request_of(schema, query, variables or {}, operation_name)
            if not wanted.changes:
                return await execute(request, query, variables, operation_name)
            text, values = wanted.stamped(schema, tags)
        except GraphQLError:
            # Dagster names the fault.
            return await execute(request, query, variables, operation_name)
        if len(wanted.changes) > ui_mutations.MAXIMUM_FIELDS:
            limit = f"one request makes at most {ui_mutations.MAXIMUM_FIELDS} changes"
            return problem(Refusal(HTTPStatus.BAD_REQUEST, limit))
        if any(change.name == ui_mutations.UNDER_ANOTHER_NAME for change in wanted.changes):
            text = "a backfill is repeated under another person's name: launch a new one"
            return problem(Refusal(HTTPStatus.FORBIDDEN, text))

        async def work() -> JSONResponse:
            return await execute(request, text, values, operation_name)

        return await self._changes.make(request, request_id, wanted.changes, work)

    async def execute_graphql_subscription(
        self,
        websocket: WebSocket,
        operation_id: str,
        query: str,
        variables: dict[str, Any] | None,
        operation_name: str | None,
    ) -> tuple[Any, GraphQLFormattedError | None]:
        """As Dagster's; over a websocket nothing but subscriptions is executed."""
        if not ui_mutations.only_subscribes(query):
            return None, GraphQLError("a websocket is for subscriptions only").formatted
        return await super().execute_graphql_subscription(
            websocket, operation_id, query, variables, operation_name
        )

    async def report_asset_materialization_endpoint(self, request: Request) -> JSONResponse:
        """As Dagster's, for an admin, and audited."""
        return await self._report(request, super().report_asset_materialization_endpoint)

    async def report_asset_check_endpoint(self, request: Request) -> JSONResponse:
        """As Dagster's, for an admin, and audited."""
        return await self._report(request, super().report_asset_check_endpoint)

    async def report_asset_observation_endpoint(self, request: Request) -> JSONResponse:
        """As Dagster's, for an admin, and audited."""
        return await self._report(request, super().report_asset_observation_endpoint)

    async def _report(
        self, request: Request, report: Callable[[Request], Awaitable[JSONResponse]]
    ) -> JSONResponse:
        if request.state.person is None:
            return await report(request)
        name = request.url.path.split("/")[1]
        change = ui_mutations.Change(name=name, key="", arguments=request.path_params)
        return await self._changes.make(
            request, uuid.uuid4().hex, [change], lambda: report(request)
        )

    def _name_of(self, target: str) -> str:
        """The name of the schedule or sensor with this id, which the UI sends; else the id."""
        with self._process_context.create_request_context() as context:
            repositories = [
                repository
                for location in context.code_locations
                for repository in location.get_repositories().values()
            ]
        for repository in repositories:
            # The id of a state holds both ids.
            for schedule in repository.get_schedules():
                if schedule.selector_id in target or schedule.get_remote_origin_id() in target:
                    return schedule.name
            for sensor in repository.get_sensors():
                if sensor.selector_id in target or sensor.get_remote_origin_id() in target:
                    return sensor.name
        return target


def ping(connection: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401 - any driver's
    """Have a pool replace a connection that its database has closed, as by a restart.

    Raises:
        DisconnectionError: it is closed.
    """
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SELECT 1")
        connection.rollback()
    except connection.Error as error:
        raise DisconnectionError from error


def listening(port: int) -> socket.socket:
    """A socket that listens on loopback only.

    Raises:
        OSError: The port is taken.
    """
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((_LOOPBACK, port))
    address = bound.getsockname()[0]
    if not ipaddress.ip_address(address).is_loopback:
        bound.close()
        raise OSError(f"the web UI must listen on loopback only, and got {address}")
    return bound


def main(arguments: list[str]) -> None:
    """Serve the web UI until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m perf_alerts_dagster.stack.webserver")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workspace", required=True)
    options = parser.parse_args(arguments)
    for name in [name for name in os.environ if name.startswith(("DAGSTER_WEBSERVER_", "DAGIT_"))]:
        del os.environ[name]
    try:
        bound = listening(options.port)
    except OSError as error:
        sys.exit(f"the web UI cannot listen on {_LOOPBACK}:{options.port}: {error}")
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(str(error))
    # Dagster pools its connections here without a check, so that the first request after a restart
    # of its PostgreSQL would fail.
    event.listen(Pool, "checkout", ping)
    # A run that is executed again gets its own.
    TAGS_TO_MAYBE_OMIT_ON_RETRY.update(names.OF_ONE_RUN)
    token = secrets.token_urlsafe(32)
    with bound, DagsterInstance.get() as instance:
        replace_file(token_file(settings.state_dir), token)
        instance.optimize_for_webserver(_STATEMENT_TIMEOUT, _POOL_RECYCLE, _POOL_OVERFLOW)
        target = WorkspaceFileTarget([options.workspace])
        with UIContext(instance, target, version=__version__) as context:
            port = bound.getsockname()[1]
            app = GuardedWebserver(context, port, settings, token).create_asgi_app()
            config = uvicorn.Config(
                app,
                log_level="warning",
                proxy_headers=False,
                server_header=False,
                # Any account of this machine connects: it gets the limits of the REST API.
                http="perf_alerts_dagster.http.server:WEB_UI",
                h11_max_incomplete_event_size=_LARGEST_HEAD,
                timeout_graceful_shutdown=_GRACE,
            )
            uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main(sys.argv[1:])
