"""One log line per call, however it ends; never a word of what was said in it."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import grpc
import structlog

from server.interceptors.rpc import Proceed, Rpc

_logger = logging.getLogger("server.access")
_log = structlog.stdlib.get_logger(_logger.name)


async def log_access(rpc: Rpc, proceed: Proceed) -> Any:
    """Logs method, code, duration, caller and peer. A caller that hangs up is CANCELLED, which is nobody's error."""
    code = grpc.StatusCode.OK
    try:
        return await proceed()
    except grpc.aio.AbortError:
        code = rpc.context.aborted_with or grpc.StatusCode.UNKNOWN
        raise
    except asyncio.CancelledError:
        # The core cancels a call for its passed deadline just as for a caller that left.
        late = rpc.time_left is not None and time.monotonic() >= rpc.started + rpc.time_left
        code = rpc.context.aborted_with or (grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED)
        raise
    finally:
        if _logger.isEnabledFor(logging.INFO):
            _log.info("rpc", code=code.name, **_facts(rpc))


def _facts(rpc: Rpc) -> dict[str, str | int | float]:
    facts: dict[str, str | int | float] = {
        "method": rpc.method,
        "duration_ms": round((time.monotonic() - rpc.started) * 1000, 2),
        "peer": rpc.peer,
    }
    if rpc.reason is not None:
        facts["reason"] = rpc.reason.value
    if rpc.principal is not None:
        facts |= {"principal": rpc.principal.name, "owner": rpc.principal.owner_id}
    if rpc.streaming:
        facts["messages"] = rpc.context.messages_sent
    return facts
