"""The only place where an exception becomes a gRPC status; gRPC itself would send its text to the caller."""

from __future__ import annotations

import asyncio
from typing import Any, Never

import grpc
import structlog
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from server.errors import internal_status, status_of
from server.interceptors.rpc import Proceed, Rpc
from services.application.correlation import current_correlation_id
from services.domain.errors import ErrorReason, RuntimeServiceError

_log = structlog.stdlib.get_logger("server.errors")


async def map_errors(rpc: Rpc, proceed: Proceed) -> Any:
    """Domain errors end the call with their status; anything unexpected is logged once and answered with a fixed text.

    AbortError passes, and so does the cancellation that a caller causes by leaving.
    """
    try:
        return await proceed()
    except grpc.aio.AbortError:
        raise
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling() or rpc.context.hung_up:
            raise
        # Nobody cancelled this call: something inside was cancelled, and the caller still waits for an answer.
        await _abort_as_internal(rpc)
    except RuntimeServiceError as error:
        rpc.reason = error.reason
        error.__traceback__ = None  # its frames hold the call, and the call its handler's task, which holds the error
        await _abort(rpc, status_of(error))
    except Exception:
        await _abort_as_internal(rpc)


async def _abort_as_internal(rpc: Rpc) -> Never:
    _log.exception("unexpected error", method=rpc.method)
    rpc.reason = ErrorReason.INTERNAL
    await _abort(rpc, internal_status(current_correlation_id() or "none"))


async def _abort(rpc: Rpc, status: Status) -> Never:
    wire = rpc_status.to_status(status)
    await rpc.context.abort(wire.code, wire.details, tuple(wire.trailing_metadata))
