"""How a call of a crowd ended, read from trailers as they came over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from google.rpc import error_details_pb2, status_pb2

from tests.faults.crowd.peer import trailer


@dataclass(frozen=True, slots=True)
class Ending:
    """The status's number, empty when the connection was lost, and what an error says of itself."""

    status: str
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | None = None


def end_of(trailers: bytes) -> Ending:
    """Reads them; binary trailers begin with a zero byte."""
    status = status_pb2.Status.FromString(trailer(trailers, b"grpc-status-details-bin")[1:])
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    retry_after = None
    for packed in status.details:
        packed.Unpack(info)
        if packed.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    return Ending(trailer(trailers, b"grpc-status").decode(), info.reason, dict(info.metadata), retry_after)
