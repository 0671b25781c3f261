"""No caller sees or changes what belongs to another owner: it is as if it did not exist (G8)."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, gate, reply, text
from tests.support.required_fields import required_fields
from tests.support.rpcs import OFFERED, RPCS, Rpc
from tests.support.runtime_client import Refusal, RuntimeClient, refusal_of, refused

# Those that name a session; the rest speak of the caller's own or of nobody's.
OF_A_SESSION = [
    rpc
    for rpc in RPCS
    if rpc.name in OFFERED
    and "session_id" in rpc.request.DESCRIPTOR.fields_by_name
    and rpc.name != "SessionService/CreateSession"
]


def request_for(rpc: Rpc, session_id: str, turn_id: str) -> bytes:
    """A request that would be fine for the session's owner."""
    fields: dict[str, Any] = {"session_id": session_id}
    if "turn_id" in rpc.request.DESCRIPTOR.fields_by_name:
        fields["turn_id"] = turn_id
    fields |= required_fields(rpc)
    if rpc.name == "MessageService/SendMessage":
        fields["request_id"] = "r-1"
    if rpc.name == "MessageService/WatchSession":
        fields |= {"after_sequence": 10**6}
    return rpc.request(**fields).SerializeToString()


async def refusal_for(rpc: Rpc, channel: grpc.aio.Channel, client: RuntimeClient, data: bytes) -> Refusal:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rpc.call(channel, data, client.metadata)
    return refusal_of(caught.value)


async def test_what_belongs_to_another_is_answered_like_what_does_not_exist(
    runtime: RuntimeProcess, client: RuntimeClient, other_client: RuntimeClient, model: ScriptedModel
) -> None:
    assert len(OF_A_SESSION) >= 15
    await model.play(reply(gate("never")))
    session = await client.new_session(agent="universal")
    (accepted,) = await client.ask(session.id, "secret", request_id="r-1", detach=True)
    before = await client.session(session.id)
    async with grpc.aio.insecure_channel(runtime.address) as channel:
        for rpc in OF_A_SESSION:
            theirs = request_for(rpc, session.id, accepted.turn_id)
            nobodys = request_for(rpc, "session_" + "0" * 32, accepted.turn_id)
            refusal = await refusal_for(rpc, channel, other_client, theirs)
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND"), rpc.name
            assert refusal == await refusal_for(rpc, channel, other_client, nobodys), rpc.name
    assert await client.session(session.id) == before


async def test_a_turn_is_found_in_its_own_session_alone(
    client: RuntimeClient, other_client: RuntimeClient, model: ScriptedModel
) -> None:
    session, second = await client.new_session(agent="universal"), await client.new_session(agent="universal")
    turn_id = (await client.ask(session.id, "hello"))[0].turn_id
    their_session = await other_client.new_session(session_id=session.id)
    for owner, session_id in ((client, second.id), (other_client, their_session.id)):
        for attempt in (owner.turn, owner.cancel):
            refusals = []
            for unknown in (turn_id, "turn_" + "0" * 32):
                async with refused() as refusal:
                    await attempt(session_id, unknown)
                refusals.append(refusal())
            assert refusals[0].reason == "TURN_NOT_FOUND"
            assert refusals[0] == refusals[1]
        assert list((await owner.list_messages(session_id, turn_id=turn_id)).messages) == []


async def test_equal_ids_and_request_ids_of_two_owners_never_meet(
    client: RuntimeClient, other_client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(reply(text("for the one")), reply(text("for the other")))
    mine = await client.new_session(session_id="same", agent="universal")
    theirs = await other_client.new_session(session_id="same", agent="universal")
    my_events = await client.ask(mine.id, "hello", request_id="r-1")
    their_events = await other_client.ask(theirs.id, "hello", request_id="r-1")
    assert my_events[-1].turn_completed.result_text == "for the one"
    assert their_events[-1].turn_completed.result_text == "for the other"
    assert await client.log("same") == my_events
    assert await other_client.log("same") == their_events
    await client.delete("same")
    assert (await other_client.session("same")).message_count == 2
