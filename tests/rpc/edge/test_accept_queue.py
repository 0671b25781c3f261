"""gRPC hands over waiting calls as slowly as the accept queue takes for granted; another release of it may not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import BoolValue, StringValue

from server.accept_queue import AcceptQueue
from server.interceptors.seam import InterceptionSeam

_SERVICE, _METHOD = "test.v1.BusyService", "Begin"
_MANY = 200


@pytest.fixture
async def begin() -> AsyncIterator[Any]:
    """A method that says whether its call was one too many, for a server that has no patience with queues."""
    queue = AcceptQueue(f"/{_SERVICE}/{_METHOD}", patience=0.0)

    async def answer(request: StringValue, context: Any) -> BoolValue:
        return BoolValue(value=await queue.is_too_long("ann"))

    server = grpc.aio.server(interceptors=[InterceptionSeam([], on_call=queue.taken)])
    method = grpc.unary_unary_rpc_method_handler(
        answer, request_deserializer=StringValue.FromString, response_serializer=BoolValue.SerializeToString
    )
    server.add_registered_method_handlers(_SERVICE, {_METHOD: method})
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel.unary_unary(
            f"/{_SERVICE}/{_METHOD}",
            request_serializer=StringValue.SerializeToString,
            response_deserializer=BoolValue.FromString,
        )
    await server.stop(None)


async def test_calls_that_wait_for_one_another_show(begin: Any) -> None:
    answers = await asyncio.gather(*(begin(StringValue()) for _ in range(_MANY)))
    assert sum(answer.value for answer in answers) > _MANY // 2


async def test_calls_one_after_the_other_are_no_queue(begin: Any) -> None:
    assert not any([(await begin(StringValue())).value for _ in range(_MANY)])
