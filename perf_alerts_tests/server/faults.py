"""A server on a real socket that misbehaves in one chosen way, in place of the webserver."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


def http(status: int, body: bytes, kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@dataclass
class FaultServer:
    """`mode` may be changed while it runs; `requests` are the bodies that were read."""

    port: int = 0
    mode: str = "answer"
    answer: dict[str, Any] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    answered: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            with suppress(ConnectionError):
                writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        self.requests.append(json.loads(await reader.readexactly(length)))
        match self.mode:
            case "hang":
                await reader.read()  # until the caller goes away
                return False
            case "reset":
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
                return False
            case "close":
                return False
            case "slow":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                return await _dribble(writer)
            case _:
                writer.write(self._bytes())
                await writer.drain()
                self.answered += 1
                return self.mode not in ("nonsense", "cut")

    def _bytes(self) -> bytes:
        body = json.dumps({"data": self.answer}).encode()
        return {
            "answer": http(200, body),
            "answer500": http(500, body),
            "nonsense": b"\x00\x01 this is no HTTP at all\r\n\r\n",
            "cut": http(200, body)[:-5],
            "html": http(200, b"<html>secret stack trace</html>", "text/html"),
            "empty": http(200, b""),
            "list": http(200, b"[]"),
            "500": http(500, b"secret stack trace", "text/plain"),
            "404": http(404, b"{}"),
            "errors": http(200, b'{"errors": [{"message": "secret stack trace"}], "data": null}'),
            "null": http(200, b'{"data": null}'),
            "nan": http(200, b'{"data": {"instance": NaN}}'),
            "deep": http(200, b"[" * 200_000),
        }[self.mode]


async def _dribble(writer: asyncio.StreamWriter) -> bool:
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


@asynccontextmanager
async def fault_server(mode: str = "answer") -> AsyncIterator[FaultServer]:
    found = FaultServer(mode=mode)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(asyncio.CancelledError):
            await found.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
