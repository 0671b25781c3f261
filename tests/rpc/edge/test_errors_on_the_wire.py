"""What a caller is told when something goes wrong, and what it is never told."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from services.domain.errors import (
    FieldViolation,
    InvalidArgumentError,
    RateLimitedError,
    SessionNotFoundError,
    TurnInProgressError,
)
from tests.rpc.edge.edge_server import Edge, running_edge
from tests.rpc.edge.rpc_errors import Refusal, refusal_of

CANARY = "canary-7b1e postgresql://root:hunter-two@db.internal/x /srv/secret"


class Leak(Exception):
    """Raised with the canary by whatever should not talk."""


def raising(error: BaseException) -> Any:
    async def handler(request: StringValue, context: Any) -> StringValue:
        raise error

    return handler


async def writes_then_fails(request: StringValue, context: Any) -> None:
    await context.write(StringValue(value="first"))
    raise Leak(CANARY)


async def refused_both_ways(error: BaseException) -> list[Refusal]:
    async with running_edge(unary={"Call": raising(error)}, streams={"Watch": raising(error)}) as edge:
        return [await refusal_of(edge.unary("Call")), await refusal_of(edge.stream("Watch"))]


async def test_a_domain_error_arrives_with_code_reason_and_details() -> None:
    error = TurnInProgressError("a turn is active", metadata={"turn_id": "turn_1"})
    for refusal in await refused_both_ways(error):
        assert refusal.code is grpc.StatusCode.ABORTED
        assert (refusal.message, refusal.reason) == ("a turn is active", "TURN_IN_PROGRESS")
        assert refusal.metadata == {"turn_id": "turn_1"}


async def test_waiting_time_and_fields_arrive() -> None:
    limited, _ = await refused_both_ways(RateLimitedError("slow down", retry_after=2.5))
    assert (limited.code, limited.retry_after) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 2.5)
    invalid, _ = await refused_both_ways(InvalidArgumentError([FieldViolation("a.b", "is required")]))
    assert (invalid.code, invalid.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("a.b",))


@pytest.mark.parametrize("letter", ["x", "я", "\x00", "🌍"])
async def test_the_largest_details_pass_a_client_with_default_limits(letter: str) -> None:
    error = InvalidArgumentError([FieldViolation(letter * 5000, letter * 5000)] * 100, letter * 5000)
    for refusal in await refused_both_ways(error):
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert len(refusal.fields) > 1


@pytest.mark.parametrize("error", [Leak(CANARY), ExceptionGroup(CANARY, [Leak(CANARY)]), grpc.aio.UsageError(CANARY)])
async def test_an_unexpected_exception_is_internal_and_tells_nothing(error: Exception) -> None:
    async with running_edge(unary={"Call": raising(error)}, streams={"Watch": raising(error)}) as edge:
        refusals = [
            await refusal_of(edge.unary("Call", metadata=(("x-correlation-id", "call-1"),))),
            await refusal_of(edge.stream("Watch", metadata=(("x-correlation-id", "call-2"),))),
        ]
        for number, refusal in enumerate(refusals, 1):
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
            assert refusal.metadata == {"correlation_id": f"call-{number}"}
            assert "canary" not in repr(refusal)
            assert "Leak" not in repr(refusal)
        logged = edge.log_lines("unexpected error")
        assert [record["correlation_id"] for record in logged] == ["call-1", "call-2"]
        assert all("canary-7b1e" in record["exception"] for record in logged)
        # The log is for us, but a password stays out of it, too.
        assert "hunter-two" not in edge.log.getvalue()


async def test_a_stream_that_breaks_later_tells_nothing_either() -> None:
    async with running_edge(streams={"Watch": writes_then_fails}) as edge:
        refusal = await refusal_of(edge.stream("Watch"))
        assert refusal.code is grpc.StatusCode.INTERNAL
        assert "canary" not in repr(refusal)


async def test_an_answer_that_cannot_be_encoded_is_internal() -> None:
    class Odd:
        def __repr__(self) -> str:
            return CANARY

    async def unary(request: StringValue, context: Any) -> Any:
        return Odd()

    async def stream(request: StringValue, context: Any) -> None:
        await context.write(Odd())

    async with running_edge(unary={"Call": unary}, streams={"Watch": stream}) as edge:
        for call in (edge.unary("Call"), edge.stream("Watch")):
            refusal = await refusal_of(call)
            assert refusal.code is grpc.StatusCode.INTERNAL
            assert "canary" not in repr(refusal)


async def test_a_cancellation_from_within_does_not_leave_the_caller_waiting() -> None:
    for refusal in await refused_both_ways(asyncio.CancelledError(CANARY)):
        assert refusal.code is grpc.StatusCode.INTERNAL
        assert "canary" not in repr(refusal)


async def test_a_handlers_own_abort_passes() -> None:
    async def handler(request: StringValue, context: Any) -> None:
        await context.abort(grpc.StatusCode.DATA_LOSS, "by hand")

    async with running_edge(unary={"Call": handler}, streams={"Watch": handler}) as edge:
        for call in (edge.unary("Call"), edge.stream("Watch")):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call.read() if hasattr(call, "read") else await call
            assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.DATA_LOSS, "by hand")
        assert [record["code"] for record in await edge.access_lines(2)] == ["DATA_LOSS", "DATA_LOSS"]
        assert not edge.log_lines("unexpected error")


UNDECODABLE = [b"\xff\xff\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xfe", b"\x0b" * 200, b"\x00"]


@pytest.mark.parametrize("garbage", UNDECODABLE)
async def test_an_undecodable_request_is_the_callers_mistake(garbage: bytes) -> None:
    reached: list[object] = []

    async def handler(request: StringValue, context: Any) -> StringValue:
        reached.append(request)
        return request

    async with running_edge(unary={"Call": handler}, streams={"Watch": handler}) as edge:
        for call in (edge.unary("Call", garbage), edge.stream("Watch", garbage)):
            refusal = await refusal_of(call)
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
            assert "Error" not in refusal.message
        assert reached == []
        assert not edge.log_lines("unexpected error")


async def test_an_unknown_method_is_unimplemented() -> None:
    async with running_edge() as edge:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await edge.unary("Nothing")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_missing_session_says_so() -> None:
    for refusal in await refused_both_ways(SessionNotFoundError()):
        assert (refusal.code, refusal.message) == (grpc.StatusCode.NOT_FOUND, "no such session")


async def test_errors_come_before_initial_metadata_so_clients_may_retry() -> None:
    """A client's retry policy repeats UNAVAILABLE, which it does only while no initial metadata has arrived."""
    attempts: list[int] = []

    async def flaky(request: StringValue, context: Any) -> StringValue:
        attempts.append(1)
        if len(attempts) < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        return request

    policy = (
        '{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.01s",'
        ' "maxBackoff": "0.02s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}'
    )
    async with running_edge(unary={"Call": flaky}) as edge:
        options = [("grpc.service_config", policy)]
        async with grpc.aio.insecure_channel(edge.address, options=options) as channel:
            retrying = Edge(edge.address, channel, edge.drain, edge.deadline)
            assert (await retrying.unary("Call", "again")).value == "again"
    assert len(attempts) == 3
