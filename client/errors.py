"""What a call can end with instead of an answer, with everything the server said about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

_Detail = TypeVar("_Detail", error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo)

# With no reason from the server these come from the connection, not from the runtime.
_TRANSPORT = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)
_PASSING = frozenset({"DATABASE_UNAVAILABLE", "DEADLINE_EXCEEDED", "DRAINING", "SLOW_CONSUMER"})
# What gRPC says when the two ends cannot agree on encryption; another try ends in the same way.
_WRONG_VERSION, _WRONG_NAME, _DISTRUST = "WRONG_VERSION_NUMBER", "Hostname Verification Check failed", "SSL_ERROR_SSL"
_CAUSES = {
    _WRONG_VERSION: "the server does not speak TLS on this port",
    _WRONG_NAME: "the server's certificate is for another name",
    _DISTRUST: "the server's certificate is not believed",
    "Domain name not found": "no such host is known",
}


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field of a request, by its path."""

    field: str
    description: str


@dataclass(eq=False)
class RuntimeCallError(Exception):
    """A call was refused or its connection broke. Branch on `reason`; `message` is for people.

    `reason` is a name of `ErrorReason` without its prefix, empty if the server did not say (a broken connection).
    `retry_delay` is in seconds, None if the server named none.
    """

    code: grpc.StatusCode
    message: str
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    field_violations: tuple[FieldViolation, ...] = ()
    retry_delay: float | None = None

    def __str__(self) -> str:
        return f"{self.reason or self.code.name}: {self.message}"

    @property
    def passes(self) -> bool:
        """Whether the same call may well succeed in a moment: the connection or the replica went away."""
        if self.reason:
            return self.reason in _PASSING
        return self.code in _TRANSPORT and not any(mark in self.message for mark in (_WRONG_NAME, _DISTRUST))

    @property
    def cause(self) -> str:
        """Why no connection comes about, in words for people where it is not simply away; else empty."""
        if self.reason or self.code not in _TRANSPORT:
            return ""
        return next((words for mark, words in _CAUSES.items() if mark in self.message), "")


class StreamEndedError(Exception):
    """A stream of an input ended without the input's outcome: the history was cleared meanwhile. GetTurn knows it."""


def call_error(error: grpc.aio.AioRpcError) -> RuntimeCallError:
    """The error with the details of its trailers, empty where there are none."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    details = list(status.details) if status is not None else []
    info = _unpacked(details, error_details_pb2.ErrorInfo)
    bad = _unpacked(details, error_details_pb2.BadRequest)
    retry = _unpacked(details, error_details_pb2.RetryInfo)
    return RuntimeCallError(
        code=error.code(),
        message=error.details() or "no details",
        reason=info.reason if info else "",
        metadata=dict(info.metadata) if info else {},
        field_violations=tuple(FieldViolation(v.field, v.description) for v in bad.field_violations) if bad else (),
        retry_delay=retry.retry_delay.ToNanoseconds() / 1e9 if retry else None,
    )


def _unpacked(details: list[Any], kind: type[_Detail]) -> _Detail | None:
    for packed in details:
        message = kind()
        if packed.Unpack(message):
            return message
    return None
