"""gRPC calls written byte by byte: what a hostile peer can send and no gRPC library would."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ACK, END_STREAM, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
MAGIC = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_INITIAL_WINDOW = 0x4
_FRAME = 16_384  # bytes that a peer takes in one frame unless it says otherwise


async def raw_call(
    address: str,
    path: str,
    headers: Sequence[tuple[bytes, bytes]],
    message: bytes = b"",
    *,
    compressed: bool = False,
) -> None:
    """Sends one unary call with these extra headers and returns when the server has ended the stream or hung up.

    The message goes out as it is, said to be `compressed` or not.
    """
    reader, writer = await connection(address)
    writer.write(call_frames(1, path, headers, message, compressed=compressed))
    try:
        async with asyncio.timeout(10):
            await _until_stream_ends(reader)
    except (asyncio.IncompleteReadError, ConnectionError):
        # Cutting such a peer off is an answer, too.
        pass
    finally:
        writer.close()


async def connection(address: str, *, window: int | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection whose preface is sent; `window` is how many bytes of an answer the peer may send unasked."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    settings = b"" if window is None else _INITIAL_WINDOW.to_bytes(2, "big") + window.to_bytes(4, "big")
    writer.write(MAGIC + frame(SETTINGS, 0, 0, settings))
    return reader, writer


def call_frames(
    stream: int,
    path: str,
    headers: Sequence[tuple[bytes, bytes]] = (),
    message: bytes = b"",
    *,
    compressed: bool = False,
    ended: bool = True,
) -> bytes:
    """One call with one message, as a stream of this number; unless `ended`, more might follow."""
    body = bytes((compressed,)) + len(message).to_bytes(4, "big") + message
    pieces = [body[start : start + _FRAME] for start in range(0, len(body), _FRAME)]
    return (
        frame(HEADERS, END_HEADERS, stream, header_block(path, headers))
        + b"".join(frame(DATA, 0, stream, piece) for piece in pieces[:-1])
        + frame(DATA, END_STREAM if ended else 0, stream, pieces[-1])
    )


def header_block(path: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """The headers of a gRPC call, encoded so that the peer need remember nothing."""
    block = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", b"test"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        *headers,
    ]
    return b"".join(_literal(name, value) for name, value in block)


async def has_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Returns when the peer has taken in all that was sent so far: it answers a ping in its turn."""
    writer.write(frame(PING, 0, 0, bytes(8)))
    async with asyncio.timeout(10):
        while await _next_kind(reader, writer) != (PING, ACK):
            pass


async def keep_manners(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers what the peer insists on until it hangs up: it does soon, on one that does not answer."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            await _next_kind(reader, writer)


async def _next_kind(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, int]:
    """Takes one frame, acknowledges settings and pings; its kind, and whether it acknowledges something itself."""
    head = await reader.readexactly(9)
    payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
    kind, acknowledged = head[3], head[4] & ACK
    if kind in (SETTINGS, PING) and not acknowledged:
        writer.write(frame(kind, ACK, 0, payload if kind == PING else b""))
    return kind, acknowledged


async def _until_stream_ends(reader: asyncio.StreamReader) -> None:
    while True:
        head = await reader.readexactly(9)
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:9], "big")
        await reader.readexactly(int.from_bytes(head[:3], "big"))
        if stream == 1 and kind in (DATA, HEADERS) and flags & END_STREAM:
            return


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame of HTTP/2, whatever is in it."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _literal(name: bytes, value: bytes) -> bytes:
    """HPACK, a literal never indexed, with no Huffman coding."""
    return b"\x10" + _text(name) + _text(value)


def _text(data: bytes) -> bytes:
    if len(data) < 127:
        return bytes((len(data),)) + data
    rest, encoded = len(data) - 127, b"\x7f"
    while rest >= 128:
        encoded += bytes((rest % 128 + 128,))
        rest //= 128
    return encoded + bytes((rest,)) + data


HELLO = MAGIC + frame(SETTINGS, 0, 0, b"")
"""What a client says first."""
