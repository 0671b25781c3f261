"""DecideApproval: a person's decision as a unary call; the same as the input of SendMessage."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.application.idempotency import fields_of, key_for
from services.application.ports import Principal, ReadModel
from services.application.turns.input_acceptance import InputAcceptance
from services.domain.approval import Approval
from services.domain.errors import FieldViolation, InvalidArgumentError
from services.domain.input import ApprovalDecision


@dataclass(frozen=True, slots=True)
class DecidedApproval:
    """The approval as it is now, and the input its decision was accepted as."""

    approval: Approval
    input_id: str
    accepted_sequence: int


class DecideApproval:
    """Of any number of deciders one wins; whoever says the same again is answered the same."""

    def __init__(self, acceptance: InputAcceptance, reads: ReadModel) -> None:
        self._acceptance = acceptance
        self._reads = reads

    async def execute(
        self,
        principal: Principal,
        *,
        session_id: str,
        decision: ApprovalDecision,
        request_id: str,
        correlation_id: str,
    ) -> DecidedApproval:
        """Raises SessionNotFoundError, ApprovalNotFoundError, ApprovalResolvedError, ArgumentsHashMismatchError,
        InvalidArgumentError for edits that must not run, RequestIdReusedError.
        """
        key = key_for(principal, "DecideApproval", request_id, session_id=session_id, **fields_of(decision))
        try:
            _, accepted, _ = await self._acceptance.accept(
                principal,
                session_id=session_id,
                content=decision,
                request_id=request_id,
                key=key,
                correlation_id=correlation_id,
            )
        except InvalidArgumentError as error:
            raise InvalidArgumentError([_here(violation) for violation in error.violations]) from None
        approval = await self._reads.approval(principal.owner_id, session_id, decision.approval_id)
        return DecidedApproval(approval, accepted.input_id, accepted.sequence)


def _here(violation: FieldViolation) -> FieldViolation:
    """The field as this request names it."""
    return replace(violation, field=violation.field.replace("approval_decision.", "decision.", 1))
