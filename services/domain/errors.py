"""Every way the runtime says no: one tree of errors, so that each adapter translates at its own edge and nowhere
else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class ErrorReason(StrEnum):
    """The stable names a client may branch on; the contract's `ErrorReason` without its prefix."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    TOOL_RESULT_TOO_LARGE = "TOOL_RESULT_TOO_LARGE"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    OPERATOR_ROLE_REQUIRED = "OPERATOR_ROLE_REQUIRED"
    GATEWAY_KEY_REQUIRED = "GATEWAY_KEY_REQUIRED"
    NOT_IMPLEMENTED_YET = "NOT_IMPLEMENTED_YET"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    AGENT_NOT_FOUND = "AGENT_NOT_FOUND"
    TURN_NOT_FOUND = "TURN_NOT_FOUND"
    APPROVAL_NOT_FOUND = "APPROVAL_NOT_FOUND"
    APPROVAL_RULE_NOT_FOUND = "APPROVAL_RULE_NOT_FOUND"
    INPUT_NOT_FOUND = "INPUT_NOT_FOUND"
    DEAD_LETTER_NOT_FOUND = "DEAD_LETTER_NOT_FOUND"
    SESSION_ALREADY_EXISTS = "SESSION_ALREADY_EXISTS"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    SESSION_INACTIVE = "SESSION_INACTIVE"
    SESSION_MESSAGE_LIMIT = "SESSION_MESSAGE_LIMIT"
    SWITCH_LIMIT = "SWITCH_LIMIT"
    SAME_AGENT = "SAME_AGENT"
    APPROVAL_RESOLVED = "APPROVAL_RESOLVED"
    ARGUMENTS_HASH_MISMATCH = "ARGUMENTS_HASH_MISMATCH"
    TOOL_CALL_NOT_OPEN = "TOOL_CALL_NOT_OPEN"
    TURN_NOT_ACTIVE = "TURN_NOT_ACTIVE"
    NOTHING_TO_RESUME = "NOTHING_TO_RESUME"
    CONTEXT_FULL = "CONTEXT_FULL"
    TURN_IN_PROGRESS = "TURN_IN_PROGRESS"
    CONCURRENT_UPDATE = "CONCURRENT_UPDATE"
    SLOW_CONSUMER = "SLOW_CONSUMER"
    RATE_LIMITED = "RATE_LIMITED"
    TOO_MANY_STREAMS = "TOO_MANY_STREAMS"
    TOO_MANY_TURNS = "TOO_MANY_TURNS"
    QUEUE_FULL = "QUEUE_FULL"
    TOO_MANY_RULES = "TOO_MANY_RULES"
    TOO_MANY_SESSIONS = "TOO_MANY_SESSIONS"
    TOO_MANY_BYTES = "TOO_MANY_BYTES"
    STORAGE_FULL = "STORAGE_FULL"
    SEQUENCE_AHEAD = "SEQUENCE_AHEAD"
    LLM_UNAVAILABLE = "LLM_UNAVAILABLE"
    DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE"
    DRAINING = "DRAINING"
    LLM_BAD_RESPONSE = "LLM_BAD_RESPONSE"
    CONTENT_FILTERED = "CONTENT_FILTERED"
    BUDGET_EXHAUSTED = "BUDGET_EXHAUSTED"
    WAIT_EXPIRED = "WAIT_EXPIRED"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field: its dotted path in the request (`tool_results.results[3].text`) and what would be right."""

    field: str
    description: str


class RuntimeServiceError(Exception):
    """Anything the runtime refuses on purpose; its message is written for the caller and holds no internals.

    `metadata` becomes `ErrorInfo.metadata` (short strings only), `retry_after` (seconds) becomes `RetryInfo`.
    """

    reason: ErrorReason = ErrorReason.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        reason: ErrorReason | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.metadata: Mapping[str, str] = metadata or {}
        self.retry_after = retry_after
        if reason is not None:
            self.reason = reason


class InvalidArgumentError(RuntimeServiceError):
    """A request that could never succeed as written; names every wrong field."""

    reason = ErrorReason.INVALID_ARGUMENT

    def __init__(self, violations: Sequence[FieldViolation] = (), message: str | None = None) -> None:
        super().__init__(message or "; ".join(f"{v.field}: {v.description}" for v in violations))
        self.violations = tuple(violations)

    @classmethod
    def of(cls, field: str, description: str) -> InvalidArgumentError:
        """The error for one wrong field."""
        return cls([FieldViolation(field, description)])


class ToolResultTooLargeError(InvalidArgumentError):
    """A result is over the limit, which the error names; the tool can give a part of it instead."""

    reason = ErrorReason.TOOL_RESULT_TOO_LARGE

    def __init__(self, tool_call_id: str, limit: int) -> None:
        super().__init__(message=f"the result of {tool_call_id} is larger than {limit} bytes; send a part of it")
        self.metadata = {"tool_call_id": tool_call_id, "limit_bytes": str(limit)}


class UnauthenticatedError(RuntimeServiceError):
    """No credential, or one that is not known; says the same whichever it is."""

    reason = ErrorReason.UNAUTHENTICATED

    def __init__(self, message: str = "a valid credential is required") -> None:
        super().__init__(message)


class PermissionDeniedError(RuntimeServiceError):
    """The caller is known and may not do this."""


class OperatorRoleRequiredError(PermissionDeniedError):
    reason = ErrorReason.OPERATOR_ROLE_REQUIRED


class GatewayKeyRequiredError(PermissionDeniedError):
    reason = ErrorReason.GATEWAY_KEY_REQUIRED


class NotImplementedYetError(RuntimeServiceError):
    """A part of the contract that is announced and not built; nothing was done."""

    reason = ErrorReason.NOT_IMPLEMENTED_YET


class DeadlineExceededError(RuntimeServiceError):
    """The caller's deadline passed before the answer was ready."""

    reason = ErrorReason.DEADLINE_EXCEEDED


