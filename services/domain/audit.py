"""Who did what, when: a record that outlives what it is about, and holds no content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.domain.policies.approval_rules import ApprovalRule


class AuditAction(StrEnum):
    """What was done, as `noun.verb`."""

    APPROVAL_DECIDE = "approval.decide"
    APPROVAL_EXPIRE = "approval.expire"
    APPROVAL_WITHDRAW = "approval.withdraw"
    CALL_ALLOW = "tool_call.allow"
    CALL_DENY = "tool_call.deny"
    RULE_CREATE = "rule.create"
    RULE_DELETE = "rule.delete"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One deed; `actor` is empty if the runtime did it by itself, `outcome` for plain success.

    `details` are short facts: ids, names, hashes, never what people or models wrote.
    """

    id: str
    create_time: datetime
    actor: str
    owner_id: str
    action: AuditAction
    correlation_id: str
    session_id: str = ""
    target_id: str = ""
    outcome: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


def facts_of_rule(rule: ApprovalRule) -> dict[str, str]:
    """What the audit says of a rule: not its conditions, which may quote what somebody wrote."""
    return {"tool_name": rule.tool, "effect": rule.effect, "scope": rule.scope, "origin": rule.origin}
