"""A connection that can be cut: what lies between the demo's client and a server that dies and comes back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType

_CHUNK = 65536


class Wire:
    """Passes bytes from `address` to wherever it leads. While it is cut, whoever connects waits for its repair."""

    def __init__(self) -> None:
        self.address = ""
        self._target = ("", 0)
        self._whole = asyncio.Event()
        self._ends: set[asyncio.StreamWriter] = set()
        self._links: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def lead_to(self, address: str) -> None:
        """Repairs it, or lays it for the first time: it ends at this `host:port` from now on."""
        host, _, port = address.rpartition(":")
        self._target = (host, int(port))
        self._whole.set()

    def cut(self) -> None:
        """Breaks every connection at once, as a pulled plug would."""
        self._whole.clear()
        for end in self._ends:
            end.transport.abort()

    def repair(self) -> None:
        """Lets those who wait, and those who come, through to where it led before."""
        self._whole.set()

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.create_task(self._link(reader, writer), name="wire")
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = {writer}
        copies: list[asyncio.Task[None]] = []
        try:
            await self._whole.wait()
            with suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection(*self._target)
                ends.add(far_writer)
                self._ends |= ends
                copies = [
                    asyncio.create_task(_copy(reader, far_writer)),
                    asyncio.create_task(_copy(far_reader, writer)),
                ]
                await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._ends -= ends
            for end in ends:
                end.transport.abort()
            await asyncio.gather(*copies)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
