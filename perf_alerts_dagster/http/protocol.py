"""uvicorn's HTTP protocol with limits on what slow and hostile peers may hold.

A request is unfinished while its head or body is on its way, or its answer is not read. Each of
the three ends within ten seconds, however steadily a peer trickles, and beyond a number per
address or in all the oldest unfinished ones are closed. Finished requests are served; idle
connections are bounded in the same way.
"""

import asyncio
import ipaddress
import logging
import sys
from collections import Counter, OrderedDict
from collections.abc import Mapping
from enum import Enum
from typing import ClassVar
from uuid import uuid4

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from perf_alerts_dagster.http.problems import Problem, problem_response

LOG = logging.getLogger(__name__)

# Ten seconds for the peer, where a busy server accepts it late and looks late.
SECONDS = 8.0
KEEP_ALIVE = 30
PER_ADDRESS = 256
_IN_ALL = 2000
# Beyond this number idle connections end after SECONDS: a peer that does not read a small answer
# looks like one that keeps its connection.
_FEW_IDLE = 100
# A younger one is not closed for others: what a good client has sent may not have been read yet.
_SETTLED = 1.0
_TICK = 0.25
# Many closed, or read, at once would keep the good clients waiting.
_BATCH = 500
_READ_AT_ONCE = 32
_LOGGED_EVERY = 60.0
# A browser opens a connection ahead and closes none: a few are no news.
_NOTABLE = 20
# uvicorn warns of each unreadable request, which a hostile peer could repeat without end.
_PROTOCOL_LOG = logging.getLogger("perf_alerts.protocol")
_PROTOCOL_LOG.setLevel(logging.ERROR)


class Phase(Enum):
    """What a connection waits for."""

    HEAD = "head"
    BODY = "body"
    ANSWER = "answer"
    IDLE = "idle"
    WORKING = "working"


