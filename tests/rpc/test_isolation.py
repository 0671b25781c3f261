"""No caller sees or changes what belongs to another owner: it is as if it did not exist (G8).

The table of uses must have every RPC that the descriptors have, so that a new one fails here until it is in it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, reply, text
from tests.support.belongings import NOTHING, USES, Belongings, Scene, Use, offered_uses
from tests.support.rpcs import Rpc
from tests.support.runtime_client import RuntimeClient, refused

each_use = pytest.mark.parametrize("use", USES.values(), ids=USES)
WITHOUT_A_WORD = {"SessionService/DeleteSession", "ApprovalService/DeleteApprovalRule"}

_COUNTS_DOWN = frozenset({"ratelimit-remaining", "ratelimit-reset"})


@dataclass(frozen=True)
class Outcome:
    """All that a caller gets of a call, but for what differs between any two calls, and with its ids left out."""

    code: grpc.StatusCode
    message: str
    metadata: tuple[tuple[str, str | bytes], ...]
    answers: tuple[bytes, ...]


async def outcome(channel: grpc.aio.Channel, client: RuntimeClient, rpc: Rpc, request: Any) -> Outcome:
    data = request.SerializeToString()
    call: Any
    if rpc.streaming:
        stream: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(rpc.path)
        call = stream(data, metadata=client.metadata, timeout=10)
    else:
        unary: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(rpc.path)
        call = unary(data, metadata=client.metadata, timeout=10)
    answers: list[bytes] = []
    with contextlib.suppress(grpc.aio.AioRpcError):
        answers = [answer async for answer in call] if rpc.streaming else [await call]
    said = [*(await call.initial_metadata() or ()), *(await call.trailing_metadata() or ())]
    kept = sorted((key, "" if key in _COUNTS_DOWN else value) for key, value in said if key != "x-correlation-id")
    return Outcome(await call.code(), await call.details() or "", tuple(kept), tuple(answers))


async def picture(client: RuntimeClient, session_id: str) -> list[object]:
    """All that an owner can see of a session."""
    return [
        await client.list_sessions(),
        await client.log(session_id),
        await client.list_messages(session_id),
        await client.list_turns(session_id),
        await client.list_approvals(states=range(1, 8)),
        await client.list_rules(),
    ]


def ids_in(message: Message, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where a request names something by its id."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING and field.name.endswith("_id"):
            yield (*path, field.name)
        elif field.message_type is not None and not field.is_repeated:
            yield from ids_in(value, (*path, field.name))


def at(message: Any, path: tuple[str, ...]) -> Any:
    """The message that holds the field at this path."""
    for name in path[:-1]:
        message = getattr(message, name)
    return message


def test_there_is_a_use_of_every_rpc_and_of_every_input() -> None:
    variants = {" ".join(name.split(" ")[:2]) if "SendMessage" in name else name.partition(" ")[0] for name in USES}
    assert variants == offered_uses()


@dataclass(frozen=True)
class Pair:
    """Two owners who have alike things, and know nothing of each other."""

    her: RuntimeClient
    hers: Belongings
    me: RuntimeClient
    mine: Belongings


async def settled(channel: grpc.aio.Channel, model: ScriptedModel, scene: Scene) -> Pair:
    her, me = RuntimeClient(channel), RuntimeClient(channel)
    return Pair(her, await scene(her, model), me, await scene(me, model))


Pairs = Callable[[Scene], Awaitable[Pair]]


@pytest.fixture(scope="module")
async def channel(runtime: RuntimeProcess) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(runtime.address) as channel:
        yield channel


@pytest.fixture(scope="module")
async def pair_of(channel: grpc.aio.Channel, shared_model: ScriptedModel) -> Pairs:
    """Makes each scene once: refused calls and reads leave it as it was."""
    pairs: dict[Scene, Pair] = {}

    async def pair(scene: Scene) -> Pair:
        if scene not in pairs:
            pairs[scene] = await settled(channel, shared_model, scene)
        return pairs[scene]

    return pair


@each_use
async def test_what_belongs_to_another_is_answered_like_what_does_not_exist(
    channel: grpc.aio.Channel, pair_of: Pairs, model: ScriptedModel, use: Use
) -> None:
    pair = await pair_of(use.scene)
    hers, mine = pair.hers, pair.mine
    before = await picture(pair.her, hers.session_id)
    if list(ids_in(use.request(hers))):
        theirs = await outcome(channel, pair.me, use.rpc, use.request(hers))
        assert theirs == await outcome(channel, pair.me, use.rpc, use.request(NOTHING))
        assert theirs.code == grpc.StatusCode.NOT_FOUND
    for path in ids_in(use.request(mine)):
        outcomes = []
        for ids in (hers, NOTHING):
            request = use.request(mine)
            setattr(at(request, path), path[-1], getattr(at(use.request(ids), path), path[-1]))
            outcomes.append(await outcome(channel, pair.me, use.rpc, request))
        assert outcomes[0] == outcomes[1], path
        assert not [named for named in hers.ids if named.encode() in b"".join(outcomes[0].answers)], path
    assert await picture(pair.her, hers.session_id) == before


@pytest.mark.parametrize("runtime", ["postgresql"], indirect=True)
@each_use
async def test_ones_own_is_there_whatever_request_ids_others_have_used(
    channel: grpc.aio.Channel, pair_of: Pairs, model: ScriptedModel, use: Use
) -> None:
    pair = await (settled(channel, model, use.scene) if use.changes else pair_of(use.scene))
    seen: set[str] = set()
    for owner, its in ((pair.her, pair.hers), (pair.me, pair.mine)):
        request = use.request(its)
        if use.changes and not request.request_id:
            request.request_id = "of-this-use"
        answered = await outcome(channel, owner, use.rpc, request)
        assert answered.code == grpc.StatusCode.OK, answered
        said = b"".join(answered.answers)
        assert said or use.rpc.name in WITHOUT_A_WORD
        assert not [named for named in seen if named.encode() in said]
        # Calls are named by the model, which says the same to everyone here.
        seen = (its.ids | {owner.owner}) - {its.tool_call_id}
        if use.changes:
            await owner.leave(its.session_id)


async def test_one_request_id_serves_every_rpc_of_an_owner(
    channel: grpc.aio.Channel, client: RuntimeClient, model: ScriptedModel
) -> None:
    used: set[str] = set()
    for use in USES.values():
        if use.changes and use.rpc.name not in used:
            used.add(use.rpc.name)
            its = await use.scene(client, model)
            request = use.request(its)
            request.request_id = "of-everything"
            answered = await outcome(channel, client, use.rpc, request)
            assert answered.code == grpc.StatusCode.OK, answered
            await client.leave(its.session_id)
    assert len(used) > 10


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
