"""How a client reads an error: code, text and details, through the public decoder of grpcio-status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status


@dataclass(frozen=True)
class Refusal:
    """One error as the client got it."""

    code: grpc.StatusCode
    message: str
    reason: str
    metadata: dict[str, str]
    retry_after: float | None
    fields: tuple[str, ...]
    trailers: dict[str, str | bytes]


async def refusal_of(call: Any) -> Refusal:
    """The error a call ended with; fails if it went well or has no details. Messages of a stream are skipped."""
    try:
        if hasattr(call, "__aiter__"):
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return _read(error)
    raise AssertionError("the call went well")


def _read(error: grpc.aio.AioRpcError) -> Refusal:
    # It also checks that code and text in the details are those of the status itself.
    status = rpc_status.from_call(cast(Any, error))
    assert status is not None, f"{error.code()} {error.details()!r} came without details"
    info, retry, bad = ErrorInfo(), RetryInfo(), BadRequest()
    has_retry = False
    for packed in status.details:
        packed.Unpack(info)
        packed.Unpack(bad)
        has_retry |= packed.Unpack(retry)
    return Refusal(
        code=error.code(),
        message=error.details() or "",
        reason=info.reason,
        metadata=dict(info.metadata),
        retry_after=retry.retry_delay.ToTimedelta().total_seconds() if has_retry else None,
        fields=tuple(violation.field for violation in bad.field_violations),
        trailers={str(key): value for key, value in error.trailing_metadata() or ()},
    )
