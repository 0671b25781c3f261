"""More new turns than a server gets done: some are refused with a time to come back, and the rest are done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, reply, text
from tests.faults.crowd.asking import Asking
from tests.support.health import SERVING, HealthClient
from tests.support.runtime_client import Event, RuntimeClient, ended, refusal_of
from tests.support.unlimited import UNLIMITED

_CALLERS = 150
_SECONDS = 1.5
_PATIENCE = 20.0
_GREED = 24
_FLOOD_SECONDS = 6.0


@pytest.fixture
async def server(own_model: ScriptedModel, tmp_path: Path) -> AsyncIterator[RuntimeProcess]:
    await own_model.play(reply(text("fine"), repeat=True))
    settings = {**UNLIMITED, "OVERLOAD_LAG": "0.1"}
    async with RuntimeProcess(f"sqlite:///{tmp_path}/runtime.db", own_model.url, settings) as process:
        yield process


async def test_what_is_too_much_is_refused_and_the_rest_is_done(server: RuntimeProcess) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        client = RuntimeClient(channel)
        made = await asyncio.gather(*(client.new_session(agent="universal") for _ in range(_CALLERS)))
        sessions = [session.id for session in made]
        crowd = Asking(server.address)
        await crowd.connect(client.owner, 3)
        await crowd.talk_in(sessions)
        told = await crowd.ask_at_once(_CALLERS, _SECONDS)
        await crowd.hang_up()
        assert told["complaints"] == []
        assert told["refused"]
        assert told["done"]
        assert await HealthClient(channel).check() == SERVING
        async with asyncio.timeout(_PATIENCE):
            assert ended(await _asked(client, sessions[0])), "one alone is served, when it comes back as it was told"


async def test_one_who_calls_without_end_keeps_nobody_out(own_model: ScriptedModel, tmp_path: Path) -> None:
    await own_model.play(reply(text("fine"), repeat=True))
    async with (
        RuntimeProcess(f"sqlite:///{tmp_path}/runtime.db", own_model.url, {"OVERLOAD_LAG": "0.25"}) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        greedy, *honest = (RuntimeClient(channel) for _ in range(6))
        crowd = Asking(server.address)
        await crowd.connect(greedy.owner, 2)
        await crowd.talk_in([(await greedy.new_session(agent="universal")).id for _ in range(_GREED)])
        calling = asyncio.create_task(crowd.ask_at_once(_GREED, _FLOOD_SECONDS))
        await asyncio.sleep(_FLOOD_SECONDS / 3)  # by then it is one too many
        served = await asyncio.gather(*(_tries(client, calling) for client in honest))
        told: dict[str, Any] = await calling
        assert len(told["refused"]) > 1000
        await crowd.hang_up()
        tries = [each for those in served for each in those]
        assert tries.count(True) > len(tries) / 2, tries


async def _tries(client: RuntimeClient, while_running: asyncio.Task[object]) -> list[bool]:
    """Which messages of somebody who says little were taken."""
    session, taken = await client.new_session(agent="universal"), []
    while not while_running.done():
        try:
            taken.append(ended(await client.ask(session.id, "hi")))
        except grpc.aio.AioRpcError:
            taken.append(False)
        await asyncio.sleep(1.0)
    return taken


async def _asked(client: RuntimeClient, session: str) -> list[Event]:
    while True:
        try:
            return await client.ask(session, "go")
        except grpc.aio.AioRpcError as error:
            seconds = refusal_of(error).retry_seconds
            assert seconds
            await asyncio.sleep(seconds)