class NotFoundError(RuntimeServiceError):
    """No such thing, or someone else's: the two are never told apart (G8)."""


class SessionNotFoundError(NotFoundError):
    reason = ErrorReason.SESSION_NOT_FOUND

    def __init__(self) -> None:
        super().__init__("no such session")


class AgentNotFoundError(NotFoundError):
    reason = ErrorReason.AGENT_NOT_FOUND


class TurnNotFoundError(NotFoundError):
    reason = ErrorReason.TURN_NOT_FOUND

    def __init__(self) -> None:
        super().__init__("no such turn in this session")


class ApprovalNotFoundError(NotFoundError):
    reason = ErrorReason.APPROVAL_NOT_FOUND


class ApprovalRuleNotFoundError(NotFoundError):
    reason = ErrorReason.APPROVAL_RULE_NOT_FOUND


class InputNotFoundError(NotFoundError):
    reason = ErrorReason.INPUT_NOT_FOUND


class AlreadyExistsError(RuntimeServiceError):
    """The name or key is taken by something else."""


class SessionAlreadyExistsError(AlreadyExistsError):
    reason = ErrorReason.SESSION_ALREADY_EXISTS


class RequestIdReusedError(AlreadyExistsError):
    """A request id came back with another body (G5)."""

    reason = ErrorReason.REQUEST_ID_REUSED

    def __init__(self) -> None:
        super().__init__("this request_id was used with a different request body")


class FailedPreconditionError(RuntimeServiceError):
    """The thing is in a state that does not allow this; the state must change first."""


class SessionInactiveError(FailedPreconditionError):
    reason = ErrorReason.SESSION_INACTIVE


class SessionMessageLimitError(FailedPreconditionError):
    reason = ErrorReason.SESSION_MESSAGE_LIMIT


class SwitchLimitError(FailedPreconditionError):
    reason = ErrorReason.SWITCH_LIMIT


class SameAgentError(FailedPreconditionError):
    reason = ErrorReason.SAME_AGENT


class ApprovalResolvedError(FailedPreconditionError):
    reason = ErrorReason.APPROVAL_RESOLVED


class ApprovalOverdueError(ApprovalResolvedError):
    """The approval has run out and nobody has recorded that yet."""

    def __init__(self, approval_id: str) -> None:
        super().__init__("the approval is over", metadata={"outcome": "EXPIRED"})
        self.approval_id = approval_id


class ArgumentsHashMismatchError(FailedPreconditionError):
    reason = ErrorReason.ARGUMENTS_HASH_MISMATCH


class ToolCallNotOpenError(FailedPreconditionError):
    reason = ErrorReason.TOOL_CALL_NOT_OPEN


class TurnNotActiveError(FailedPreconditionError):
    reason = ErrorReason.TURN_NOT_ACTIVE


class NothingToResumeError(FailedPreconditionError):
    reason = ErrorReason.NOTHING_TO_RESUME


class AbortedError(RuntimeServiceError):
    """Somebody else was first; the caller may look again and decide anew."""


class TurnInProgressError(AbortedError):
    """One turn at a time per session (G3); metadata names turn, state and what it waits for."""

    reason = ErrorReason.TURN_IN_PROGRESS


class ConcurrentUpdateError(AbortedError):
    reason = ErrorReason.CONCURRENT_UPDATE


class SlowConsumerError(AbortedError):
    """The reader did not take a write in time; metadata holds `resume_after_sequence`."""

    reason = ErrorReason.SLOW_CONSUMER


class ResourceExhaustedError(RuntimeServiceError):
    """A limit was reached; `quota` names it (subject, description) when it is one the caller can plan for."""

    def __init__(
        self,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        reason: ErrorReason | None = None,
        quota: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(message, metadata=metadata, retry_after=retry_after, reason=reason)
        self.quota = quota


class RateLimitedError(ResourceExhaustedError):
    reason = ErrorReason.RATE_LIMITED


class TooManyStreamsError(ResourceExhaustedError):
    reason = ErrorReason.TOO_MANY_STREAMS


class TooManyTurnsError(ResourceExhaustedError):
    reason = ErrorReason.TOO_MANY_TURNS


class QueueFullError(ResourceExhaustedError):
    reason = ErrorReason.QUEUE_FULL


class TooManyRulesError(ResourceExhaustedError):
    reason = ErrorReason.TOO_MANY_RULES


class TooManySessionsError(ResourceExhaustedError):
    reason = ErrorReason.TOO_MANY_SESSIONS


class TooManyBytesError(ResourceExhaustedError):
    reason = ErrorReason.TOO_MANY_BYTES


class StorageFullError(ResourceExhaustedError):
    """The disk or the database's quota is full; reads and deletes still work."""

    reason = ErrorReason.STORAGE_FULL


class SequenceAheadError(RuntimeServiceError):
    """A cursor beyond the end of the log: it cannot come from this session's log."""

    reason = ErrorReason.SEQUENCE_AHEAD


class UnavailableError(RuntimeServiceError):
    """Something the call needs is away for now; trying later helps."""


class LlmUnavailableError(UnavailableError):
    reason = ErrorReason.LLM_UNAVAILABLE


class DatabaseUnavailableError(UnavailableError):
    reason = ErrorReason.DATABASE_UNAVAILABLE


class DatabaseBusyError(DatabaseUnavailableError):
    """It is there and serves others; this call has waited in vain for its turn."""


class DrainingError(UnavailableError):
    reason = ErrorReason.DRAINING
