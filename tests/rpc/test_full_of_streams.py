"""A server that is full of streams refuses the next one, and still answers everything else."""

from __future__ import annotations

from pathlib import Path

import grpc

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, gate, reply, text
from tests.support.health import SERVING, HealthClient
from tests.support.runtime_client import RuntimeClient, ended, read_until, refused, said

_STREAMS = 40


async def test_health_and_cancelling_do_not_wait_for_streams(own_model: ScriptedModel, tmp_path: Path) -> None:
    await own_model.play(reply(text("thinking"), gate("answer")))
    settings = {"CONCURRENCY__STREAMS": str(_STREAMS), "CONCURRENCY__CALLS": "5"}
    async with (
        RuntimeProcess(f"sqlite:///{tmp_path / 'full.db'}", own_model.url, settings) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        client = RuntimeClient(channel)
        session = await client.new_session(agent="universal")
        turn = client.send(session.id, "go")
        began = (await read_until(turn, said("thinking")))[0]
        watches = [client.watch(session.id, after_sequence=0) for _ in range(_STREAMS - 1)]
        for watch in watches:
            assert (await read_until(watch, bool))[0].sequence == 1

        async with refused() as refusal:
            await client.watch(session.id).read()
        assert (refusal().code, refusal().reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
        assert refusal().retry_seconds == 1.0
        assert await HealthClient(channel).check() == SERVING
        assert (await client.cancel(session.id, began.turn_id)).turn.id == began.turn_id

        # Its stream has ended with the turn, and left its place to the next.
        await read_until(turn, ended)
        assert await turn.read() is grpc.aio.EOF
        again = client.watch(session.id, after_sequence=0)
        assert (await read_until(again, bool))[0].sequence == 1
