"""Where approval rules are kept that are not the operator's configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from services.application.ports.store import IdempotencyKey
from services.domain.audit import AuditRecord
from services.domain.policies.approval_rules import ApprovalRule


class ApprovalRules(Protocol):
    """Rules are made and removed, never changed; each in one transaction with its audit record.

    Both raise DatabaseUnavailableError, StorageFullError and RequestIdReusedError.
    """

    async def create(
        self, rule: ApprovalRule, *, limit: int, audit: AuditRecord, key: IdempotencyKey | None
    ) -> ApprovalRule:
        """Stores a rule, for the owner that the record names; a repeat of `key` returns the one it made.

        `limit` is the largest number of rules there may be for the same session, the same owner, or everybody. Raises
        SessionNotFoundError, TooManyRulesError, and ApprovalRuleNotFoundError when a repeat finds its rule deleted.
        """

    async def delete(
        self,
        owner_id: str,
        rule_id: str,
        *,
        is_operator: bool,
        audit: Callable[[ApprovalRule], AuditRecord],
        key: IdempotencyKey | None,
    ) -> None:
        """Removes a rule of the owner or, for operators, of everybody. A repeat of `key` does nothing.

        Raises ApprovalRuleNotFoundError, OperatorRoleRequiredError.
        """
