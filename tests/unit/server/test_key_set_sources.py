"""The key set comes from where the operator says, in bounded time and size, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from server.authentication.key_set import MAX_KEY_SET_BYTES, KeySetUnreadableError
from server.authentication.key_set_sources import reader_of


async def _good(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b'{"keys": []}')


async def _elsewhere(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/good")


async def _large(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(64):
        await response.write(b" " * (16 << 10))
    return response


@asynccontextmanager
async def issuer() -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes([web.get("/good", _good), web.get("/elsewhere", _elsewhere), web.get("/large", _large)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def test_an_address_is_read() -> None:
    async with issuer() as address:
        assert await reader_of(f"{address}/good")() == b'{"keys": []}'


@pytest.mark.parametrize(
    ("path", "told"),
    [("missing", "answered 404"), ("elsewhere", "answered 302"), ("large", f"larger than {MAX_KEY_SET_BYTES} bytes")],
)
async def test_an_address_that_answers_otherwise_is_no_key_set(path: str, told: str) -> None:
    async with issuer() as address:
        with pytest.raises(KeySetUnreadableError, match=told):
            await reader_of(f"{address}/{path}")()


async def test_an_address_nobody_answers_at_is_told_without_its_name() -> None:
    with pytest.raises(KeySetUnreadableError) as caught:
        await reader_of("http://127.0.0.1:1/secret")()
    assert str(caught.value) == "its address gave no answer: ConnectError"


async def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with pytest.raises(KeySetUnreadableError, match="FileNotFoundError"):
        await reader_of(str(path))()
    path.write_bytes(b"{}")
    assert await reader_of(str(path))() == b"{}"
    path.write_bytes(b" " * (MAX_KEY_SET_BYTES + 1))
    with pytest.raises(KeySetUnreadableError, match="larger"):
        await reader_of(str(path))()
