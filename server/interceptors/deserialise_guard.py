"""Requests that protobuf cannot decode are the caller's mistake; gRPC alone would answer UNKNOWN with internals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from server.interceptors.rpc import Proceed, Rpc
from services.domain.errors import InvalidArgumentError


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Stands in for a request that could not be decoded, until the chain is there to refuse it."""

    error: Exception


def guarded(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """The deserialiser, with an Undecodable instead of an exception; None (raw bytes) stays None."""
    if deserialize is None:
        return None

    def guard(data: bytes) -> Any:
        try:
            return deserialize(data)
        except Exception as error:
            return Undecodable(error)

    return guard


async def refuse_undecodable(rpc: Rpc, proceed: Proceed) -> Any:
    """INVALID_ARGUMENT for what `guarded` could not decode."""
    if isinstance(rpc.request, Undecodable):
        raise InvalidArgumentError(message="the request cannot be decoded") from rpc.request.error
    return await proceed()
