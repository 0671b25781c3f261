"""A hostile peer as a process of its own: `python -m tests.faults.harness.attacker KIND ADDRESS SECONDS`.

It prints one JSON object: how much it has sent, how often it was cut off, and when its silent connections were closed.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count, repeat

from tests.support.raw_http2 import (
    ACK,
    CONTINUATION,
    END_HEADERS,
    HEADERS,
    HELLO,
    PING,
    RST_STREAM,
    SETTINGS,
    frame,
    header_block,
)

_PATH = "/agent_runtime.v1.SessionService/GetSession"
_SILENT = 2000
_CANCEL = (8).to_bytes(4, "big")
_HEAD = 9  # bytes before what a frame holds
_AT_ONCE = 200
_PAUSE = 0.05


def rapid_reset() -> Iterator[bytes]:
    """Calls that are taken back at once."""
    block = header_block(_PATH)
    numbers = count(1, 2)
    while True:
        streams = [next(numbers) for _ in range(_AT_ONCE)]
        yield b"".join(
            frame(HEADERS, END_HEADERS, number, block) + frame(RST_STREAM, 0, number, _CANCEL) for number in streams
        )


def continuation() -> Iterator[bytes]:
    """Headers that never end."""
    yield frame(HEADERS, 0, 1, header_block(_PATH))
    more = b"".join(b"\x10" + b"\x06x-many" + b"\x40" + b"y" * 64 for _ in range(200))
    yield from repeat(frame(CONTINUATION, 0, 1, more) * 4)


def pings() -> Iterator[bytes]:
    """Nothing but pings."""
    yield from repeat(frame(PING, 0, 0, b"12345678") * _AT_ONCE)


FLOODS: dict[str, Callable[[], Iterator[bytes]]] = {
    "rapid_reset": rapid_reset,
    "continuation": continuation,
    "pings": pings,
}


class Manners:
    """Answers what the server insists on, since it soon leaves a peer that does not."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._unread = b""

    def keep(self) -> bool:
        """Acknowledges settings and pings that have come; False when the server has hung up."""
        try:
            read = self._peer.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        self._unread += read
        while len(self._unread) >= _HEAD and len(self._unread) >= (
            size := _HEAD + int.from_bytes(self._unread[:3], "big")
        ):
            one, self._unread = self._unread[:size], self._unread[size:]
            kind, acknowledged = one[3], one[4] & ACK
            if kind in (SETTINGS, PING) and not acknowledged:
                self._peer.sendall(frame(kind, ACK, 0, one[_HEAD:] if kind == PING else b""))
        return bool(read)


def flood(kind: str, address: tuple[str, int], seconds: float) -> dict[str, float]:
    """Sends as fast as the server takes it, on one connection after another."""
    ends_at = time.monotonic() + seconds
    sent = cuts = 0
    while time.monotonic() < ends_at:
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=2) as peer:
            peer.sendall(HELLO)
            peer.settimeout(1)
            manners = Manners(peer)
            for data in FLOODS[kind]():
                peer.sendall(data)
                sent += len(data)
                if not manners.keep():
                    break
                if time.monotonic() > ends_at:
                    return {"sent": sent, "cuts": cuts}
        cuts += 1
        time.sleep(_PAUSE)
    return {"sent": sent, "cuts": cuts}


def silence(address: tuple[str, int], seconds: float) -> dict[str, float]:
    """Very many connections that never say a word; waits until the last is closed."""
    selector = selectors.DefaultSelector()
    opened: dict[socket.socket, float] = {}
    for _ in range(_SILENT):
        peer = socket.create_connection(address, timeout=5)
        opened[peer] = time.monotonic()
        selector.register(peer, selectors.EVENT_READ)
    longest = 0.0
    ends_at = time.monotonic() + max(seconds, 10.0)
    while opened and time.monotonic() < ends_at:
        for key, _ in selector.select(0.5):
            silent = key.fileobj
            assert isinstance(silent, socket.socket)
            try:
                more = silent.recv(1 << 12)
            except OSError:
                more = b""
            if not more:
                longest = max(longest, time.monotonic() - opened.pop(silent))
                selector.unregister(silent)
                silent.close()
    return {"silent": _SILENT, "left": len(opened), "gone_after": longest}


def main(kind: str, address: str, seconds: float) -> None:
    """Attacks for so long, from the last processor if there is more than one."""
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[-1:])
    host, _, port = address.rpartition(":")
    at = (host, int(port))
    print(json.dumps(silence(at, seconds) if kind == "silence" else flood(kind, at, seconds)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
