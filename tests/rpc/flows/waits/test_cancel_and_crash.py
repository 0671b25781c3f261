"""Cancelled or crashed in any waiting state: the session goes on, with a history the model accepts (G4, G6, G7)."""

from __future__ import annotations

import pytest

from agent_runtime.v1 import tool_event_pb2, turn_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, gate, reply, running_scripted_model, text, tool_calls
from tests.rpc.flows.waits.waiting_states import STATES, take_to_its_end
from tests.support.runtime_client import Event, RuntimeClient, connected, kinds, text_result
from tests.support.tool_turns import (
    CLASSIFYING,
    begin,
    calls,
    follow,
    open_calls,
    payloads,
    read,
    requests,
    results_read,
)


@pytest.mark.parametrize("state", STATES)
async def test_after_a_cancel_the_next_message_works(client: RuntimeClient, model: ScriptedModel, state: str) -> None:
    session_id, events = await begin(client, model, STATES[state].answer, reply(text("fine")))
    made = payloads(events, "message_added")[-1].message.tool_calls
    turn = (await client.cancel(session_id, events[0].turn_id)).turn
    assert turn.state == turn_pb2.TURN_STATE_CANCELLED
    assert (list(turn.waiting_for), list(turn.open_tool_call_ids), turn.followup_id) == ([], [], "")
    after = await client.log(session_id, events[-1].sequence)
    recorded = payloads(after, "tool_result_recorded")
    assert [each.tool_call_id for each in recorded] == [each.id for each in made]
    assert {each.source for each in recorded} == {tool_event_pb2.TOOL_RESULT_SOURCE_SETTLED}
    assert kinds(after)[-1] == "turn_cancelled"
    assert await open_calls(client, session_id) == []
    assert (await client.ask(session_id, "and now?"))[-1].turn_completed.result_text == "fine"
    assert (await results_read(model)).keys() == {each.id for each in made}


async def test_a_cancel_amid_calls_being_written_leaves_no_call(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(tool_calls(read("a", "c1")), gate("never")), reply(text("fine")))
    session = await client.new_session(agent="coder")
    (accepted,) = await client.ask(session.id, "go", detach=True)
    await model.held("never")
    await client.cancel(session.id, accepted.turn_id)
    assert not {"tool_calls_requested", "tool_result_recorded"} & set(kinds(await client.log(session.id)))
    assert (await client.ask(session.id, "and now?"))[-1].turn_completed.result_text == "fine"


async def test_after_kill_9_every_wait_is_still_there_and_can_be_ended(
    database_url: str, own_model: ScriptedModel
) -> None:
    async with RuntimeProcess(database_url, own_model.url, {"LEASE": "2"}) as runtime:
        async with connected(runtime.address, "me") as client:
            asked = {
                name: await begin(client, own_model, state.answer, session_id=name) for name, state in STATES.items()
            }
            waiting = {name: await what_is_open(client, name) for name in STATES}
            await runtime.kill()
        await runtime.start()
        await own_model.play(reply(text("done"), repeat=True))
        async with connected(runtime.address, "me") as client:
            for name, (_, events) in asked.items():
                assert await client.log(name) == events
                assert await what_is_open(client, name) == waiting[name]
                rest = await take_to_its_end(client, name, events)
                assert rest[-1].turn_completed.result_text == "done"
                assert (await client.ask(name, "and on"))[-1].turn_completed.result_text == "done"
                log = await client.log(name)
                assert [event.sequence for event in log] == list(range(1, len(log) + 1))
                assert "attempt_restarted" not in kinds(log)
    assert (await own_model.counts())["refused"] == 0


async def what_is_open(client: RuntimeClient, session_id: str) -> list[object]:
    """Everything a client could act upon."""
    return [
        (await client.list_turns(session_id)).turns[0],
        await open_calls(client, session_id),
        list((await client.list_approvals(session_id=session_id)).approvals),
    ]


async def test_after_kill_9_amid_routing_and_amid_the_next_answer_the_turn_finishes(database_url: str) -> None:
    classified = text('{"agent": "coder", "confidence": "high"}')
    async with (
        running_scripted_model(
            reply(gate("routing"), classified, when=CLASSIFYING),
            reply(classified, when=CLASSIFYING),
            calls(read("a", "c1")),
            reply(text("first "), tool_calls(read("b", "c2")), gate("answering")),
            reply(text("whole"), tool_calls(read("b", "c2"))),
            reply(text("answer")),
        ) as model,
        RuntimeProcess(database_url, model.url, {"LEASE": "2"}) as runtime,
    ):
        async with connected(runtime.address, "me") as client:
            session = await client.new_session()
            (accepted,) = await client.ask(session.id, "go", detach=True)
            await model.held("routing")
        seen = await crash_and_follow(runtime, session.id, accepted.sequence)
        assert kinds(seen).count("agent_switched") == 1
        assert kinds(seen)[-1] == "turn_paused"
        async with connected(runtime.address, "me") as client:
            await client.tool_results(session.id, text_result("c1", "A"), detach=True)
            await model.held("answering")
        seen = await crash_and_follow(runtime, session.id, seen[-1].sequence)
        assert kinds(seen).count("tool_calls_requested") == 1
        async with connected(runtime.address, "me") as client:
            events = await client.tool_results(session.id, text_result("c2", "B"))
            assert events[-1].turn_completed.result_text == "answer"
            log = await client.log(session.id)
            assert kinds(log).count("attempt_restarted") == 2
            assert kinds(log).count("tool_result_recorded") == 2
        messages = (await requests(model))[-1]["messages"]
        assert [message["role"] for message in messages][1:] == ["user", *["assistant", "tool"] * 2]
        assert (await model.counts())["refused"] == 0


async def crash_and_follow(runtime: RuntimeProcess, session_id: str, after: int) -> list[Event]:
    """Kills the server and starts it again; what happens in the session until its turn pauses or ends."""
    await runtime.kill()
    await runtime.start()
    async with connected(runtime.address, "me") as client:
        return await follow(client, session_id, after)
