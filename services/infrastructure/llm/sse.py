"""A byte-level decoder for server-sent events: the usual ones split inside JSON, lose events or raise on noise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from services.infrastructure.llm.failures import too_large

MAX_EVENT_BYTES = 4 * 1024 * 1024
MAX_STREAM_BYTES = 16 * 1024 * 1024
MAX_EVENTS = 100_000

_BOM = b"\xef\xbb\xbf"


class ServerEvent(NamedTuple):
    """One event with data: `name` is empty for ordinary ones, `b"error"` where the provider announces a failure."""

    name: bytes
    data: bytes


class SseDecoder:
    """Turns chunks of bytes, cut anywhere, into events; knows nothing of JSON and does no IO.

    Lines end with LF, CRLF or CR and nothing else. Comments, unknown fields and events without data are ignored.
    A line `error: …` (llama.cpp writes those) counts as the data of an error event. Time is linear in the bytes fed.
    Raises UpstreamError when a line, an event, the number of events or the stream exceeds its limit.
    """

    def __init__(self) -> None:
        self._partial: list[bytes] = []
        self._partial_size = 0
        self._skip_lf = False
        self._first_line = True
        self._name = b""
        self._data: list[bytes] = []
        self._data_size = 0
        self._stream_size = 0
        self._events = 0

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events completed by this chunk, in order; must be consumed before the next chunk is fed."""
        self._stream_size += len(chunk)
        if self._stream_size > MAX_STREAM_BYTES:
            raise too_large("bytes of the stream")
        if self._skip_lf and chunk:
            self._skip_lf = False
            if chunk.startswith(b"\n"):
                chunk = chunk[1:]
        if not chunk:
            return
        lines = chunk.splitlines()
        last = chunk[-1]
        rest = b"" if last in b"\r\n" else lines.pop()
        self._skip_lf = last == 0x0D
        for line in lines:
            if self._partial:
                self._partial.append(line)
                line = b"".join(self._partial)
                self._partial.clear()
                self._partial_size = 0
            event = self._line(line)
            if event is not None:
                yield event
        if rest:
            self._partial.append(rest)
            self._partial_size += len(rest)
            if self._partial_size > MAX_EVENT_BYTES:
                raise too_large("bytes of a line")

    def finish(self) -> ServerEvent | None:
        """The event still pending when the stream ended: its last line or the blank line after it may be missing."""
        if self._partial:
            self._line(b"".join(self._partial))
            self._partial.clear()
        return self._dispatch()

    def _line(self, line: bytes) -> ServerEvent | None:
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        if line.startswith(b"data:"):
            self._append(line[6:] if line[5:6] == b" " else line[5:])
            return None
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            self._name = value
        elif field == b"error":
            self._name = b"error"
            self._append(value)
        elif field == b"data":
            self._append(value)
        return None

    def _append(self, value: bytes) -> None:
        self._data.append(value)
        self._data_size += len(value) + 1
        if self._data_size > MAX_EVENT_BYTES:
            raise too_large("bytes of an event")

    def _dispatch(self) -> ServerEvent | None:
        name, self._name = self._name, b""
        if not self._data:
            return None
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data.clear()
        self._data_size = 0
        if not data and name != b"error":
            return None
        self._events += 1
        if self._events > MAX_EVENTS:
            raise too_large("number of events")
        return ServerEvent(name, data)
