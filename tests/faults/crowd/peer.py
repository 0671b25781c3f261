"""One connection of a crowd: gRPC streams over bare HTTP/2 frames, cheap enough for thousands, and as rude as told."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import cast

from tests.support.raw_http2 import (
    ACK,
    DATA,
    END_STREAM,
    HEADERS,
    MAGIC,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    call_frames,
    frame,
)

_HEADER_TABLE_SIZE, _INITIAL_WINDOW_SIZE, _TRUE_BINARY = 0x1, 0x4, 0xFE03
_CANCEL = 0x8
WHOLE_WINDOW = 2**31 - 1
_SMALL_RECEIVE_BUFFER = 4096


class Peer(asyncio.Protocol):
    """A connection whose calls may each be sent `window` bytes, and more as `let_in`.

    The callbacks get the stream's number: its first headers, each message, and its end. `ended` gets the trailers as
    they came: the server is asked not to compress them. It is also called, with nothing, for each open stream when the
    connection is lost or the stream is reset.
    """

    def __init__(
        self,
        metadata: tuple[tuple[bytes, bytes], ...],
        *,
        accepted: Callable[[Peer, int], None],
        received: Callable[[Peer, int, bytes], None],
        ended: Callable[[Peer, int, bytes], None],
        window: int = WHOLE_WINDOW,
    ) -> None:
        self._metadata = metadata
        self._accepted = accepted
        self._received = received
        self._ended = ended
        self._window = window
        self._buffer = bytearray()
        self._partial: dict[int, bytearray] = {}
        self._unanswered: set[int] = set()
        self._next = 1
        self._transport: asyncio.Transport | None = None

    @property
    def open(self) -> bool:
        """Whether the connection is there."""
        return self._transport is not None

    def waits_for_headers(self, number: int) -> bool:
        """Whether the server has said nothing yet to this call."""
        return number in self._unanswered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        self._transport = transport
        settings = ((_HEADER_TABLE_SIZE, 0), (_INITIAL_WINDOW_SIZE, self._window), (_TRUE_BINARY, 1))
        transport.write(MAGIC + frame(SETTINGS, 0, 0, b"".join(struct.pack("!HI", *pair) for pair in settings)))
        self._widen(0, WHOLE_WINDOW - 65535)

    def call(self, path: str, message: bytes) -> int:
        """Begins a call that sends one message; its number."""
        number, self._next = self._next, self._next + 2
        self._partial[number] = bytearray()
        self._unanswered.add(number)
        self._write(call_frames(number, path, self._metadata, message))
        return number

    def cancel(self, number: int) -> None:
        """Ends a call as one who has lost interest."""
        if self._partial.pop(number, None) is not None:
            self._unanswered.discard(number)
            self._write(frame(RST_STREAM, 0, number, struct.pack("!I", _CANCEL)))

    def let_in(self, size: int) -> None:
        """Takes so many bytes more of each call."""
        for number in self._partial:
            self._widen(number, size)

    def stop_reading(self) -> None:
        """Takes nothing any more, not even pings."""
        if self._transport is not None:
            self._transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= 9:
            length = int.from_bytes(buffer[start : start + 3], "big")
            end = start + 9 + length
            if len(buffer) < end:
                break
            number = int.from_bytes(buffer[start + 5 : start + 9], "big")
            self._take(buffer[start + 3], buffer[start + 4], number, bytes(buffer[start + 9 : end]))
            start = end
        del buffer[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for number in list(self._partial):
            self._end(number, b"")

    def close(self) -> None:
        """Hangs up on all of its calls, with no word."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == DATA:
            self._messages(number, payload)
        elif kind == HEADERS and number in self._unanswered and not flags & END_STREAM:
            self._unanswered.discard(number)
            self._accepted(self, number)
        elif kind == PING and not flags & ACK:
            self._write(frame(PING, ACK, 0, payload))
        elif kind == SETTINGS and not flags & ACK:
            self._write(frame(SETTINGS, ACK, 0, b""))
        if kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & END_STREAM):
            self._end(number, payload if kind == HEADERS else b"")

    def _messages(self, number: int, payload: bytes) -> None:
        partial = self._partial.get(number)
        if partial is None:
            return
        partial += payload
        while len(partial) >= 5 and len(partial) >= (end := 5 + int.from_bytes(partial[1:5], "big")):
            message = bytes(partial[5:end])
            del partial[:end]
            self._received(self, number, message)

    def _end(self, number: int, trailers: bytes) -> None:
        if self._partial.pop(number, None) is not None:
            self._ended(self, number, trailers)
            self._unanswered.discard(number)

    def _widen(self, number: int, by: int) -> None:
        self._write(frame(WINDOW_UPDATE, 0, number, struct.pack("!I", by)))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def trailer(trailers: bytes, name: bytes) -> bytes:
    """The value of one trailer, empty if there is none."""
    named = bytes((len(name),)) + name
    place = trailers.find(named)
    if place < 0:
        return b""
    place += len(named)
    length = trailers[place] & 0x7F
    place += 1
    if length == 127:
        shift = 0
        while True:
            length += (trailers[place] & 0x7F) << shift
            shift, place = shift + 7, place + 1
            if trailers[place - 1] < 128:
                break
    return trailers[place : place + length]


def connected_socket(host: str, port: int, *, small: bool) -> socket.socket:
    """A socket to there; a `small` one holds little of what nobody reads, so that the sender soon feels it."""
    connection = socket.socket()
    if small:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_RECEIVE_BUFFER)
    connection.connect((host, port))
    connection.setblocking(False)
    return connection
