"""ASGI applications on a real socket of this machine."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp


@asynccontextmanager
async def running(config: uvicorn.Config, port: int = 0) -> AsyncIterator[str]:
    """The root URL of what is served until the end of the block; port 0 is any that is free."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def served(app: ASGIApp, port: int = 0) -> AsyncIterator[str]:
    """The root URL of an application that is served until the end of the block."""
    async with running(uvicorn.Config(app, log_level="warning", lifespan="off"), port) as url:
        yield url
