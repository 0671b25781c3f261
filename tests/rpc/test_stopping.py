"""A stop in bad times: in mid-start, and while the database is away (G9)."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, gate, reply, text
from tests.support.health import NOT_SERVING, SERVING, HealthClient
from tests.support.postgres import PostgresServer
from tests.support.runtime_client import connected, read_rest, read_until, said
from tests.support.server_command import catches_sigterm, starting_server
from tests.support.tcp_relay import TcpRelay, relay_to

_PATIENCE = 30.0


@asynccontextmanager
async def behind_a_wire(postgres: PostgresServer) -> AsyncIterator[tuple[str, TcpRelay]]:
    """The URL of an empty database, and the wire that leads to it."""
    async with postgres.database() as name, relay_to(postgres.url_of(name)) as wire:
        user = urlsplit(postgres.url_of(name)).netloc.rpartition("@")[0]
        yield f"postgresql://{user}@127.0.0.1:{wire.port}/{name}", wire


@pytest.mark.parametrize("how", ["cut", "frozen"])
async def test_without_the_database_streams_still_end_with_a_cursor_and_the_process_in_order(
    postgres: PostgresServer, own_model: ScriptedModel, how: str
) -> None:
    await own_model.play(reply(text("before "), gate("never"), text("after")))
    async with (
        behind_a_wire(postgres) as (url, wire),
        RuntimeProcess(url, own_model.url) as runtime,
        connected(runtime.address) as client,
        grpc.aio.insecure_channel(runtime.address) as channel,
    ):
        health = HealthClient(channel)
        await health.becomes(SERVING)
        session = await client.new_session(agent="universal")
        sending = client.send(session.id, "go", request_id="r-1")
        seen = await read_until(sending, said("before "))
        last = seen[-1].sequence
        watching = client.watch(session.id, after_sequence=last)
        await watching.initial_metadata()
        if how == "cut":
            await wire.cut()
        else:
            wire.freeze()
        await health.becomes(NOT_SERVING)
        stopping = asyncio.ensure_future(runtime.terminate())
        for stream in (sending, watching):
            (drained,) = await read_rest(stream)
            assert drained.drain.resume_after_sequence == last
            assert await stream.code() is grpc.StatusCode.OK
        # Had anything waited for the database for longer than a stop may take, it would have ended itself with 3.
        assert await stopping == 0


async def test_a_stop_amid_the_start_is_an_end_without_a_word(postgres: PostgresServer, tmp_path: Path) -> None:
    async with behind_a_wire(postgres) as (url, wire):
        wire.freeze()  # so that it does not get beyond the database
        async with starting_server(url, tmp_path) as process:
            async with asyncio.timeout(_PATIENCE):
                while not wire.accepted:  # noqa: ASYNC110 - a relay tells nobody
                    await asyncio.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            output, _ = await asyncio.wait_for(process.communicate(), _PATIENCE)
            assert (process.returncode, output) == (0, b"")


@pytest.mark.skipif(not Path("/proc").exists(), reason="only Linux says which signals a process catches")
async def test_a_stop_before_all_is_imported_is_an_end_in_order(tmp_path: Path) -> None:
    async with starting_server(f"sqlite:///{tmp_path / 'runtime.db'}", tmp_path) as process:
        async with asyncio.timeout(_PATIENCE):
            while not catches_sigterm(process.pid):  # noqa: ASYNC110 - a process tells nobody
                await asyncio.sleep(0.002)
        process.send_signal(signal.SIGTERM)
        output, _ = await asyncio.wait_for(process.communicate(), _PATIENCE)
        assert (process.returncode, output) == (0, b"")
    assert not (tmp_path / "address").exists()
