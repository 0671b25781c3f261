"""More new turns than a server gets done: some are refused with a time to come back, and the rest are done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

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


async def _asked(client: RuntimeClient, session: str) -> list[Event]:
    while True:
        try:
            return await client.ask(session, "go")
        except grpc.aio.AioRpcError as error:
            seconds = refusal_of(error).retry_seconds
            assert seconds
            await asyncio.sleep(seconds)
