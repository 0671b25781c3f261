"""Whether a tool call runs, waits for a person, or is refused: rules first, defaults after, and doubt means no."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TypeGuard

from services.domain.policies.arguments import canonical_json
from services.domain.policies.file_rules import is_path_argument, normalised_path, path_arguments


class ApprovalEffect(StrEnum):
    """What happens to a call, from the weakest to the strongest."""

    ALLOW = "ALLOW"
    ASK = "ASK"
    DENY = "DENY"


class ConditionOperator(StrEnum):
    """How an argument is compared."""

    EQ = "EQ"
    GT = "GT"
    LT = "LT"
    CONTAINS = "CONTAINS"
    MATCHES = "MATCHES"


class RuleScope(StrEnum):
    """Whose calls a rule is about; it does not make a rule stronger or weaker."""

    SESSION = "SESSION"
    OWNER = "OWNER"
    GLOBAL = "GLOBAL"


class RuleOrigin(StrEnum):
    """How a rule came to be."""

    CONFIG = "CONFIG"
    RPC = "RPC"
    REMEMBERED = "REMEMBERED"


Matches = Callable[[str, str], bool | None]
"""Whether a whole text matches a pattern, in time linear in the text; None if that would take too long to find out."""


def matches_nothing(_pattern: str, _text: str) -> bool:
    """For whoever has no patterns: a condition that nobody can judge does not hold."""
    return False


# Only the operator's configuration may let these run unasked.
ALWAYS_ASK = frozenset({"execute_command", "delete_file"})

_DEFAULTS = {
    **dict.fromkeys(
        ("write_file", "delete_file", "move_file", "create_directory", "execute_command"), ApprovalEffect.ASK
    ),
    **dict.fromkeys(
        (
            *("read_file", "list_files", "search_in_code"),
            *("switch_mode", "attempt_completion", "ask_followup_question"),
        ),
        ApprovalEffect.ALLOW,
    ),
}
_STRONGEST_FIRST = (ApprovalEffect.DENY, ApprovalEffect.ASK, ApprovalEffect.ALLOW)
_SEMANTICS = "2"  # raised when the same rules come to mean something else


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of one argument: a name, or names with dots that lead into objects; `value` is any JSON value.

    EQ compares JSON values (numbers by value, `true` is no number; paths of built-in tools by what they mean, however
    they are spelt), GT and LT numbers, CONTAINS looks for text in
    text or for an element in a list, MATCHES has the whole text match a pattern. A missing argument, or one of
    another type, makes it false.
    """

    argument: str
    op: ConditionOperator
    value: object


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """An explicit rule. `tool` is a name, or a prefix with `*` at its end; all conditions must hold.

    `description` is shown to the person who is asked, and to the model when a call is denied.
    """

    id: str
    tool: str
    effect: ApprovalEffect
    scope: RuleScope
    origin: RuleOrigin
    conditions: tuple[Condition, ...] = ()
    priority: int = 0
    description: str = ""
    session_id: str = ""
    created_by: str = ""
    create_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApprovalRuling:
    """What happens to the call, the rule that says so (None: a default does), and whether a person's decision about it
    may be remembered.
    """

    effect: ApprovalEffect
    rule: ApprovalRule | None
    remember_allowed: bool

    @property
    def rule_id(self) -> str | None:
        return self.rule.id if self.rule is not None else None


def decide(
    rules: Sequence[ApprovalRule],
    tool: str,
    arguments: Mapping[str, object],
    *,
    read_only_client_tools: Collection[str],
    client_tools: Collection[str],
    matches: Matches = matches_nothing,
) -> ApprovalRuling:
    """The decision on a call, from the rules that apply to its session, oldest first.

    DENY beats ASK beats ALLOW, whatever the scope; priority, then age, only picks which of the winning rules is named.
    A tool that is neither built in nor declared by the client (`client_tools`) is denied and no rule can change that.
    Paths of built-in tools are compared in their normal form (`a/b`, not `./a//b`), EQ with that of what it names. A
    decision may be remembered unless the tool always asks, or a rule does: what was remembered could never outweigh it.
    """
    if tool not in _DEFAULTS and tool not in client_tools:
        return ApprovalRuling(ApprovalEffect.DENY, None, remember_allowed=False)
    compared = dict(arguments)
    for name, path, _ in path_arguments(tool, arguments):
        if isinstance(arguments.get(name), str):
            compared[name] = normalised_path(path)
    counting = [rule for rule in rules if _counts(rule, tool) and _fits(rule, tool, compared, matches)]
    for effect in _STRONGEST_FIRST:
        candidates = [rule for rule in counting if rule.effect is effect]
        if candidates:
            named = max(candidates, key=lambda rule: rule.priority)
            return ApprovalRuling(effect, named, remember_allowed=False)
    default = _default(tool, tool in read_only_client_tools)
    return ApprovalRuling(default, None, default is ApprovalEffect.ASK and tool not in ALWAYS_ASK)


