"""A gRPC call written byte by byte: what a hostile peer can send and no gRPC library would."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME = 16_384
_DATA, _HEADERS, _SETTINGS = 0x0, 0x1, 0x4
_END_STREAM, _END_HEADERS, _ACK = 0x1, 0x4, 0x1


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
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = bytes((compressed,)) + len(message).to_bytes(4, "big") + message
    writer.write(PREFACE + frame(_SETTINGS, 0, 0, b""))
    writer.write(frame(_HEADERS, _END_HEADERS, 1, request_headers(path, headers)))
    pieces = [body[start : start + _FRAME] for start in range(0, len(body), _FRAME)]
    for piece in pieces[:-1]:
        writer.write(frame(_DATA, 0, 1, piece))
    writer.write(frame(_DATA, _END_STREAM, 1, pieces[-1]))
    try:
        async with asyncio.timeout(10):
            await _until_stream_ends(reader)
    except (asyncio.IncompleteReadError, ConnectionError):
        # Cutting such a peer off is an answer, too.
        pass
    finally:
        writer.close()


def request_headers(path: str, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The header block of a call to this path."""
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


async def _until_stream_ends(reader: asyncio.StreamReader) -> None:
    while True:
        head = await reader.readexactly(9)
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:9], "big")
        await reader.readexactly(int.from_bytes(head[:3], "big"))
        if stream == 1 and kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            return


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame, whatever is in it."""
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
