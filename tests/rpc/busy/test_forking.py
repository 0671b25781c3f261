"""ForkSession: another session that begins with this one's history, and goes its own way."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from agent_runtime.v1 import session_history_pb2
from devtools.scripted_model import ScriptedModel, reply, text
from tests.rpc.flows.waits.waiting_states import STATES, take_to_its_end
from tests.support.refused_calls import wrong_fields
from tests.support.runtime_client import RuntimeClient, kinds, refused
from tests.support.tool_turns import begin, calls, read, requests


async def fork(client: RuntimeClient, session_id: str, **fields: Any) -> session_history_pb2.ForkSessionResponse:
    request = session_history_pb2.ForkSessionRequest(session_id=session_id, **fields)
    return await client.sessions.ForkSession(request, metadata=client.metadata)


async def messages(client: RuntimeClient, session_id: str) -> list[Any]:
    return list((await client.list_messages(session_id, page_size=500)).messages)


@pytest.mark.parametrize("state", STATES)
async def test_it_goes_on_where_the_other_one_was(client: RuntimeClient, model: ScriptedModel, state: str) -> None:
    session_id, events = await begin(
        client, model, STATES[state].answer, reply(text("done")), reply(text("here")), reply(text("there"))
    )
    async with refused() as refusal:
        await fork(client, session_id)
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.ABORTED, "TURN_IN_PROGRESS")
    await take_to_its_end(client, session_id, events)
    answer = await fork(client, session_id)
    copy = answer.session
    assert copy.id != session_id
    before, copied = await messages(client, session_id), await messages(client, copy.id)
    assert answer.copied_messages == copy.message_count == len(copied) == len(before)
    assert [(m.role, m.content, m.tool_call_id) for m in copied] == [
        (m.role, m.content, m.tool_call_id) for m in before
    ]
    assert (copy.title, copy.current_agent, copy.last_sequence) == ("go", "coder", 1)
    (forked,) = await client.log(copy.id)
    assert forked.sequence == 1
    assert forked.session_forked.source_session_id == session_id
    assert forked.session_forked.source_message_id == before[-1].id
    assert (await client.ask(copy.id, "and you?"))[-1].turn_completed.result_text == "here"
    assert (await client.ask(session_id, "and I?"))[-1].turn_completed.result_text == "there"
    in_the_copy, in_the_source = (await requests(model))[-2:]
    assert in_the_copy["messages"][1:-1] == in_the_source["messages"][1:-1]
    assert len(await messages(client, session_id)) == len(before) + 2


async def test_only_so_far(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(client, model, calls(read("a", "c1")), reply(text("done")))
    await take_to_its_end(client, session_id, events)
    said = await messages(client, session_id)
    answer = await fork(client, session_id, until_message_id=said[0].id, title="From the start")
    assert (answer.copied_messages, answer.session.title) == (1, "From the start")
    assert [m.content for m in await messages(client, answer.session.id)] == ["go"]
    assert list(await wrong_fields(fork(client, session_id, until_message_id=said[1].id))) == ["until_message_id"]
    assert list(await wrong_fields(fork(client, session_id, until_message_id="msg_0"))) == ["until_message_id"]


async def test_once_under_one_request_id(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(client, model, reply(text("done")), reply(text("more")))
    first = await fork(client, session_id, request_id="f1")
    await client.ask(session_id, "more")
    again = await fork(client, session_id, request_id="f1")
    assert (again.session.id, again.copied_messages) == (first.session.id, first.copied_messages)
    async with refused() as refusal:
        await fork(client, session_id, request_id="f1", title="other")
    assert refusal().reason == "REQUEST_ID_REUSED"
    assert len((await client.list_sessions()).sessions) == 2


async def test_under_an_id_of_ones_own(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(client, model, reply(text("done")))
    assert (await fork(client, session_id, new_session_id="mine")).session.id == "mine"
    for taken in ("mine", session_id):
        async with refused() as refusal:
            await fork(client, session_id, new_session_id=taken)
        assert (refusal().code, refusal().reason) == (grpc.StatusCode.ALREADY_EXISTS, "SESSION_ALREADY_EXISTS")
    assert list(await wrong_fields(fork(client, session_id, new_session_id="no spaces"))) == ["new_session_id"]


async def test_somebody_elses_is_not_found(
    client: RuntimeClient, other_client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, _ = await begin(client, model, reply(text("done")))
    async with refused() as refusal:
        await fork(other_client, session_id)
    assert refusal().reason == "SESSION_NOT_FOUND"
    assert list((await other_client.list_sessions()).sessions) == []


async def test_a_full_session_has_a_way_out(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(client, model, reply(text("done"), repeat=True), message_limit=2)
    async with refused() as refusal:
        await client.ask(session_id, "more")
    assert refusal().reason == "SESSION_MESSAGE_LIMIT"
    first = (await messages(client, session_id))[0]
    copy = (await fork(client, session_id, until_message_id=first.id)).session
    assert kinds(await client.ask(copy.id, "instead"))[-1] == "turn_completed"


async def test_what_is_wrong_is_named(client: RuntimeClient) -> None:
    assert list(await wrong_fields(fork(client, "", title="t" * 501))) == ["session_id", "title"]


async def test_a_copy_of_an_inactive_session_is_ready_for_input(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(client, model, reply(text("done")), reply(text("more")))
    await client.deactivate(session_id, reason="over")
    copy = (await fork(client, session_id)).session
    assert (await client.ask(copy.id, "more"))[-1].turn_completed.result_text == "more"
    assert copy.deactivation_reason == ""
