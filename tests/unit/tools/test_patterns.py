"""Patterns of approval rules: the whole text, lines and all, and never for long."""

from __future__ import annotations

import pytest

from services.domain.policies.approval_rules import (
    ApprovalEffect,
    ApprovalRule,
    Condition,
    ConditionOperator,
    RuleOrigin,
    RuleScope,
    decide,
)
from services.infrastructure.tools import Re2Patterns

SLOW = ".*(a|b){1,200}x.*"


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (".*rm -rf.*", "echo a; rm -rf /", True),
        (".*rm -rf.*", "echo a\nrm -rf /\n", True),
        ("echo.*", "first\necho", False),
        ("a|b", "ab", False),
        ("(", "(", False),
    ],
)
def test_a_pattern_is_for_the_whole_text_with_all_its_lines(pattern: str, text: str, found: bool) -> None:
    assert Re2Patterns().matching()(pattern, text) is found


def test_what_would_take_too_long_is_not_known_and_neither_is_what_comes_after_it() -> None:
    matches = Re2Patterns().matching()
    assert matches(".*end", "the end") is True
    assert matches(SLOW, "ab" * 100_000) is None
    assert matches(".*end", "the end") is None
    assert Re2Patterns().matching()(".*end", "the end") is True  # the next call has its own time


@pytest.mark.parametrize("effect", ApprovalEffect)
def test_what_is_not_known_denies_and_asks_and_never_allows(effect: ApprovalEffect) -> None:
    condition = Condition("content", ConditionOperator.MATCHES, SLOW)
    rule = ApprovalRule("r", "write_file", effect, RuleScope.OWNER, RuleOrigin.RPC, (condition,))
    ruling = decide(
        [rule],
        "write_file",
        {"path": "a", "content": "ab" * 100_000},
        read_only_client_tools=(),
        client_tools=(),
        matches=Re2Patterns().matching(),
    )
    assert ruling.effect is (ApprovalEffect.ASK if effect is ApprovalEffect.ALLOW else effect)
    assert (ruling.rule is None) is (effect is ApprovalEffect.ALLOW)