class Peers:
    """The connections of one server that are unfinished or idle, oldest first."""

    def __init__(self, maximum: int, trusted: str | None = None) -> None:
        """Hold at most `maximum` connections.

        Args:
            maximum: The number of connections for which there are open files.
            trusted: Networks, separated by commas, without a limit per address, since many
                clients share them.
        """
        self.maximum = maximum
        self._trusted = [
            ipaddress.ip_network(net.strip()) for net in (trusted or "").split(",") if net
        ]
        self._unfinished: OrderedDict[Connection, float] = OrderedDict()
        self._idle: OrderedDict[Connection, float] = OrderedDict()
        self._unread: dict[Connection, bytes] = {}
        self._due = 0.0
        self._is_late = False
        self._timer: asyncio.TimerHandle | None = None
        self._closed: Counter[str] = Counter()
        self._logged = -_LOGGED_EVERY

    def origin(self, address: str) -> str | None:
        """What is limited together: an IPv4 address or an IPv6 /64; None for a trusted proxy."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return address
        mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
        if any((mapped or parsed) in network for network in self._trusted):
            return None
        if mapped is None and parsed.version == 6:
            return str(ipaddress.ip_network((parsed, 64), strict=False))
        return str(mapped or parsed)

    def place(self, connection: "Connection", phase: Phase | None) -> None:
        """Note that a connection is in another phase now; None once it is closed."""
        self._unfinished.pop(connection, None)
        self._idle.pop(connection, None)
        if phase is None:
            self._unread.pop(connection, None)
        if phase is Phase.IDLE:
            self._idle[connection] = connection.loop.time()
        elif phase in (Phase.HEAD, Phase.BODY, Phase.ANSWER):
            self._unfinished[connection] = connection.loop.time()
        if self._timer is None and (self._unfinished or self._idle):
            self._wait(_TICK, connection.loop)

    def read(self, connection: "Connection", data: bytes) -> None:
        """Let a connection read what came, a few in each round of the loop and the newest first.

        So who comes into a flood of others does not wait behind all of them.
        """
        if not self._unread:
            connection.loop.call_soon(self._read_some, connection.loop)
        self._unread[connection] = self._unread.get(connection, b"") + data
        connection.transport.pause_reading()

    def _read_some(self, loop: asyncio.AbstractEventLoop) -> None:
        for _ in range(min(_READ_AT_ONCE, len(self._unread))):
            connection, data = self._unread.popitem()
            connection.read(data)
        if self._unread:
            loop.call_soon(self._read_some, loop)

    def make_room(self) -> bool:
        """Close the oldest connection that is not being served; False where all are."""
        oldest = next(iter(self._unfinished or self._idle), None)
        if oldest is not None:
            self.close(oldest, crowded=True)
        return oldest is not None

    def close(self, connection: "Connection", *, crowded: bool) -> None:
        """Close a connection that took too long, or (`crowded`) because there are too many."""
        self._closed["too many" if crowded else "too slow"] += 1
        self.place(connection, None)
        connection.end(crowded=crowded)

    def _wait(self, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + seconds
        self._timer = loop.call_later(seconds, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        # After the process stood still, what came meanwhile is read first.
        self._is_late = now - self._due > 1.0 and not self._is_late
        if self._is_late:
            self._wait(_TICK / 10, loop)
            return
        few = len(self._idle) <= _FEW_IDLE
        more = self._sweep(self._idle, KEEP_ALIVE if few else SECONDS, now)
        more |= self._sweep(self._unfinished, SECONDS, now)
        if self._closed.total() >= _NOTABLE and now - self._logged >= _LOGGED_EVERY:
            why = ", ".join(f"{count} {reason}" for reason, count in self._closed.items())
            LOG.warning("connections closed since they were unfinished or idle: %s", why)
            self._closed.clear()
            self._logged = now
        self._timer = None
        if self._unfinished or self._idle:
            self._wait(_TICK / 10 if more else _TICK, loop)

    def _sweep(self, rank: Mapping["Connection", float], limit: float, now: float) -> bool:
        """Close those that are too old or too many; whether there are more than one batch."""
        in_all, per_origin = len(rank), Counter(connection.origin for connection in rank)
        del per_origin[None]
        closing: list[tuple[Connection, bool]] = []
        for connection, since in rank.items():
            age = now - since
            if age < _SETTLED or len(closing) >= _BATCH:
                break
            if age >= limit or in_all > _IN_ALL or per_origin[connection.origin] > PER_ADDRESS:
                closing.append((connection, age < limit))
                in_all -= 1
                per_origin[connection.origin] -= 1
        for connection, crowded in closing:
            self.close(connection, crowded=crowded)
        return len(closing) >= _BATCH


class Connection(H11Protocol):
    """One connection: uvicorn's protocol, which says what it waits for.

    What it relies on in uvicorn: `connection_made`, `connection_lost`, `data_received`,
    `pause_writing`, `resume_writing`, `on_response_complete`, `send_400_response` are called on
    the protocol; `conn`, `cycle`, `flow.write_paused`, `timeout_keep_alive_task` are its state.
    """

    peers: ClassVar[Peers]
    origin: str | None = None
    phase: Phase | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        """Begin with the head's time, in which a connection without a byte ends as well."""
        super().connection_made(transport)
        self.logger = _PROTOCOL_LOG
        # An answer counts as unread, and no more of it is made, once the kernel takes no more.
        transport.set_write_buffer_limits(0)
        self.origin = self.peers.origin(self.client[0]) if self.client else ""
        if len(self.connections) > self.peers.maximum and not self.peers.make_room():
            self.refuse(_TOO_MANY)
            return
        self._enter(Phase.HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        self._enter(None)

    def data_received(self, data: bytes) -> None:
        """Have it read in its turn."""
        self.peers.read(self, data)

    def read(self, data: bytes) -> None:
        """Read on, and see what is still missing."""
        if self.transport.is_closing():
            return
        if not self.flow.read_paused:
            self.transport.resume_reading()
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Begin the next request, or wait for one."""
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """The peer does not read its answer for now."""
        super().pause_writing()
        self._look()

    def resume_writing(self) -> None:
        """All that was written is with the kernel."""
        super().resume_writing()
        self._look()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read as HTTP, as a problem document."""
        if getattr(sys.exc_info()[1], "error_status_hint", 400) == 431:
            self.refuse(Problem(431, "headers_too_large", "the request's head is too large"))
        else:
            self.refuse(Problem(400, "invalid_request", "the request is no valid HTTP/1.1"))

    def end(self, *, crowded: bool) -> None:
        """Close the connection, with an answer where one can still be written."""
        if self.flow.write_paused or self.transport.is_closing():
            self.transport.abort()
        elif crowded:
            self.refuse(_TOO_MANY)
        elif self.phase is Phase.BODY:
            self.refuse(_SLOW_BODY)
        else:
            self.refuse(_SLOW_HEAD)

    def refuse(self, problem: Problem) -> None:
        """Answer with a problem unless an answer has begun or nothing was asked, and close."""
        asked = self.conn.trailing_data[0] or self.conn.their_state is not h11.IDLE
        if asked and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = problem_response(problem, uuid4().hex)
            head = h11.Response(
                status_code=problem.status,
                headers=[*answer.raw_headers, (b"connection", b"close")],
                reason=problem.title.encode(),
            )
            is_head = self.conn.our_state is h11.SEND_RESPONSE and self.scope["method"] == "HEAD"
            body = b"" if is_head else bytes(answer.body)
            events = (head, h11.Data(data=body), h11.EndOfMessage())
            self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
        if self.cycle is not None and not self.cycle.response_complete:
            # The application learns that nobody waits, and what it still sends is dropped.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _look(self) -> None:
        theirs = self.conn.their_state
        if self.flow.write_paused:
            self._enter(Phase.ANSWER)
        elif theirs is h11.SEND_BODY:
            self._enter(Phase.BODY)
        elif theirs is h11.IDLE:
            if self.phase is not Phase.HEAD:
                self._enter(Phase.HEAD if self.conn.trailing_data[0] else Phase.IDLE)
        else:
            self._enter(Phase.WORKING)

    def _enter(self, phase: Phase | None) -> None:
        if phase is not self.phase:
            self.phase = phase
            self.peers.place(self, phase)


_SLOW_HEAD = Problem(408, "head_timeout", f"the head did not arrive within {SECONDS:g} seconds")
_SLOW_BODY = Problem(408, "body_timeout", f"the body did not arrive within {SECONDS:g} seconds")
_TOO_MANY = Problem(
    503,
    "too_many_connections",
    "there are too many unfinished requests, from this address or in all",
    headers={"Retry-After": "1"},
)


def bounded(peers: Peers) -> type[Connection]:
    """The protocol class for `uvicorn.Config(http=...)` of one server."""
    return type("Bounded", (Connection,), {"peers": peers})
