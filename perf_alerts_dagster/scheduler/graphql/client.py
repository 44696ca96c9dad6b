"""Requests to Dagster's GraphQL, each within a time budget, and their errors."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import httpx

from perf_alerts_dagster.scheduler.port import (
    SchedulerHung,
    SchedulerUnexpected,
    SchedulerUnreachable,
)

# The webserver closes an idle connection after 5 s; older ones are not reused.
_IDLE_SECONDS = 2.0
_CONNECTIONS = 20
_LARGEST_ANSWER = 32 * 1024 * 1024
# Dagster answers 500 with a typed error where its code server is down.
_ANSWERED = (200, 500)
# The webserver's token of this start, by which it knows our own processes.
TOKEN_HEADER = "X-Perf-Alerts-Process"  # noqa: S105 - the name of a header
# No connection was made, so nothing was sent.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """Seconds for a connection, and for the whole of a read or of a launch."""

    connect: float = 1.0
    read: float = 5.0
    launch: float = 10.0

    @classmethod
    def within(cls, seconds: float) -> Self:
        """A launch may take so long, a read half of it."""
        return cls(read=seconds / 2, launch=seconds)


def token_file(state_dir: Path) -> Path:
    """The file with the webserver's token, which it writes at each start for its own user."""
    return state_dir.absolute() / "dagster_home" / "ui_token"


class GraphQLClient:
    """Sends requests to Dagster's webserver, over connections that it owns."""

    def __init__(
        self, url: str, budgets: Budgets | None = None, *, token_file: Path | None = None
    ) -> None:
        """Prepare access to `url`, the webserver's root; nothing is connected or read yet.

        `token_file` holds the token of a webserver behind the login; None sends none.
        """
        self._budgets = budgets or Budgets()
        self._token_file = token_file
        self._token = ""
        self._http = httpx.AsyncClient(
            base_url=url,
            timeout=httpx.Timeout(self._budgets.launch, connect=self._budgets.connect),
            limits=httpx.Limits(
                max_connections=_CONNECTIONS,
                max_keepalive_connections=_CONNECTIONS,
                keepalive_expiry=_IDLE_SECONDS,
            ),
            # Loopback is plain HTTP without a proxy: the environment's proxy variables do not
            # apply, and reading the authorities' certificates would take 50 ms.
            trust_env=False,
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def ask(
        self, document: str, variables: Mapping[str, Any], *, launching: bool = False
    ) -> dict[str, Any]:
        """The `data` of the answer, within the budget.

        `launching` gives a request that starts processes its longer budget.

        Only what the webserver's login refused, so that nothing ran, is sent again: with the
        token of a webserver that was started meanwhile.

        Raises:
            SchedulerUnreachable: nothing answers, the connection broke, or it refuses our token.
            SchedulerHung: there was no whole answer in time.
            SchedulerUnexpected: the answer is no GraphQL data.
        """
        seconds = self._budgets.launch if launching else self._budgets.read
        body = json.dumps({"query": document, "variables": variables}, allow_nan=False)
        try:
            async with asyncio.timeout(seconds):
                status, answer = await self._send(body)
                if status == HTTPStatus.UNAUTHORIZED and self._read_token():
                    status, answer = await self._send(body)
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout) as error:
            late = f"Dagster did not answer within {seconds:g} s (ALERT_DAGSTER_SECONDS)"
            raise SchedulerHung(late) from error
        except httpx.HTTPError as error:
            if _is_nonsense(error):
                raise SchedulerUnexpected("Dagster's answer is no HTTP") from error
            raise SchedulerUnreachable(
                "Dagster's webserver cannot be reached",
                may_have_arrived=not isinstance(error, _NOT_SENT),
            ) from error
        return _data(status, answer)

    async def _send(self, body: str) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"}
        if self._token or self._read_token():
            headers[TOKEN_HEADER] = self._token
        async with self._http.stream(
            "POST", "/graphql", content=body.encode(), headers=headers
        ) as response:
            parts: list[bytes] = []
            size = 0
            async for part in response.aiter_bytes():
                parts.append(part)
                size += len(part)
                if size > _LARGEST_ANSWER:
                    raise SchedulerUnexpected("Dagster's answer is too large")
            return response.status_code, b"".join(parts)

    def _read_token(self) -> bool:
        """Read the token's file; whether it holds another token than the last one."""
        before = self._token
        if self._token_file is not None:
            # A webserver of the version before writes none, and asks for none.
            with suppress(OSError):
                self._token = self._token_file.read_text().strip()
        return self._token != before


@asynccontextmanager
async def connected(
    port: int, budgets: Budgets | None = None, *, state_dir: Path
) -> AsyncIterator[GraphQLClient]:
    """A client of the webserver on this machine, closed at the end of the block.

    `state_dir` is the state folder of the webserver's stack.
    """
    client = GraphQLClient(f"http://127.0.0.1:{port}", budgets, token_file=token_file(state_dir))
    try:
        yield client
    finally:
        await client.close()


def _is_nonsense(error: httpx.HTTPError) -> bool:
    """Whether the answer was no HTTP. httpx raises the same class where a connection ended."""
    ended = "disconnected" in str(error) or "closed connection" in str(error)
    return isinstance(error, httpx.RemoteProtocolError | httpx.DecodingError) and not ended


def _data(status: int, answer: bytes) -> dict[str, Any]:
    if status == HTTPStatus.UNAUTHORIZED:
        raise SchedulerUnreachable(
            "Dagster's web UI takes this process for none of its stack: it reads no current "
            "dagster_home/ui_token in ALERT_STATE_DIR",
            may_have_arrived=False,
        )
    if status not in _ANSWERED:
        raise SchedulerUnexpected(f"Dagster answered with status {status}")
    try:
        parsed = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise SchedulerUnexpected("Dagster's answer is no JSON") from error
    # Its errors may hold stack traces, so that their texts are dropped.
    if not isinstance(parsed, dict) or parsed.get("errors"):
        raise SchedulerUnexpected("Dagster answered with an error")
    data = parsed.get("data")
    if not isinstance(data, dict):
        raise SchedulerUnexpected("Dagster's answer holds no data")
    return data
