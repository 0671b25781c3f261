"""Every answer carries the correlation id, and everything logged for the call does."""

from __future__ import annotations

import asyncio
from typing import Any

from google.protobuf.wrappers_pb2 import StringValue

from services.application.correlation import current_correlation_id, current_traceparent
from services.domain.errors import SessionNotFoundError
from tests.rpc.edge.edge_server import running_edge
from tests.rpc.edge.rpc_errors import refusal_of

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def tell(request: StringValue, context: Any) -> StringValue:
    return StringValue(value=f"{current_correlation_id()} {current_traceparent()}")


async def tell_in_stream(request: StringValue, context: Any) -> None:
    await context.write(await tell(request, context))


async def silent(request: StringValue, context: Any) -> None:
    return None


async def refuse(request: StringValue, context: Any) -> StringValue:
    raise SessionNotFoundError


async def id_in_initial_metadata(call: Any) -> str | None:
    return {str(key): str(value) for key, value in await call.initial_metadata()}.get("x-correlation-id")


async def test_a_good_answer_has_the_id_in_its_initial_metadata_and_the_handler_sees_it() -> None:
    async with running_edge(unary={"Call": tell}, streams={"Watch": tell_in_stream, "Silent": silent}) as edge:
        metadata = (("x-correlation-id", "call-1"), ("traceparent", TRACE))
        call = edge.unary("Call", metadata=metadata)
        assert (await call).value == f"call-1 {TRACE}"
        assert await id_in_initial_metadata(call) == "call-1"

        stream = edge.stream("Watch", metadata=metadata)
        assert [message.value async for message in stream] == [f"call-1 {TRACE}"]
        assert await id_in_initial_metadata(stream) == "call-1"

        empty = edge.stream("Silent", metadata=metadata)
        assert [message async for message in empty] == []
        assert await id_in_initial_metadata(empty) == "call-1"


async def test_an_error_has_the_id_in_its_trailers() -> None:
    async with running_edge(unary={"Call": refuse}, streams={"Watch": refuse}) as edge:
        metadata = (("x-correlation-id", "call-2"),)
        for call in (edge.unary("Call", metadata=metadata), edge.stream("Watch", metadata=metadata)):
            assert (await refusal_of(call)).trailers["x-correlation-id"] == "call-2"


async def test_without_an_id_one_is_made_and_returned() -> None:
    async with running_edge(unary={"Call": tell}) as edge:
        call = edge.unary("Call", metadata=(("x-correlation-id", "not valid!"),))
        told = (await call).value.split()[0]
        assert len(told) == 32
        assert await id_in_initial_metadata(call) == told
        assert [record["correlation_id"] for record in edge.log_lines("rpc")] == [told]


async def test_a_stream_is_accepted_when_its_handler_says_so() -> None:
    release = asyncio.Event()

    async def handler(request: StringValue, context: Any) -> None:
        await context.accept()
        await release.wait()
        await context.write(StringValue(value="later"))

    async with running_edge(streams={"Watch": handler}) as edge:
        call = edge.stream("Watch", metadata=(("x-correlation-id", "call-3"),))
        async with asyncio.timeout(5):
            assert await id_in_initial_metadata(call) == "call-3"
        release.set()
        assert [message.value async for message in call] == ["later"]


async def test_calls_at_the_same_time_keep_their_ids_apart() -> None:
    async def slow(request: StringValue, context: Any) -> StringValue:
        await asyncio.sleep(0.01)
        return await tell(request, context)

    async with running_edge(unary={"Call": slow}) as edge:
        calls = [edge.unary("Call", metadata=(("x-correlation-id", f"call-{n}"),)) for n in range(100)]
        answers = [(await call).value.split()[0] for call in calls]
        assert answers == [f"call-{n}" for n in range(100)]
        assert len({record["correlation_id"] for record in edge.log_lines("rpc")}) == 100


async def test_the_id_of_a_refused_call_is_in_its_log_line() -> None:
    async with running_edge(unary={"Call": refuse}) as edge:
        await refusal_of(edge.unary("Call", metadata=(("x-correlation-id", "call-4"),)))
        (line,) = await edge.access_lines(1)
        assert (line["correlation_id"], line["code"], line["reason"]) == ("call-4", "NOT_FOUND", "SESSION_NOT_FOUND")