def policy_version(rules: Sequence[ApprovalRule]) -> str:
    """Names a set of rules: another one for other rules, in whatever order they were loaded.

    What a decision was made under, so that nobody takes it for one under other rules.
    """
    described = sorted(_description(rule) for rule in rules)
    return f"{_SEMANTICS}-{hashlib.sha256(canonical_json(described).encode()).hexdigest()[:16]}"


def is_for_tool(rule: ApprovalRule, tool: str) -> bool:
    """Whether the rule is about this tool, whatever its conditions."""
    return tool.startswith(rule.tool[:-1]) if rule.tool.endswith("*") else tool == rule.tool


def _counts(rule: ApprovalRule, tool: str) -> bool:
    return not (tool in ALWAYS_ASK and rule.effect is ApprovalEffect.ALLOW and rule.origin is not RuleOrigin.CONFIG)


def _fits(rule: ApprovalRule, tool: str, arguments: Mapping[str, object], matches: Matches) -> bool:
    # What could not be found out opens no door: it fulfils a rule that denies or asks, and none that allows.
    unknown = rule.effect is not ApprovalEffect.ALLOW
    return is_for_tool(rule, tool) and all(
        _holds(_as_compared(condition, tool), arguments, matches, unknown=unknown) for condition in rule.conditions
    )


def _as_compared(condition: Condition, tool: str) -> Condition:
    """The condition with the path it names, if that is what it does, in the form of those it is compared with."""
    path = condition.value
    if condition.op is not ConditionOperator.EQ or not is_path_argument(tool, condition.argument):
        return condition
    return replace(condition, value=normalised_path(path)) if isinstance(path, str) and path else condition


def _description(rule: ApprovalRule) -> str:
    if rule.origin is not RuleOrigin.CONFIG:
        return rule.id  # never changed, and no other rule ever has it
    conditions = [[condition.argument, condition.op, condition.value] for condition in rule.conditions]
    return canonical_json([rule.id, rule.tool, rule.effect, conditions])


def _default(tool: str, is_read_only: bool) -> ApprovalEffect:
    # The built-in names come first: a client cannot make delete_file harmless by declaring it read-only.
    return _DEFAULTS.get(tool, ApprovalEffect.ALLOW if is_read_only else ApprovalEffect.ASK)


def _holds(condition: Condition, arguments: Mapping[str, object], matches: Matches, *, unknown: bool) -> bool:
    actual: object = arguments
    for name in condition.argument.split("."):
        if not isinstance(actual, Mapping) or name not in actual:
            return False
        actual = actual[name]
    expected = condition.value
    match condition.op:
        case ConditionOperator.EQ:
            return _same(actual, expected)
        case ConditionOperator.GT:
            return is_number(actual) and is_number(expected) and actual > expected
        case ConditionOperator.LT:
            return is_number(actual) and is_number(expected) and actual < expected
        case ConditionOperator.CONTAINS:
            if isinstance(actual, str):
                return isinstance(expected, str) and expected in actual
            return isinstance(actual, list) and any(_same(item, expected) for item in actual)
        case ConditionOperator.MATCHES:
            if not (isinstance(actual, str) and isinstance(expected, str)):
                return False
            found = matches(expected, actual)
            return unknown if found is None else found


def _same(one: object, other: object) -> bool:
    """Whether two JSON values are equal; unlike Python, JSON tells `true` from `1`."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return one == other


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a JSON value is a number; unlike in Python, `true` is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
