"""A proxy before PostgreSQL that can swallow the reply to one message: the server has done it, nobody is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit, urlunsplit


class ReplySwallower:
    """Passes bytes both ways. After `lose_reply_to(mark)`, the next message with the mark in it is passed on, and the
    connection is cut instead of passing the reply. `announce_end` says on every open connection what a server says that
    shuts down, and leaves them open.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._mark: bytes | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.lost = 0

    @property
    def url(self) -> str:
        """The upstream's URL with this proxy in its place."""
        parts = urlsplit(self._upstream)
        user = f"{parts.username}:{parts.password}" if parts.password else parts.username or ""
        return urlunsplit((parts.scheme, f"{user}@127.0.0.1:{self.port}", parts.path, "", ""))

    def lose_reply_to(self, mark: bytes) -> None:
        self._mark = mark

    def announce_end(self) -> None:
        fields = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
        for client in self._clients:
            client.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await self._connect()
        swallow = asyncio.Event()
        pumps = {
            asyncio.create_task(self._to_server(reader, server_writer, swallow)),
            asyncio.create_task(self._to_client(server_reader, writer, swallow)),
        }
        self._tasks |= pumps
        self._clients.add(writer)
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        self._clients.discard(writer)
        for end in (writer, server_writer):
            end.close()
        for pump in pumps:
            pump.cancel()
        await asyncio.wait(pumps)
        self._tasks -= pumps

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self._upstream)
        directory = parse_qs(parts.query).get("host")
        if directory:
            return await asyncio.open_unix_connection(f"{directory[0]}/.s.PGSQL.{parts.port or 5432}")
        return await asyncio.open_connection(parts.hostname, parts.port or 5432)

    async def _to_server(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, swallow: asyncio.Event
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if self._mark is not None and self._mark in data:
                    self._mark = None
                    swallow.set()
                writer.write(data)
                await writer.drain()

    async def _to_client(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, swallow: asyncio.Event
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if swallow.is_set():
                    self.lost += 1
                    return
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def swallowing_replies(upstream: str) -> AsyncIterator[ReplySwallower]:
    """A running proxy before the server that the URL names."""
    proxy = ReplySwallower(upstream)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await server.wait_closed()
