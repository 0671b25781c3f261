"""What the seam keeps from one call to the next is of no call."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass

import grpc
import pytest

from server.interceptors.seam import InterceptionSeam

HANDLERS: dict[str, grpc.RpcMethodHandler[object, object]] = {
    "unary": grpc.unary_unary_rpc_method_handler(lambda request, context: request),
    "stream": grpc.unary_stream_rpc_method_handler(lambda request, context: iter(())),
}


@dataclass
class Details:
    method: str
    invocation_metadata: tuple[tuple[str, str | bytes], ...] = ()


@pytest.mark.parametrize("kind", HANDLERS)
async def test_one_handler_serves_all_calls_of_a_method_and_remembers_none(kind: str) -> None:
    seam = InterceptionSeam([])

    async def find(_: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[object, object]:
        return HANDLERS[kind]

    first = Details("/some.Service/Call", (("authorization", "Bearer secret"),))
    remembered = weakref.ref(first)
    handler = await seam.intercept_service(find, first)
    del first
    gc.collect()
    assert remembered() is None
    assert await seam.intercept_service(find, Details("/some.Service/Call")) is handler
    assert await seam.intercept_service(find, Details("/some.Service/Other")) is not handler


async def test_methods_nobody_knows_are_not_remembered() -> None:
    seam, found = InterceptionSeam([]), [None, HANDLERS["unary"]]

    async def find(_: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[object, object] | None:
        return found.pop(0)

    assert await seam.intercept_service(find, Details("/some.Service/Call")) is None
    assert await seam.intercept_service(find, Details("/some.Service/Call")) is not None
