"""A wire that a test can cut: a port of this machine that leads to a real server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_POSTGRES_PORT = 5432


class TcpRelay:
    """Passes bytes on, both ways, until it is cut or frozen; `port` stays the same."""

    def __init__(self, server_url: str) -> None:
        """`server_url` is a `postgresql://` URL, with a host or with the directory of a socket."""
        parts = urlsplit(server_url)
        directory = parse_qs(parts.query).get("host", [""])[0]
        self._port = parts.port or _POSTGRES_PORT
        self._host = parts.hostname or "127.0.0.1"
        self._socket = Path(directory, f".s.PGSQL.{self._port}") if directory.startswith("/") else None
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.port = 0
        self.accepted = 0

    async def mend(self) -> None:
        """Takes connections, again or for the first time."""
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Resets every connection and refuses new ones."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def freeze(self) -> None:
        """Passes nothing on any more and closes nothing: the far end is silent, and takes connections."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Lets flow again what was held back."""
        self._flowing.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._listener is None:  # it was already on its way when the wire was cut
            writer.transport.abort()
            return
        self.accepted += 1
        connection = asyncio.create_task(self._pass_on(reader, writer))
        self._connections.add(connection)

        def ended(_: asyncio.Task[None]) -> None:
            writer.transport.abort()  # here, for a task that is cancelled before it begins runs no `finally`
            self._connections.discard(connection)

        connection.add_done_callback(ended)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await self._connect()
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
            writer.write_eof()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._socket is not None:
            return await asyncio.open_unix_connection(str(self._socket))
        return await asyncio.open_connection(self._host, self._port)


@asynccontextmanager
async def relay_to(server_url: str) -> AsyncIterator[TcpRelay]:
    """A relay that is whole at first and cut at the end."""
    relay = TcpRelay(server_url)
    await relay.mend()
    try:
        yield relay
    finally:
        await relay.cut()
