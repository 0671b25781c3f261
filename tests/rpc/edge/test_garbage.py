"""A refusal leaves little to the garbage collector: a flood of them must not cost more than it has to."""

from __future__ import annotations

import asyncio
import gc
from typing import Any, Never

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from services.domain.errors import RateLimitedError
from tests.rpc.edge.edge_server import Edge, running_edge
from tests.rpc.edge.rpc_errors import refusal_of

_CALLS = 30
_OF_GRPC = 60  # what gRPC itself leaves of a call that was aborted, at most; with the whole chain it was over a hundred


async def refuse(request: StringValue, context: Any) -> Never:
    raise RateLimitedError("too much", retry_after=1.0)


async def ask(edge: Edge, kind: str) -> None:
    await refusal_of(edge.unary("Refuse") if kind == "unary" else edge.stream("RefuseStream"))


@pytest.mark.parametrize("kind", ["unary", "stream"])
async def test_what_a_refused_call_was_made_of_is_gone_with_it(kind: str) -> None:
    async with running_edge(unary={"Refuse": refuse}, streams={"RefuseStream": refuse}) as edge:
        await ask(edge, kind)
        gc.collect()
        gc.disable()
        try:
            for _ in range(_CALLS):
                await ask(edge, kind)
            await asyncio.sleep(0.05)  # the last of their tasks ends
            left = gc.collect()
        finally:
            gc.enable()
    assert left / _CALLS < _OF_GRPC
