"""The demo's wire carries bytes, breaks when told to, and then lets nobody through until it is repaired."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from devtools.demo.wire import Wire


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)
    writer.close()


@pytest.fixture
async def echo_address() -> AsyncIterator[str]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def _connect(wire: Wire) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = wire.address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def _echoed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, words: bytes) -> bytes:
    writer.write(words)
    async with asyncio.timeout(5):
        return await reader.readexactly(len(words))


async def _ended(reader: asyncio.StreamReader) -> None:
    # How the end of a broken connection shows is the system's choice.
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(5):
            assert await reader.read() == b""


async def test_a_cut_ends_connections_and_a_repair_lets_new_ones_through(echo_address: str) -> None:
    async with Wire() as wire:
        wire.lead_to(echo_address)
        reader, writer = await _connect(wire)
        assert await _echoed(reader, writer, b"one") == b"one"
        wire.cut()
        await _ended(reader)
        writer.close()
        reader, writer = await _connect(wire)
        waiting = asyncio.create_task(_echoed(reader, writer, b"two"))
        done, _ = await asyncio.wait({waiting}, timeout=0.1)
        assert not done
        wire.repair()
        assert await waiting == b"two"
        writer.close()


async def test_it_can_lead_elsewhere_and_a_dead_end_only_closes(echo_address: str) -> None:
    async with Wire() as wire:
        wire.lead_to("127.0.0.1:1")
        reader, writer = await _connect(wire)
        await _ended(reader)
        writer.close()
        wire.lead_to(echo_address)
        reader, writer = await _connect(wire)
        assert await _echoed(reader, writer, b"back") == b"back"
        writer.close()
