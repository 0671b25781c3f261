"""Every RPC with nothing, with garbage and with hostile values: always an answer that a client knows (G10)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from agent_runtime.v1 import input_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel
from tests.support.rpcs import OFFERED, RPCS, Rpc
from tests.support.runtime_client import Refusal, RuntimeClient, refusal_of

CODES = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNIMPLEMENTED,
}
INTEGERS = (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64)
TEXTS = (
    "\x00",
    " ",
    "x" * 300_000,
    "'; DROP TABLE sessions; --",
    "%s %(x)s {0} {x}",
    "\u202e\ufeff👩‍👩‍👧",
    "../../etc/passwd",
)
WITH_NO_FIELDS = {"SessionService/CreateSession", "SessionService/ListSessions"}
WITH_NO_FIELDS |= {"AgentService/ListAgents", "AgentService/GetAgentUsageStats", "ApprovalService/ListApprovals"}
WITH_NO_FIELDS |= {"ApprovalService/ListApprovalRules"}


async def outcome(rpc: Rpc, channel: grpc.aio.Channel, data: bytes, client: RuntimeClient) -> Refusal | None:
    """None when the call went well; else a refusal that is one of those a client may meet."""
    try:
        await rpc.call(channel, data, client.metadata)
    except grpc.aio.AioRpcError as error:
        refusal = refusal_of(error)
        assert refusal.code in CODES, (rpc.name, data[:200], refusal)
        assert refusal.reason, (rpc.name, data[:200], refusal)
        return refusal
    return None


async def test_an_empty_request_is_fine_or_names_what_is_missing(
    runtime: RuntimeProcess, client: RuntimeClient
) -> None:
    async with grpc.aio.insecure_channel(runtime.address) as channel:
        for rpc in RPCS:
            refusal = await outcome(rpc, channel, b"", client)
            if rpc.name not in OFFERED:
                assert refusal is not None
                assert refusal.reason == "NOT_IMPLEMENTED_YET"
            elif rpc.name in WITH_NO_FIELDS:
                assert refusal is None, rpc.name
            else:
                assert refusal is not None
                assert refusal.fields


async def test_bytes_that_are_no_request_are_the_callers_mistake(
    runtime: RuntimeProcess, client: RuntimeClient
) -> None:
    chance = random.Random(1)
    garbage = [b"\xff\xff\xff", b"\x0a\xff\xff\xff\xff\x0f", bytes(range(256))]
    async with grpc.aio.insecure_channel(runtime.address) as channel:
        for rpc in RPCS:
            for data in garbage:
                refusal = await outcome(rpc, channel, data, client)
                assert refusal is not None
                assert refusal.reason == "INVALID_ARGUMENT", (rpc.name, data)
            await outcome(rpc, channel, b"\x0a\x02\xc3\x28", client)  # no UTF-8, where field 1 is a text
            for _ in range(10):
                await outcome(rpc, channel, chance.randbytes(chance.randrange(1, 60)), client)


@pytest.mark.parametrize("rpc", [rpc for rpc in RPCS if rpc.name in OFFERED], ids=lambda rpc: rpc.name)
async def test_hostile_values_in_any_field_never_break_anything(
    runtime: RuntimeProcess, client: RuntimeClient, model: ScriptedModel, rpc: Rpc
) -> None:
    session = await client.new_session()
    async with grpc.aio.insecure_channel(runtime.address) as channel:
        for request in hostile_requests(rpc, session.id):
            await outcome(rpc, channel, request.SerializeToString(), client)
    await client.list_sessions()


def hostile_requests(rpc: Rpc, session_id: str) -> Iterator[Message]:
    """Good requests with one field of theirs, at any depth, made hostile."""
    for field in rpc.request.DESCRIPTOR.fields:
        if field.name == "detach":
            continue
        for value in _hostile_values(field):
            request = _good_request(rpc, session_id)
            _set(request, field, value)
            yield request
        if field.message_type is not None and not field.is_repeated:
            for inner in field.message_type.fields:
                for value in _hostile_values(inner):
                    request = _good_request(rpc, session_id)
                    _set(getattr(request, field.name), inner, value)
                    yield request


def _good_request(rpc: Rpc, session_id: str) -> Message:
    fields = rpc.request.DESCRIPTOR.fields_by_name
    request: Any = rpc.request()
    if "session_id" in fields and "Create" not in rpc.name:
        request.session_id = session_id
    if "detach" in fields:
        request.detach = True
        request.user_message.CopyFrom(input_pb2.UserMessage(text="hello"))
    if "stop_at_head" in fields:
        request.stop_at_head = True
        request.after_sequence = 0
    return request  # type: ignore[no-any-return]


def _hostile_values(field: Any) -> tuple[Any, ...]:
    if field.type == FieldDescriptor.TYPE_STRING:
        return TEXTS
    if field.type in INTEGERS:
        most = 2**31 if field.type == FieldDescriptor.TYPE_INT32 else 2**63
        return (-most, -1, 0, most - 1)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return (-1, 0, 99)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return (True,)
    return ()


def _set(message: Message, field: Any, value: Any) -> None:
    if field.is_repeated:
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)
