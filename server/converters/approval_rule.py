"""Approval rules on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent_runtime.v1 import approval_rule_pb2
from server.converters.checks import Checks
from server.converters.times import fill_timestamp
from services.domain.policies.approval_rules import (
    ApprovalEffect,
    ApprovalRule,
    Condition,
    ConditionOperator,
    RuleOrigin,
    RuleScope,
)
from services.domain.policies.arguments import ArgumentsError, canonical_json, parse_arguments
from services.domain.policies.rule_linting import MAX_ARGUMENT_CHARACTERS, MAX_CONDITIONS, MAX_VALUE_BYTES

EFFECTS: Mapping[ApprovalEffect, approval_rule_pb2.ApprovalEffect.ValueType] = {
    ApprovalEffect.ALLOW: approval_rule_pb2.APPROVAL_EFFECT_ALLOW,
    ApprovalEffect.ASK: approval_rule_pb2.APPROVAL_EFFECT_ASK,
    ApprovalEffect.DENY: approval_rule_pb2.APPROVAL_EFFECT_DENY,
}
SCOPES: Mapping[RuleScope, approval_rule_pb2.ApprovalRuleScope.ValueType] = {
    RuleScope.SESSION: approval_rule_pb2.APPROVAL_RULE_SCOPE_SESSION,
    RuleScope.OWNER: approval_rule_pb2.APPROVAL_RULE_SCOPE_OWNER,
    RuleScope.GLOBAL: approval_rule_pb2.APPROVAL_RULE_SCOPE_GLOBAL,
}
ORIGINS: Mapping[RuleOrigin, approval_rule_pb2.ApprovalRuleOrigin.ValueType] = {
    RuleOrigin.CONFIG: approval_rule_pb2.APPROVAL_RULE_ORIGIN_CONFIG,
    RuleOrigin.RPC: approval_rule_pb2.APPROVAL_RULE_ORIGIN_RPC,
    RuleOrigin.REMEMBERED: approval_rule_pb2.APPROVAL_RULE_ORIGIN_REMEMBERED,
}
OPERATORS: Mapping[ConditionOperator, approval_rule_pb2.ArgumentOperator.ValueType] = {
    ConditionOperator.EQ: approval_rule_pb2.ARGUMENT_OPERATOR_EQ,
    ConditionOperator.GT: approval_rule_pb2.ARGUMENT_OPERATOR_GT,
    ConditionOperator.LT: approval_rule_pb2.ARGUMENT_OPERATOR_LT,
    ConditionOperator.CONTAINS: approval_rule_pb2.ARGUMENT_OPERATOR_CONTAINS,
    ConditionOperator.MATCHES: approval_rule_pb2.ARGUMENT_OPERATOR_MATCHES,
}
EFFECTS_BY_WIRE: Mapping[int, ApprovalEffect] = {wire: effect for effect, wire in EFFECTS.items()}
SCOPES_BY_WIRE: Mapping[int, RuleScope] = {wire: scope for scope, wire in SCOPES.items()}
OPERATORS_BY_WIRE: Mapping[int, ConditionOperator] = {wire: op for op, wire in OPERATORS.items()}


def to_approval_rule(rule: ApprovalRule) -> approval_rule_pb2.ApprovalRule:
    """The rule, wherever it comes from."""
    wire = approval_rule_pb2.ApprovalRule(
        id=rule.id,
        scope=SCOPES[rule.scope],
        session_id=rule.session_id,
        tool=rule.tool,
        conditions=[
            approval_rule_pb2.ArgumentCondition(
                argument=condition.argument,
                operator=OPERATORS[condition.op],
                value_json=canonical_json(condition.value),
            )
            for condition in rule.conditions
        ],
        effect=EFFECTS[rule.effect],
        priority=rule.priority,
        description=rule.description,
        origin=ORIGINS[rule.origin],
        created_by=rule.created_by,
    )
    if rule.create_time is not None:
        fill_timestamp(wire.create_time, rule.create_time)
    return wire


def from_conditions(
    checks: Checks, field: str, wires: Sequence[approval_rule_pb2.ArgumentCondition]
) -> tuple[Condition, ...]:
    """The conditions in that field of the request; they count once `checks.done` has passed."""
    if len(wires) > MAX_CONDITIONS:
        checks.wrong(field, f"must have at most {MAX_CONDITIONS} entries")
        return ()
    return tuple(_from_condition(checks, f"{field}[{number}]", wire) for number, wire in enumerate(wires))


def _from_condition(checks: Checks, field: str, wire: approval_rule_pb2.ArgumentCondition) -> Condition:
    argument, value_json = f"{field}.argument", f"{field}.value_json"
    checks.text(argument, wire.argument, required=True, characters=MAX_ARGUMENT_CHARACTERS)
    operator = checks.choice(f"{field}.operator", wire.operator, OPERATORS_BY_WIRE)
    value: object = None
    if checks.json(value_json, wire.value_json, size=MAX_VALUE_BYTES):
        try:
            # As arguments are read, since it is with those that the value will be compared.
            value = parse_arguments(f'{{"value": {wire.value_json}}}')["value"]
        except ArgumentsError as error:
            checks.wrong(value_json, str(error))
    return Condition(wire.argument, operator or ConditionOperator.EQ, value)
