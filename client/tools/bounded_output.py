"""Reads what a process writes, however much it is, and keeps its beginning and its end."""

from __future__ import annotations

import asyncio
import os

from client.tools.bounded_text import decoded, without_middle

KEPT_BYTES = 200_000
_CHUNK = 1 << 16


class BoundedOutput:
    """One output of a process. The process writes into `write_end`; what it writes is read whether kept or not."""

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0

    async def read_to_the_end(self) -> None:
        """Reads until nobody can write any more. Memory stays bounded."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_CHUNK)
        pipe = os.fdopen(self._read_end, "rb", buffering=0)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        try:
            while data := await reader.read(_CHUNK):
                self._keep(data)
        finally:
            transport.close()

    def text(self) -> str:
        """What was kept, with a note where something is missing."""
        note = f"\n[… {self._left_out} bytes left out …]\n" if self._left_out else ""
        return without_middle(decoded(bytes(self._head)) + note + decoded(bytes(self._tail)), 2 * KEPT_BYTES)

    def _keep(self, data: bytes) -> None:
        room = KEPT_BYTES // 2 - len(self._head)
        self._head += data[:room]
        self._tail += data[max(room, 0) :]
        excess = len(self._tail) - KEPT_BYTES // 2
        if excess > 0:
            del self._tail[:excess]
            self._left_out += excess
