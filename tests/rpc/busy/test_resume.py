"""`resume`: the work of a turn that failed is taken up by a new one, and nothing of it is done again."""

from __future__ import annotations

import grpc
import pytest

from agent_runtime.v1 import input_pb2, turn_event_pb2, turn_pb2
from devtools.scripted_model import ScriptedModel, fault, gate, refusal, reply, text
from tests.rpc.busy.words import busy, first_of, history, rest_of, resume
from tests.rpc.flows.waits.waiting_states import STATES
from tests.support.runtime_client import RuntimeClient, kinds, refused, text_result
from tests.support.tool_turns import begin, calls, payloads, read, requests


async def test_the_model_is_asked_again_with_the_same_history(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(client, model, refusal(500), reply(text("Here.")))
    assert events[-1].turn_failed.resumable
    rest = await resume(client, session_id)
    assert kinds(rest)[:2] == ["input_accepted", "turn_started"]
    assert rest[0].input_accepted.disposition == turn_event_pb2.INPUT_DISPOSITION_STARTED
    started = rest[1].turn_started
    assert started.cause == turn_event_pb2.TURN_START_CAUSE_RESUME
    assert started.resumed_turn_id == events[0].turn_id != rest[1].turn_id
    assert started.input_id == rest[0].input_accepted.input_id
    assert rest[-1].turn_completed.result_text == "Here."
    assert await history(client, session_id) == ["go", "Here."]
    first, second = await requests(model)
    assert first["messages"] == second["messages"]
    assert (await client.turn(session_id, events[0].turn_id)).turn.state == turn_pb2.TURN_STATE_FAILED


async def test_results_are_not_asked_for_again(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(client, model, calls(read("a", "c1")), refusal(500), reply(text("Read.")))
    failed = await client.tool_results(session_id, text_result("c1", "A"))
    assert failed[-1].turn_failed.resumable
    rest = await resume(client, session_id)
    assert rest[-1].turn_completed.result_text == "Read."
    assert payloads(rest, "tool_calls_requested") == []
    log = await client.log(session_id)
    assert kinds(log).count("tool_calls_requested") == kinds(log).count("tool_result_recorded") == 1


async def test_an_answer_that_broke_off_is_gone_on_with(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client, model, reply(text("half a sentence that goes on"), fault=fault.cut_after(300)), reply(text("the rest"))
    )
    assert events[-1].turn_failed.resumable
    rest = await resume(client, session_id)
    assert rest[-1].turn_completed.result_text == "the rest"
    assert (await requests(model))[-1]["messages"][-1]["role"] == "user"


async def test_it_can_be_resumed_as_often_as_it_fails(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(client, model, *(refusal(500) for _ in range(3)), reply(text("Here.")))
    assert (await resume(client, session_id))[-1].HasField("turn_failed")
    assert (await resume(client, session_id))[-1].HasField("turn_failed")
    assert (await resume(client, session_id))[-1].turn_completed.result_text == "Here."


@pytest.mark.parametrize("ended", ["never", "completed", "cancelled", "for good", "answered"])
async def test_where_nothing_failed_nothing_is_resumed(client: RuntimeClient, model: ScriptedModel, ended: str) -> None:
    session_id = (await client.new_session(agent="coder")).id
    match ended:
        case "completed":
            session_id, _ = await begin(client, model, reply(text("done")))
        case "cancelled":
            session_id, events = await begin(client, model, STATES["results"].answer)
            await client.cancel(session_id, events[0].turn_id)
        case "for good":
            session_id, events = await begin(client, model, refusal(400))
            assert not events[-1].turn_failed.resumable
        case "answered":
            session_id, _ = await begin(client, model, refusal(500), reply(text("done")))
            await client.ask(session_id, "once more")
    before = (await client.session(session_id)).last_sequence
    async with refused() as refusal_:
        await resume(client, session_id)
    assert (refusal_().code, refusal_().reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NOTHING_TO_RESUME")
    assert (await client.session(session_id)).last_sequence == before


async def test_an_active_turn_is_in_the_way(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model)
    async with refused() as refusal_:
        await resume(client, at.session_id)
    assert refusal_().reason == "TURN_IN_PROGRESS"
    await model.release("go on")
    await at.stream


async def test_the_same_request_again_resumes_once(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(client, model, refusal(500), reply(gate("go on"), text("Here.")))
    sent = {"resume": input_pb2.Resume(), "request_id": "r1"}
    first = client.send_input(session_id, **sent)
    accepted = await first_of(first)
    second = client.send_input(session_id, **sent)
    assert await first_of(second) == accepted
    await model.release("go on")
    events = await rest_of(first)
    assert await rest_of(second) == events
    assert await rest_of(client.send_input(session_id, after_sequence=0, **sent)) == [accepted, *events]
    assert kinds(await client.log(session_id)).count("turn_started") == 2


async def test_an_inactive_session_resumes_nothing(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(client, model, refusal(500), reply(text("Here.")))
    await client.deactivate(session_id)
    async with refused() as refusal_:
        await resume(client, session_id)
    assert refusal_().reason == "SESSION_INACTIVE"
    await client.activate(session_id)
    assert (await resume(client, session_id))[-1].turn_completed.result_text == "Here."
