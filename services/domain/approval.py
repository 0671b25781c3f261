"""An approval: one person's say over one call with one set of arguments, decided exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ApprovalState(StrEnum):
    """All but PENDING are final."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    APPROVED_WITH_EDITS = "APPROVED_WITH_EDITS"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    SUPERSEDED = "SUPERSEDED"
    CANCELLED = "CANCELLED"


class Decision(StrEnum):
    """What a person may decide."""

    APPROVE = "APPROVE"
    APPROVE_WITH_EDITS = "APPROVE_WITH_EDITS"
    REJECT = "REJECT"


class Remember(StrEnum):
    """Whether later calls of the same tool in the session are decided the same way."""

    NONE = "NONE"
    SESSION = "SESSION"


@dataclass(frozen=True, slots=True)
class Approval:
    """The record of one approval; `id` is unique in its session.

    `arguments_hash` binds a decision to what was shown under the rules that `policy_version` names. `released` alone
    says whether the call runs. `input_id` and `accepted_sequence` name the input that decided it, so that a repeat of
    the decision finds its stream.
    """

    id: str
    turn_id: str
    agent: str
    tool_call_id: str
    tool_name: str
    arguments_json: str
    arguments_hash: str
    display: str
    has_hidden_characters: bool
    reason: str
    rule_id: str
    available_decisions: tuple[Decision, ...]
    create_time: datetime
    expire_time: datetime | None
    can_remember: bool = False
    state: ApprovalState = ApprovalState.PENDING
    released: bool = False
    decided_by: str = ""
    automatic: bool = False
    feedback: str = ""
    edited_arguments_json: str = ""
    resolve_time: datetime | None = None
    input_id: str = ""
    accepted_sequence: int = 0
    policy_version: str = ""
    remember: Remember = Remember.NONE
