"""Approval rules as an operator writes them among the settings."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from services.domain.policies.approval_rules import (
    ApprovalEffect,
    ApprovalRule,
    Condition,
    ConditionOperator,
    RuleOrigin,
    RuleScope,
)


class RuleCondition(BaseModel):
    """One condition of an approval rule."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    argument: str
    op: ConditionOperator
    value: Any


class RuleSettings(BaseModel):
    """One approval rule as an operator writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(min_length=1, max_length=64)]
    tool: str
    effect: ApprovalEffect
    conditions: tuple[RuleCondition, ...] = ()
    priority: int = 0
    description: Annotated[str, Field(max_length=500)] = ""

    def rule(self) -> ApprovalRule:
        """The rule the policy understands."""
        return ApprovalRule(
            id=self.id,
            tool=self.tool,
            effect=self.effect,
            scope=RuleScope.GLOBAL,
            origin=RuleOrigin.CONFIG,
            conditions=tuple(Condition(each.argument, each.op, each.value) for each in self.conditions),
            priority=self.priority,
            description=self.description,
        )
