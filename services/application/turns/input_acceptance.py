"""Accepting inputs: one transaction each, durable and once, then the turn it made runnable is run here."""

from __future__ import annotations

import json
from dataclasses import replace

from services.application.ports import AgentCatalog, IdempotencyKey, Principal, SessionStore
from services.application.turns.call_policy import CallPolicy
from services.application.turns.inputs.accept import accept, lookup_for
from services.application.turns.inputs.accepted_input import AcceptedInput, Sender
from services.application.turns.outside_steps import EXPIRING, expire_waits
from services.application.turns.running_turns import RunningTurns
from services.application.turns.turn_limits import TurnLimits
from services.application.uninterrupted import uninterrupted
from services.domain.errors import ApprovalNotFoundError, ApprovalOverdueError, ApprovalResolvedError
from services.domain.input import Disposition, InputContent, UserMessage
from services.domain.session_change import SessionChange


class InputAcceptance:
    """Takes inputs into sessions, for every RPC that brings one; any number at once."""

    def __init__(
        self,
        store: SessionStore,
        agents: AgentCatalog,
        turns: RunningTurns,
        policy: CallPolicy,
        limits: TurnLimits,
    ) -> None:
        self._store = store
        self._agents = agents
        self._turns = turns
        self._policy = policy
        self._limits = limits

    async def accept(
        self,
        principal: Principal,
        *,
        session_id: str,
        content: InputContent,
        expected_turn_id: str = "",
        request_id: str,
        key: IdempotencyKey | None,
        correlation_id: str,
        traceparent: str | None = None,
    ) -> tuple[int, AcceptedInput, bool]:
        """The session's key, the input, and whether it was accepted earlier: then nothing was done now.

        A turn that it starts is part of the caller's trace. A caller who gives up does not stop it half-way. Raises
        SessionNotFoundError, AgentNotFoundError, RequestIdReusedError and what `accept` raises for the kind of input.
        """
        if isinstance(content, UserMessage) and content.agent is not None:
            self._agents.get(content.agent)
        sender = Sender(request_id, principal.name, expected_turn_id, traceparent)

        def decide(change: SessionChange) -> None:
            accepted = accept(change, content, sender, self._policy, self._limits)
            change.outcome = remembered(change.session.key, accepted)

        async def commit_and_run() -> tuple[int, AcceptedInput, bool]:
            try:
                return await commit()
            except ApprovalOverdueError as error:
                raise await self._over(principal.owner_id, session_id, error) from None

        async def commit() -> tuple[int, AcceptedInput, bool]:
            committed = await self._store.change(
                principal.owner_id,
                session_id,
                decide,
                correlation_id=correlation_id,
                key=key,
                lookup=lookup_for(content),
            )
            self._turns.start_claimed(committed)
            session_key, accepted = recalled(committed.outcome)
            return session_key, accepted, committed.repeated or not committed.events

        return await uninterrupted(commit_and_run())

    async def _over(self, owner_id: str, session_id: str, error: ApprovalOverdueError) -> ApprovalResolvedError:
        """Records now that an approval has run out, so that whoever came too late is told what became of it."""

        def wait_expiry(change: SessionChange) -> None:
            expire_waits(change, self._limits, self._policy)
            approvals = {**change.loaded.known_approvals, **change.approvals}
            if error.approval_id not in approvals:
                raise ApprovalNotFoundError("no such approval in this session")
            change.outcome = approvals[error.approval_id].state

        lookup = replace(EXPIRING, approval_ids=(error.approval_id,))
        committed = await self._store.change(
            owner_id, session_id, wait_expiry, correlation_id="wait-expiry", lookup=lookup
        )
        self._turns.start_claimed(committed)
        return ApprovalResolvedError("the approval is over", metadata={"outcome": committed.outcome})


def remembered(session_key: int, accepted: AcceptedInput) -> str:
    """An accepted input as it is remembered under its request id."""
    return json.dumps([session_key, accepted.input_id, accepted.turn_id, accepted.sequence, accepted.disposition])


def recalled(outcome: str) -> tuple[int, AcceptedInput]:
    """The session's key and the input that `remembered` wrote."""
    session_key, input_id, turn_id, sequence, disposition = json.loads(outcome)
    return session_key, AcceptedInput(input_id, turn_id, sequence, Disposition(disposition))
