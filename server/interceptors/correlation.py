"""Every call has an id that the caller, the log, the events and the model provider see alike."""

from __future__ import annotations

from typing import Any

from server.interceptors.rpc import Proceed, Rpc
from server.telemetry.correlation import CORRELATION_ID_KEY, correlation_id_from, traceparent_from
from services.application.correlation import bind_correlation


async def correlate(rpc: Rpc, proceed: Proceed) -> Any:
    """Binds the caller's id and trace, or a new id, to this task; the answer carries the id.

    A good answer has it in the initial metadata, an error in the trailers: initial metadata before an error would
    switch off the client's retry policy.
    """
    correlation_id = correlation_id_from(rpc.metadata)
    bind_correlation(correlation_id, traceparent_from(rpc.metadata))
    rpc.context.answer_metadata = ((CORRELATION_ID_KEY, correlation_id),)
    response = await proceed()
    await rpc.context.accept()
    return response
