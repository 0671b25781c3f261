"""The one table from the domain's errors to gRPC: code, reason and details that always fit into the trailers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

from services.domain.errors import (
    AbortedError,
    AlreadyExistsError,
    DeadlineExceededError,
    ErrorReason,
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
    NotImplementedYetError,
    PermissionDeniedError,
    ResourceExhaustedError,
    RuntimeServiceError,
    SequenceAheadError,
    UnauthenticatedError,
    UnavailableError,
)
from services.domain.model_exchange import ModelError

DOMAIN = "agent-runtime"

# Trailers larger than a client's limit turn the real code into RESOURCE_EXHAUSTED, so everything here is bounded.
MAX_MESSAGE_BYTES = 1024
MAX_DETAILS_BYTES = 4096
_MAX_METADATA_ENTRIES = 8
_MAX_METADATA_KEY = 40
_MAX_TEXT = 256
_MAX_QUOTA_TEXT = 128
# What a packed `Any` adds to its message: type URL, tags and lengths.
_ANY_OVERHEAD = 80

CODES: Mapping[type[RuntimeServiceError], grpc.StatusCode] = {
    InvalidArgumentError: grpc.StatusCode.INVALID_ARGUMENT,
    UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDeniedError: grpc.StatusCode.PERMISSION_DENIED,
    NotImplementedYetError: grpc.StatusCode.UNIMPLEMENTED,
    DeadlineExceededError: grpc.StatusCode.DEADLINE_EXCEEDED,
    NotFoundError: grpc.StatusCode.NOT_FOUND,
    AlreadyExistsError: grpc.StatusCode.ALREADY_EXISTS,
    FailedPreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
    AbortedError: grpc.StatusCode.ABORTED,
    ResourceExhaustedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    SequenceAheadError: grpc.StatusCode.OUT_OF_RANGE,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
    # A model that fails within an accepted turn is an event; as a status it says only that it is away.
    ModelError: grpc.StatusCode.UNAVAILABLE,
}


def code_of(error: type[RuntimeServiceError]) -> grpc.StatusCode:
    """The status code of an error class: its own, or that of the nearest base in the table; INTERNAL without one."""
    return next((CODES[base] for base in error.__mro__ if base in CODES), grpc.StatusCode.INTERNAL)


def status_of(error: RuntimeServiceError) -> Status:
    """The status for a refusal, with ErrorInfo and whichever of RetryInfo, QuotaFailure and BadRequest apply.

    The message is cut to 1 KiB and the whole to 4 KiB; field violations that do not fit are counted, not sent.
    """
    details: list[Message] = [
        ErrorInfo(reason=error.reason.value, domain=DOMAIN, metadata=_bounded_metadata(error.metadata))
    ]
    if error.retry_after is not None:
        delay = Duration()
        delay.FromNanoseconds(round(max(error.retry_after, 0.0) * 1_000_000_000))
        details.append(RetryInfo(retry_delay=delay))
    if isinstance(error, ResourceExhaustedError) and error.quota is not None:
        subject, description = (_cut(text, _MAX_QUOTA_TEXT) for text in error.quota)
        violation = QuotaFailure.Violation(subject=subject, description=description)
        details.append(QuotaFailure(violations=[violation]))
    status = _status(code_of(type(error)), error.message, details)
    if isinstance(error, InvalidArgumentError) and error.violations:
        room = MAX_DETAILS_BYTES - status.ByteSize() - _ANY_OVERHEAD
        status.details.add().Pack(_bad_request(error.violations, room))
    return status


def internal_status(correlation_id: str) -> Status:
    """What a caller learns of an unexpected failure: a fixed text, and the id under which the log has the rest."""
    info = ErrorInfo(reason=ErrorReason.INTERNAL.value, domain=DOMAIN, metadata={"correlation_id": correlation_id})
    message = f"internal error; the server's log has the details under correlation id {correlation_id}"
    return _status(grpc.StatusCode.INTERNAL, message, [info])


def _status(code: grpc.StatusCode, message: str, details: Iterable[Message]) -> Status:
    # On the wire each byte that is not printable ASCII becomes three.
    limit = MAX_MESSAGE_BYTES if message.isascii() and message.isprintable() else MAX_MESSAGE_BYTES // 3
    status = Status(code=code.value[0], message=_cut(message, limit))
    for detail in details:
        status.details.add().Pack(detail)
    return status


def _bounded_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    entries = list(metadata.items())[:_MAX_METADATA_ENTRIES]
    return {_cut(key, _MAX_METADATA_KEY): _cut(value, _MAX_TEXT) for key, value in entries}


def _bad_request(violations: Iterable[FieldViolation], room: int) -> BadRequest:
    request = BadRequest()
    left_out = 0
    more = BadRequest.FieldViolation(field="", description="and 999999 more")
    room -= more.ByteSize() + 4
    for violation in violations:
        entry = BadRequest.FieldViolation(
            field=_cut(violation.field, _MAX_TEXT),
            description=_cut(violation.description, _MAX_TEXT),
        )
        if request.ByteSize() + entry.ByteSize() + 4 > room:
            left_out += 1
        else:
            request.field_violations.append(entry)
    if left_out:
        request.field_violations.append(BadRequest.FieldViolation(description=f"and {left_out} more"))
    return request


def _cut(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, never half a character; what protobuf could not encode becomes `?`."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return encoded.decode("utf-8")
    return encoded[: limit - 3].decode("utf-8", "ignore") + "…"
