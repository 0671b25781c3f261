"""A message that waits can be taken back, by itself or with the turn that is cancelled; then it is never said."""

from __future__ import annotations

import asyncio

import grpc

from devtools.scripted_model import ScriptedModel, reply, text
from tests.rpc.busy.words import (
    QUEUE,
    STEER,
    begun,
    busy,
    cancel_all,
    history,
    rest_of,
    wait_in,
    waiting,
    withdraw,
)
from tests.support.runtime_client import RuntimeClient, kinds, refused
from tests.support.tool_turns import follow


async def test_its_stream_ends_and_it_is_never_said(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model)
    for policy in (QUEUE, STEER):
        accepted, stream = await begun(client, at.session_id, "second", policy, request_id=f"r{policy}")
        input_id = accepted.input_accepted.input_id
        for _ in range(2):  # the repeat finds what the first one did
            taken_back = await withdraw(client, at.session_id, input_id, request_id=f"w{policy}")
            assert (taken_back.id, taken_back.user_message.text) == (input_id, "second")
            assert (taken_back.queue_position, taken_back.busy_policy) == (1, policy)
        assert [each.input_withdrawn.input_id for each in await rest_of(stream)][-1] == input_id
        again = await client.ask(
            at.session_id, "second", busy_policy=policy, request_id=f"r{policy}", after_sequence=accepted.sequence
        )
        assert kinds(again)[-1] == "input_withdrawn"
        async with refused() as refusal:
            await withdraw(client, at.session_id, input_id)
        assert (refusal().code, refusal().reason) == (grpc.StatusCode.NOT_FOUND, "INPUT_NOT_FOUND")
    await model.release("go on")
    await at.stream
    assert await history(client, at.session_id) == ["go", "half a sentence"]


async def test_the_others_move_up(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model, reply(text("Third.")))
    second = await wait_in(client, at.session_id, "second", QUEUE)
    await wait_in(client, at.session_id, "third", QUEUE)
    await withdraw(client, at.session_id, second.input_accepted.input_id)
    assert await waiting(client, at.session_id) == ["third"]
    await model.release("go on")
    end = (await at.stream)[-1]
    assert (await follow(client, at.session_id, end.sequence))[-1].turn_completed.result_text == "Third."


async def test_what_was_said_is_not_taken_back(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model, reply(text("Second.")))
    accepted, stream = await begun(client, at.session_id, "second", QUEUE)
    first = (await client.turn(at.session_id, at.turn_id)).turn.input_id
    await model.release("go on")
    await rest_of(stream)
    for input_id in (accepted.input_accepted.input_id, first, "input_0"):
        async with refused() as refusal:
            await withdraw(client, at.session_id, input_id)
        assert refusal().reason == "INPUT_NOT_FOUND"


async def test_of_another_owner_it_is_not_found(
    client: RuntimeClient, other_client: RuntimeClient, model: ScriptedModel
) -> None:
    at = await busy(client, model)
    accepted = await wait_in(client, at.session_id, "second", QUEUE)
    async with refused() as refusal:
        await withdraw(other_client, at.session_id, accepted.input_accepted.input_id)
    assert refusal().reason == "SESSION_NOT_FOUND"
    async with refused() as refusal:
        await waiting(other_client, at.session_id)
    assert refusal().reason == "SESSION_NOT_FOUND"
    assert await waiting(client, at.session_id) == ["second"]


async def test_a_cancel_takes_all_of_them_back_if_it_says_so(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model)
    streams = [await begun(client, at.session_id, words, policy) for words, policy in [("q", QUEUE), ("s", STEER)]]
    answer = await cancel_all(client, at.session_id)
    ids = [accepted.input_accepted.input_id for accepted, _ in streams]
    assert sorted(answer.withdrawn_input_ids) == sorted(ids)
    for (_, stream), input_id in zip(streams, ids, strict=True):
        assert (await rest_of(stream))[-1].input_withdrawn.input_id == input_id
    assert kinds(await at.stream)[-1] == "turn_cancelled"
    log = await client.log(at.session_id)
    assert kinds(log).count("turn_started") == 1
    assert kinds(log)[-1] == "turn_cancelled"
    assert (await client.session(at.session_id)).active_turn_id == ""


async def test_a_cancel_by_itself_starts_the_next_one(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model, reply(text("Second.")))
    _, stream = await begun(client, at.session_id, "second", QUEUE)
    answer = await client.cancel(at.session_id, at.turn_id)
    assert list(answer.withdrawn_input_ids) == []
    assert answer.turn.id == at.turn_id
    assert (await rest_of(stream))[-1].turn_completed.result_text == "Second."


async def test_taken_and_taken_back_at_once_is_one_of_the_two(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model, reply(text("Second.")))
    accepted, stream = await begun(client, at.session_id, "second", QUEUE)
    release = asyncio.create_task(model.release("go on"))
    try:
        await withdraw(client, at.session_id, accepted.input_accepted.input_id)
        was_withdrawn = True
    except grpc.aio.AioRpcError:
        was_withdrawn = False
    await release
    last = (await rest_of(stream))[-1]
    assert last.HasField("input_withdrawn") == was_withdrawn
    await at.stream
    assert ("second" in await history(client, at.session_id)) != was_withdrawn
