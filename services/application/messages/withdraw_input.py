"""WithdrawInput: takes back a message that has not entered the history."""

from __future__ import annotations

from services.application.idempotency import key_for
from services.application.ports import Principal, ReadModel, SessionStore
from services.application.turns.inputs.accepted_input import withdraw_input
from services.domain.errors import InputNotFoundError
from services.domain.input import Input
from services.domain.session_change import SessionChange


class WithdrawInput:
    """A message that is being taken at the same moment is either taken or withdrawn, never both."""

    def __init__(self, store: SessionStore, reads: ReadModel) -> None:
        self._store = store
        self._reads = reads

    async def execute(
        self, principal: Principal, *, session_id: str, input_id: str, request_id: str, correlation_id: str
    ) -> tuple[Input, int]:
        """The input as it was, and its place in the queue.

        Raises SessionNotFoundError, InputNotFoundError when it does not wait (any more), RequestIdReusedError.
        """

        def decide(change: SessionChange) -> None:
            for position, pending in enumerate(change.pending_inputs, 1):
                if pending.id == input_id:
                    withdraw_input(change, pending)
                    change.outcome = str(position)
                    return
            raise InputNotFoundError("no such input waits in this session")

        key = key_for(principal, "WithdrawInput", request_id, session_id=session_id, input_id=input_id)
        committed = await self._store.change(
            principal.owner_id, session_id, decide, correlation_id=correlation_id, key=key
        )
        withdrawn = await self._reads.input(principal.owner_id, session_id, input_id)
        return withdrawn, int(committed.outcome)
