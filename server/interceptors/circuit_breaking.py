"""A call that needs what is known to be away is refused at once, instead of waiting for a timeout in a queue."""

from __future__ import annotations

from typing import Any

from server.interceptors.needs import ANSWERED_FROM_MEMORY, needs_of
from server.interceptors.rpc import Proceed, Rpc
from services.application.ports.circuits import Admission, CircuitOpenError, Circuits, Need
from services.domain.errors import DatabaseBusyError, DatabaseUnavailableError, LlmUnavailableError


class CircuitBreaking:
    """Admits calls by the circuits of what they need, and tells the database's circuit how they end.

    The circuits of models are only looked at: the model client feeds them, with requests to the model and not with
    calls.
    """

    def __init__(self, circuits: Circuits) -> None:
        self._circuits = circuits

    async def __call__(self, rpc: Rpc, proceed: Proceed) -> Any:
        """Raises LlmUnavailableError or DatabaseUnavailableError, with the time to the next probe, before anything."""
        needs = needs_of(rpc.method, rpc.request)
        if Need.MODEL in needs and (wait := self._circuits.open_for(Need.MODEL)) is not None:
            raise LlmUnavailableError("the model is away; it is asked again later", retry_after=wait)
        if Need.DATABASE not in needs:
            return await proceed()
        try:
            admission = self._circuits.database.admit()
        except CircuitOpenError as refused:
            text = "the database is away; it is asked again later"
            raise DatabaseUnavailableError(text, retry_after=refused.retry_after) from None
        return await _recorded(rpc, proceed, admission)


async def _recorded(rpc: Rpc, proceed: Proceed, admission: Admission) -> Any:
    """Other refusals say nothing about the database: most of them come before it is asked."""
    if rpc.method in ANSWERED_FROM_MEMORY:
        admission.dropped()
    # A stream may last for hours, and has its answer from the database when it begins.
    rpc.context.when_accepted = admission.succeeded
    try:
        response = await proceed()
    except DatabaseBusyError:
        # What serves others is not away, and keeping everybody from it would not help those who had to wait.
        raise
    except DatabaseUnavailableError:
        admission.failed()
        raise
    else:
        admission.succeeded()
        return response
    finally:
        admission.dropped()
