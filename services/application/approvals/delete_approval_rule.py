"""DeleteApprovalRule: a rule decides nothing any more; what it has decided stays decided."""

from __future__ import annotations

from collections.abc import Sequence

from services.application.idempotency import key_for
from services.application.ports import ApprovalRules, Clock, Principal, Role
from services.domain.audit import AuditAction, AuditRecord, facts_of_rule
from services.domain.errors import InvalidArgumentError
from services.domain.ids import new_id
from services.domain.policies.approval_rules import ApprovalRule


class DeleteApprovalRule:
    """Rules of the configuration are the operator's to remove, there."""

    def __init__(self, rules: ApprovalRules, configured: Sequence[ApprovalRule], clock: Clock) -> None:
        self._rules = rules
        self._configured = frozenset(rule.id for rule in configured)
        self._clock = clock

    async def execute(self, principal: Principal, *, rule_id: str, request_id: str, correlation_id: str) -> None:
        """Raises InvalidArgumentError, ApprovalRuleNotFoundError, OperatorRoleRequiredError, RequestIdReusedError."""
        if rule_id in self._configured:
            raise InvalidArgumentError.of("approval_rule_id", "is a rule of the operator's configuration")

        def audit(rule: ApprovalRule) -> AuditRecord:
            return AuditRecord(
                id=new_id("audit"),
                create_time=self._clock.now(),
                actor=principal.name,
                owner_id=principal.owner_id,
                action=AuditAction.RULE_DELETE,
                correlation_id=correlation_id,
                session_id=rule.session_id,
                target_id=rule.id,
                details=facts_of_rule(rule),
            )

        key = key_for(principal, "DeleteApprovalRule", request_id, rule_id=rule_id)
        is_operator = Role.OPERATOR in principal.roles
        await self._rules.delete(principal.owner_id, rule_id, is_operator=is_operator, audit=audit, key=key)
