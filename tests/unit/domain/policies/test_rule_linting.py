"""A rule that cannot mean what it says is refused before it decides anything, with the field that is wrong."""

from __future__ import annotations

from typing import cast

import pytest

from services.domain.policies.approval_rules import (
    ApprovalEffect,
    ApprovalRule,
    Condition,
    ConditionOperator,
    RuleOrigin,
    RuleScope,
)
from services.domain.policies.rule_linting import lint_rule

ALLOW, ASK, DENY = ApprovalEffect.ALLOW, ApprovalEffect.ASK, ApprovalEffect.DENY
EQ, GT, LT, CONTAINS, MATCHES = ConditionOperator
CONFIG, RPC, REMEMBERED = RuleOrigin


# None is in a path in its normal form.
NO_PARTS = ("//", "a/./b", "./a", "../", "a/../b", "\\", "C:", "%2F", "a\nb")


def rule(
    tool: str,
    effect: ApprovalEffect,
    *conditions: Condition,
    origin: RuleOrigin = RPC,
    scope: RuleScope = RuleScope.SESSION,
    priority: int = 0,
) -> ApprovalRule:
    return ApprovalRule("a-rule", tool, effect, scope, origin, conditions, priority)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (rule("", ASK), "tool must be"),
        (rule("*_file", ASK), "tool must be"),
        (rule("a*b", ASK), "tool must be"),
        (rule("a**", ASK), "tool must be"),
        (rule("a b", ASK), "tool must be"),
        (rule("a\n", ASK), "tool must be"),
        (rule("é*", ASK), "tool must be"),
        (rule("a" * 65, ASK), "tool must be"),
        (rule("*", DENY), "every tool"),
        (rule("*", ALLOW, Condition("path", CONTAINS, "x")), "every tool"),
        (rule("execute_command", ALLOW), "always asks"),
        (rule("delete_file", ALLOW, origin=REMEMBERED), "always asks"),
        (rule("exec*", ALLOW), "matches execute_command, which always asks"),
        (rule("d*", ALLOW, origin=REMEMBERED), "matches delete_file, which always asks"),
        (rule("a", ASK, *[Condition("a", EQ, 1)] * 17), "at most 16"),
        (rule("a", ASK, priority=2**31), "priority must be between"),
        (rule("a", ASK, Condition("a" * 257, EQ, 1)), "at most 256 characters"),
        (rule("a", ASK, Condition("a", EQ, "x" * 4095)), "at most 4096 bytes"),
        (rule("a", cast("ApprovalEffect", "MAYBE")), "effect must be one of ALLOW, ASK, DENY"),
        (rule("a", ASK, scope=cast("RuleScope", "PLANET")), "scope must be one of"),
        (rule("a", ASK, origin=cast("RuleOrigin", "MODEL")), "origin must be one of"),
        (rule("a", ASK, Condition("", EQ, 1)), "must be a name"),
        (rule("a", ASK, Condition("a..b", EQ, 1)), "must be a name"),
        (rule("a", ASK, Condition("a", cast("ConditionOperator", "LIKE"), 1)), "operator must be one of"),
        (rule("a", ASK, Condition("a", GT, "1")), "must be a number"),
        (rule("a", ASK, Condition("a", GT, True)), "must be a number"),
        (rule("a", ASK, Condition("a", LT, float("nan"))), "must be a number"),
        (rule("a", ASK, Condition("a", LT, None)), "must be a number"),
        (rule("a", ASK, Condition("a", CONTAINS, "")), "must be a text"),
        (rule("a", ASK, Condition("a", CONTAINS, 1)), "must be a text"),
        (rule("a", ASK, Condition("a", EQ, float("inf"))), "must be a JSON value"),
        (rule("a", ASK, Condition("a", EQ, {1})), "must be a JSON value"),
        (rule("a", ASK, Condition("a", EQ, [float("nan")])), "must be a JSON value"),
        *((rule("write_file", DENY, Condition("path", EQ, path)), "the path ") for path in ("/a", "../a", "", "a\\b")),
        (rule("read_file", ALLOW, Condition("path", EQ, "a./b")), "ends in a dot"),
        (rule("move_file", DENY, Condition("destination", EQ, "C:/a")), "a colon"),
        *((rule("write_file", DENY, Condition("path", CONTAINS, part)), "is part of no path") for part in NO_PARTS),
    ],
)
def test_a_rule_that_cannot_mean_what_it_says_is_reported(broken: ApprovalRule, says: str) -> None:
    problems = lint_rule(broken)
    assert len(problems) == 1
    assert says in str(problems[0])


@pytest.mark.parametrize(
    "good",
    [
        rule("write_file", ALLOW),
        rule("write_*", DENY, Condition("path", CONTAINS, "x"), Condition("a.b", GT, 10**400)),
        rule("exec*", ALLOW, origin=CONFIG),
        rule("exec*", DENY),
        rule("a", ASK, *[Condition("a", EQ, "x" * 4094)] * 16, priority=-(2**31) + 1),
        rule("execute_command", ALLOW, origin=CONFIG),
        rule("execute_command", DENY),
        rule("a", ASK, Condition("a", EQ, {"b": [None, 1.5]})),
        *(rule("write_file", DENY, Condition("path", EQ, path)) for path in ("a", "./a//b/", "a/../b", ".", ".env")),
        *(
            rule("write_file", DENY, Condition("path", CONTAINS, part))
            for part in ("/", ".", "..", "a/.", "/b c", "~", " ")
        ),
        # The tool of a client may take any path, and a command names none in its text.
        rule("show", DENY, Condition("path", EQ, "/etc/passwd")),
        rule("*", DENY, Condition("path", CONTAINS, "//"), origin=CONFIG),
        rule("execute_command", DENY, Condition("command", CONTAINS, "../")),
        rule("write_file", DENY, Condition("content", EQ, "../a")),
    ],
)
def test_a_good_rule_has_no_problems(good: ApprovalRule) -> None:
    assert lint_rule(good, may_match_every_tool=good.origin is CONFIG) == []


def test_each_flaw_names_its_field() -> None:
    broken = rule("*", DENY, Condition("a", EQ, 1), Condition("", GT, 1), Condition("a", LT, "x"))
    assert [flaw.field for flaw in lint_rule(broken)] == ["tool", "conditions[1].argument", "conditions[2].value"]


def test_a_rule_for_every_tool_is_fine_if_it_is_meant() -> None:
    assert lint_rule(rule("*", DENY), may_match_every_tool=True) == []
