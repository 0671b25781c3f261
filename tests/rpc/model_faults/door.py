"""A door before the model that can be shut: then nobody listens at its address, and connections are gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Door:
    """Hands bytes on to the model while it is open. `url` is the address for clients."""

    def __init__(self, model_url: str) -> None:
        behind = urlsplit(model_url)
        assert behind.hostname is not None
        self._model = (behind.hostname, behind.port)
        self._path = behind.path
        self._port = 0
        self._server: asyncio.Server | None = None
        self._through: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """The same whenever it is open."""
        return f"http://127.0.0.1:{self._port}{self._path}"

    async def open(self) -> None:
        """Listens, at the first time on a free port."""
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def shut(self, *, cut: bool = True) -> None:
        """Refuses new connections, and ends those there are unless told otherwise."""
        assert self._server is not None
        self._server.close()
        for writer in self._through if cut else ():
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside, out = await asyncio.open_connection(*self._model)
        both = {writer, out}
        self._through |= both
        try:
            await asyncio.gather(_pump(reader, out), _pump(inside, writer))
        except OSError:
            pass  # one of the two has gone
        finally:
            self._through -= both
            for side in both:
                side.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def open_door(model_url: str) -> AsyncIterator[Door]:
    """A door that is open; shut in the end."""
    door = Door(model_url)
    await door.open()
    yield door
    door.shut()
