"""CreateApprovalRule: from now on calls that match are let through, asked about, or refused."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.application.idempotency import key_for
from services.application.ports import ApprovalRules, Clock, Patterns, Principal, Role
from services.domain.audit import AuditAction, AuditRecord, facts_of_rule
from services.domain.errors import FieldViolation, InvalidArgumentError, OperatorRoleRequiredError
from services.domain.ids import new_id
from services.domain.policies.approval_rules import ApprovalRule, ConditionOperator, RuleScope
from services.domain.policies.arguments import canonical_json
from services.domain.policies.rule_linting import RuleFlaw, lint_rule


@dataclass(frozen=True, slots=True)
class RuleLimits:
    """How many rules there may be for one session, and for one owner; for everybody as many as for one owner."""

    session: int = 50
    owner: int = 100


class CreateApprovalRule:
    """Calls that wait already go on waiting; they are not judged again."""

    def __init__(self, rules: ApprovalRules, patterns: Patterns, clock: Clock, limits: RuleLimits) -> None:
        self._rules = rules
        self._patterns = patterns
        self._clock = clock
        self._limits = limits

    async def execute(
        self, principal: Principal, *, draft: ApprovalRule, request_id: str, correlation_id: str
    ) -> ApprovalRule:
        """The rule as it was made from the draft, which has neither id, maker nor time.

        Raises InvalidArgumentError, OperatorRoleRequiredError, SessionNotFoundError, TooManyRulesError,
        RequestIdReusedError, ApprovalRuleNotFoundError.
        """
        if draft.scope is RuleScope.GLOBAL and Role.OPERATOR not in principal.roles:
            raise OperatorRoleRequiredError("rules with scope GLOBAL are for operators")
        flaws = [*lint_rule(draft), *flaws_of_patterns(draft, self._patterns)]
        if flaws:
            raise InvalidArgumentError([FieldViolation(_on_the_wire(flaw.field), flaw.problem) for flaw in flaws])
        rule = replace(draft, id=new_id("rule"), created_by=principal.name, create_time=self._clock.now())
        audit = AuditRecord(
            id=new_id("audit"),
            create_time=self._clock.now(),
            actor=principal.name,
            owner_id=principal.owner_id,
            action=AuditAction.RULE_CREATE,
            correlation_id=correlation_id,
            session_id=rule.session_id,
            target_id=rule.id,
            details=facts_of_rule(rule),
        )
        key = key_for(
            principal,
            "CreateApprovalRule",
            request_id,
            scope=draft.scope,
            session_id=draft.session_id,
            tool=draft.tool,
            conditions=[[each.argument, each.op, canonical_json(each.value)] for each in draft.conditions],
            effect=draft.effect,
            priority=draft.priority,
            description=draft.description,
        )
        limit = self._limits.session if rule.scope is RuleScope.SESSION else self._limits.owner
        return await self._rules.create(rule, limit=limit, audit=audit, key=key)


def flaws_of_patterns(rule: ApprovalRule, patterns: Patterns) -> list[RuleFlaw]:
    """The conditions whose patterns cannot be matched in linear time, or at all."""
    flaws = []
    for position, condition in enumerate(rule.conditions):
        if condition.op is ConditionOperator.MATCHES and isinstance(condition.value, str):
            flaw = patterns.flaw_of(condition.value)
            if flaw is not None:
                flaws.append(RuleFlaw(f"conditions[{position}].value", flaw))
    return flaws


def _on_the_wire(field: str) -> str:
    """The field as requests name it: what a condition compares with is JSON there."""
    return f"{field}_json" if field.endswith("].value") else field
