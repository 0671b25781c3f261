"""Shapes of HTTP/2 that no gRPC library sends, each on a connection of its own, for a bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from random import Random

from tests.support.raw_http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    HELLO,
    MAGIC,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    header_block,
)

_SECONDS = 1.5


def _call(path: str, body: bytes, *headers: tuple[bytes, bytes], end: int = END_STREAM) -> bytes:
    opened = frame(HEADERS, END_HEADERS, 1, header_block(path, headers))
    return HELLO + opened + frame(DATA, end, 1, body)


def _message(data: bytes, *, flag: int = 0, length: int | None = None) -> bytes:
    return bytes((flag,)) + (len(data) if length is None else length).to_bytes(4, "big") + data


_SHAPES: Mapping[str, Callable[[Random, str], bytes]] = {
    "no HTTP/2": lambda rng, path: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no TLS here": lambda rng, path: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(500),
    "noise": lambda rng, path: rng.randbytes(rng.randint(1, 4000)),
    "noise after the preface": lambda rng, path: HELLO + rng.randbytes(rng.randint(1, 4000)),
    "half a preface": lambda rng, path: MAGIC[: rng.randrange(len(MAGIC))],
    "a message cut short": lambda rng, path: _call(path, _message(b"abc", length=100)),
    "a message that claims 4 GiB": lambda rng, path: _call(path, _message(b"abc", length=2**32 - 1)),
    "more than one message": lambda rng, path: _call(path, _message(b"") * 3),
    "no message": lambda rng, path: _call(path, b""),
    "a flag nobody knows": lambda rng, path: _call(path, _message(b"", flag=rng.randint(2, 255))),
    "compressed by nothing": lambda rng, path: _call(path, _message(b"", flag=1)),
    "compressed noise": lambda rng, path: _call(
        path, _message(rng.randbytes(100), flag=1), (b"grpc-encoding", b"gzip")
    ),
    "an encoding nobody knows": lambda rng, path: _call(path, _message(b"", flag=1), (b"grpc-encoding", b"odd")),
    "a timeout of noise": lambda rng, path: _call(path, _message(b""), (b"grpc-timeout", b"99999999999H")),
    "a path of noise": lambda rng, path: _call("/" + "x" * 3000 + "/é\x00", _message(b"")),
    "no path": lambda rng, path: _call("", _message(b"")),
    "headers of noise": lambda rng, path: HELLO + frame(HEADERS, END_HEADERS, 1, rng.randbytes(200)),
    "pseudo-headers twice": lambda rng, path: _call(path, _message(b""), (b":path", b"/x"), (b":method", b"GET")),
    "capital letters": lambda rng, path: _call(path, _message(b""), (b"X-Odd", b"1")),
    "too many headers": lambda rng, path: _call(path, _message(b""), *[(b"x-%d" % n, b"v" * 90) for n in range(300)]),
    "data for no stream": lambda rng, path: HELLO + frame(DATA, END_STREAM, 7, _message(b"")),
    "data for stream 0": lambda rng, path: HELLO + frame(DATA, END_STREAM, 0, _message(b"")),
    "an even stream": lambda rng, path: HELLO + frame(HEADERS, END_HEADERS, 2, header_block(path)),
    "padding longer than the frame": lambda rng, path: (
        _call(path, b"", end=0) + frame(DATA, PADDED | END_STREAM, 1, b"\xff" + bytes(3))
    ),
    "a frame too large": lambda rng, path: HELLO + (2**24 - 1).to_bytes(3, "big") + bytes((DATA, 0)) + bytes(4),
    "settings of noise": lambda rng, path: MAGIC + frame(SETTINGS, 0, 0, rng.randbytes(6 * rng.randint(1, 50))),
    "settings cut short": lambda rng, path: MAGIC + frame(SETTINGS, 0, 0, b"\x00\x03\x00"),
    "a window that overflows": lambda rng, path: HELLO + frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 3,
    "a window of nothing": lambda rng, path: HELLO + frame(WINDOW_UPDATE, 0, 0, bytes(4)),
    "a push": lambda rng, path: HELLO + frame(PUSH_PROMISE, END_HEADERS, 1, bytes(4)),
    "continuations for nothing": lambda rng, path: HELLO + frame(CONTINUATION, 0, 1, b"x" * 100) * 20,
    "continuations without end": lambda rng, path: (
        HELLO + frame(HEADERS, 0, 1, header_block(path)) + frame(CONTINUATION, 0, 1, b"\x10\x01x\x01y" * 20) * 50
    ),
    "a priority on itself": lambda rng, path: HELLO + frame(PRIORITY, 0, 1, b"\x00\x00\x00\x01\xff") * 20,
    "pings": lambda rng, path: HELLO + frame(PING, 0, 0, bytes(8)) * 50,
    "a farewell": lambda rng, path: HELLO + frame(GOAWAY, 0, 0, bytes(8)),
    "resets": lambda rng, path: (
        HELLO
        + b"".join(
            frame(HEADERS, END_HEADERS, n, header_block(path)) + frame(RST_STREAM, 0, n, bytes(4))
            for n in range(1, 100, 2)
        )
    ),
    "a frame nobody knows": lambda rng, path: HELLO + frame(rng.randint(10, 255), 0xFF, 1, rng.randbytes(50)),
}
SHAPES = tuple(_SHAPES)


async def send_shape(address: str, name: str, path: str, rng: Random) -> None:
    """Sends the shape and leaves when the server hangs up, or soon. Raises OSError when nobody listens."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(_SHAPES[name](rng, path))
        async with asyncio.timeout(_SECONDS * rng.random()):
            while await reader.read(65536):
                pass
    except (TimeoutError, ConnectionError):
        pass  # cut off, or kept waiting: both are answers to such a peer
    finally:
        writer.close()
