"""Requests that are small on the wire and huge behind it: refused before they are huge, while others are served."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import grpc
import psutil
import pytest

from devtools.runtime_process import RuntimeProcess
from tests.support.health import SERVING, HealthClient
from tests.support.raw_http2 import raw_call
from tests.support.runtime_client import RuntimeClient

_PATH = "/agent_runtime.v1.SessionService/GetSession"
_MEBIBYTE = 1 << 20
_BOMBS = 50
# What a connection takes before the server has allowed more.
_WINDOW = 65_535


@pytest.fixture(scope="module")
async def alone(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RuntimeProcess]:
    """A server that nobody else uses, so that its memory says what these tests did."""
    url = f"sqlite:///{tmp_path_factory.mktemp('bombs') / 'runtime.db'}"
    async with RuntimeProcess(url, "http://127.0.0.1:1/v1") as process:
        async with grpc.aio.insecure_channel(process.address) as channel:
            await RuntimeClient(channel).new_session(agent="universal")
        yield process


async def test_200_mebibytes_of_zeros_are_refused(alone: RuntimeProcess) -> None:
    memory = psutil.Process(alone.pid).memory_info
    before = memory().rss
    unlimited = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(alone.address, options=unlimited) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_PATH)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(bytes(200 * _MEBIBYTE), compression=grpc.Compression.Gzip)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert memory().rss - before < 64 * _MEBIBYTE


async def test_many_at_once_hold_up_nobody(alone: RuntimeProcess) -> None:
    bomb = gzip.compress(bytes(60 * _MEBIBYTE))
    assert len(bomb) < _WINDOW
    process = psutil.Process(alone.pid)
    before, peak, answers = process.memory_info().rss, 0, 0

    async def throw() -> None:
        await raw_call(alone.address, _PATH, [(b"grpc-encoding", b"gzip")], bomb, compressed=True)

    async with grpc.aio.insecure_channel(alone.address) as channel:
        health = HealthClient(channel)
        thrown = asyncio.gather(*(throw() for _ in range(_BOMBS)))
        while not thrown.done():
            assert await health.check() == SERVING
            answers += 1
            peak = max(peak, process.memory_info().rss)
            await asyncio.sleep(0.005)
        await thrown
    assert answers > 2
    # Each would be as much; together they are less than two.
    assert peak - before < 100 * _MEBIBYTE
    async with grpc.aio.insecure_channel(alone.address) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_PATH)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"", compression=grpc.Compression.Gzip)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_the_log_is_not_told_in_dismay(alone: RuntimeProcess) -> None:
    log = alone.log.read_text(encoding="utf-8")
    assert "Traceback" not in log
    assert '"level":"error"' not in log
