"""A message that waits until fewer turns run waits in the database: no process need remember it."""

from __future__ import annotations

from pathlib import Path

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, When, call, gate, reply, text, tool_calls
from tests.rpc.busy.words import QUEUE, wait_in, waiting
from tests.support.runtime_client import connected, kinds, read_until


async def test_a_message_that_waits_for_a_place_survives_the_process(
    shared_model: ScriptedModel, model: ScriptedModel, tmp_path: Path
) -> None:
    await model.play(
        reply(tool_calls(call("read_file", {"path": "a"}, id="c1")), when=When(last_user_contains="read"), repeat=True),
        reply(gate("open"), text("so be it"), when=When(last_user_contains="go"), repeat=True),
        reply(text("at last"), when=When(last_user_contains="later"), repeat=True),
    )
    url = f"sqlite:///{tmp_path / 'runtime.db'}"
    async with RuntimeProcess(url, shared_model.url, {"LIMITS__RUNNING_TURNS": "1"}) as server:
        async with connected(server.address, "ann") as client:
            waits, runs = [(await client.new_session(agent="universal")).id for _ in range(2)]
            turn_id = (await client.ask(waits, "read it"))[0].turn_id
            (accepted,) = [await wait_in(client, waits, "later", QUEUE)]
            await client.ask(runs, "go", detach=True)
            await client.cancel(waits, turn_id)
            assert await waiting(client, waits) == ["later"]
        await server.kill()
        await server.start()
        async with connected(server.address, "ann") as client:
            assert await waiting(client, waits) == ["later"]
            await model.release("open")
            events = await read_until(
                client.watch(waits, after_sequence=accepted.sequence),
                lambda events: bool(events) and events[-1].HasField("turn_completed"),
            )
    said = kinds(events)
    assert said[said.index("turn_cancelled") :][:3] == ["turn_cancelled", "message_added", "turn_started"]
    assert events[-1].turn_completed.result_text == "at last"
