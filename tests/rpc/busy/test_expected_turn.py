"""`expected_turn_id`: an input that is meant for one turn is refused by any other, and changes nothing."""

from __future__ import annotations

import grpc
import pytest

from agent_runtime.v1 import input_pb2
from devtools.scripted_model import ScriptedModel, reply, text
from tests.rpc.busy.words import INTERRUPT, QUEUE, REJECT, STEER, busy, rest_of, wait_in, waiting
from tests.support.runtime_client import RuntimeClient, refused, text_result
from tests.support.tool_turns import begin, calls, read

HELLO = input_pb2.UserMessage(text="hello")


@pytest.mark.parametrize("policy", [REJECT, QUEUE, STEER, INTERRUPT])
async def test_a_message_for_another_turn_is_refused(client: RuntimeClient, model: ScriptedModel, policy: int) -> None:
    at = await busy(client, model)
    head = (await client.session(at.session_id)).last_sequence
    async with refused() as refusal:
        await client.ask(at.session_id, "hello", busy_policy=policy, expected_turn_id="turn_0")
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TURN_NOT_ACTIVE")
    assert refusal().metadata == {"turn_id": at.turn_id}
    assert (await client.session(at.session_id)).last_sequence == head
    assert await waiting(client, at.session_id) == []
    await model.release("go on")
    await at.stream


async def test_a_message_for_the_active_turn_is_taken(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model, reply(text("Steered.")))
    accepted = await wait_in(client, at.session_id, "hello", STEER, expected_turn_id=at.turn_id, request_id="s1")
    assert accepted.turn_id == at.turn_id
    await model.release("go on")
    await at.stream
    # Its turn is over; the repeat is the same input all the same.
    again = client.send(at.session_id, "hello", busy_policy=STEER, expected_turn_id=at.turn_id, request_id="s1")
    assert (await rest_of(again))[0] == accepted


async def test_without_an_active_turn_there_is_none_to_expect(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(client, model, reply(text("done")))
    for sent in ({"user_message": HELLO}, {"resume": input_pb2.Resume()}):
        async with refused() as refusal:
            await rest_of(client.send_input(session_id, expected_turn_id=events[0].turn_id, **sent))
        assert refusal().reason == "TURN_NOT_ACTIVE"
        assert refusal().metadata == {}


async def test_results_for_another_turn_are_refused(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(client, model, calls(read("a", "c1")), reply(text("done")))
    async with refused() as refusal:
        await client.tool_results(session_id, text_result("c1", "x"), expected_turn_id="turn_0")
    assert refusal().reason == "TURN_NOT_ACTIVE"
    rest = await client.tool_results(session_id, text_result("c1", "x"), expected_turn_id=events[0].turn_id)
    assert rest[-1].turn_completed.result_text == "done"
