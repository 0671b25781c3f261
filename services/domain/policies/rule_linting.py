"""What is wrong with an approval rule as somebody wrote it, told to them before it can decide anything."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from services.domain.policies.approval_rules import (
    ALWAYS_ASK,
    ApprovalEffect,
    ApprovalRule,
    Condition,
    ConditionOperator,
    RuleOrigin,
    RuleScope,
    is_for_tool,
    is_number,
)
from services.domain.policies.arguments import canonical_json
from services.domain.policies.file_rules import can_be_in_path, is_path_argument, refusal_of_path

MAX_CONDITIONS = 16
MAX_VALUE_BYTES = 4 * 1024
MAX_ARGUMENT_CHARACTERS = 256
MAX_PRIORITY = 2**31 - 1

_TOOL = re.compile(r"[A-Za-z0-9_-]{0,64}\*?")


@dataclass(frozen=True, slots=True)
class RuleFlaw:
    """One thing that is wrong: the field it is in (`conditions[1].value`) and what would be right, in words."""

    field: str
    problem: str

    def __str__(self) -> str:
        return f"{self.field} {self.problem}"


def lint_rule(rule: ApprovalRule, *, may_match_every_tool: bool = False) -> list[RuleFlaw]:
    """Everything that is wrong with a rule as it was written; empty if nothing is.

    Values that no enum knows are reported too, so a rule may be linted before its texts were checked.
    """
    flaws = [*_flaws_of_tool(rule, may_match_every_tool)]
    for field, value, known in (
        ("effect", rule.effect, ApprovalEffect),
        ("scope", rule.scope, RuleScope),
        ("origin", rule.origin, RuleOrigin),
    ):
        if value not in set(known):
            flaws.append(RuleFlaw(field, f"must be one of {', '.join(known)}"))
    if abs(rule.priority) > MAX_PRIORITY:
        flaws.append(RuleFlaw("priority", f"must be between -{MAX_PRIORITY} and {MAX_PRIORITY}"))
    if len(rule.conditions) > MAX_CONDITIONS:
        flaws.append(RuleFlaw("conditions", f"must be at most {MAX_CONDITIONS}"))
    for position, condition in enumerate(rule.conditions[:MAX_CONDITIONS]):
        flaw = _flaw_of_condition(condition) or _flaw_of_path(rule.tool, condition)
        if flaw is not None:
            flaws.append(RuleFlaw(f"conditions[{position}].{flaw.field}", flaw.problem))
    return flaws


def _flaws_of_tool(rule: ApprovalRule, may_match_every_tool: bool) -> list[RuleFlaw]:
    if not rule.tool or not _TOOL.fullmatch(rule.tool):
        problem = "must be the name of a tool, or the beginning of one with a single * at the end"
        return [RuleFlaw("tool", problem)]
    if rule.tool == "*" and not may_match_every_tool:
        return [RuleFlaw("tool", "matches every tool; that is for the operator's configuration alone")]
    always = sorted(tool for tool in ALWAYS_ASK if is_for_tool(rule, tool))
    if always and rule.effect == ApprovalEffect.ALLOW and rule.origin != RuleOrigin.CONFIG:
        problem = f"matches {' and '.join(always)}, which always asks; only the operator's configuration can allow it"
        return [RuleFlaw("tool", problem)]
    return []


def _flaw_of_condition(condition: Condition) -> RuleFlaw | None:
    if not all(condition.argument.split(".")) or len(condition.argument) > MAX_ARGUMENT_CHARACTERS:
        problem = f"must be a name, or names joined by dots, of at most {MAX_ARGUMENT_CHARACTERS} characters"
        return RuleFlaw("argument", problem)
    if condition.op not in set(ConditionOperator):
        return RuleFlaw("operator", f"must be one of {', '.join(ConditionOperator)}")
    wrong = _problem_of_value(condition.op, condition.value)
    return RuleFlaw("value", wrong) if wrong is not None else None


def _flaw_of_path(tool: str, condition: Condition) -> RuleFlaw | None:
    """What keeps a condition on a path of a built-in tool from ever holding."""
    text = condition.value
    if not isinstance(text, str) or not is_path_argument(tool, condition.argument):
        return None
    if condition.op is ConditionOperator.EQ and (refusal := refusal_of_path(text)) is not None:
        return RuleFlaw("value", f"must be a path that a call may have: {refusal}")
    if condition.op is ConditionOperator.CONTAINS and not can_be_in_path(text):
        return RuleFlaw("value", "is part of no path that a call may have; paths are compared as a/b, not as ./a//b")
    return None


def _problem_of_value(op: ConditionOperator, value: object) -> str | None:
    if op in (ConditionOperator.GT, ConditionOperator.LT):
        if not is_number(value) or (isinstance(value, float) and not math.isfinite(value)):
            return "must be a number"
    elif op in (ConditionOperator.CONTAINS, ConditionOperator.MATCHES) and (not isinstance(value, str) or not value):
        return "must be a text that is not empty"
    try:
        size = len(canonical_json(value).encode())
    except (TypeError, ValueError, RecursionError):
        return "must be a JSON value"
    return f"must have at most {MAX_VALUE_BYTES} bytes as JSON" if size > MAX_VALUE_BYTES else None
