"""Rules decide before defaults, the strictest wins, and nobody but the operator lets a dangerous tool run unasked."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.policies.approval_rules import (
    ALWAYS_ASK,
    ApprovalEffect,
    ApprovalRule,
    ApprovalRuling,
    Condition,
    ConditionOperator,
    RuleOrigin,
    RuleScope,
    decide,
)

ALLOW, ASK, DENY = ApprovalEffect.ALLOW, ApprovalEffect.ASK, ApprovalEffect.DENY
EQ, GT, LT, CONTAINS, MATCHES = ConditionOperator
CONFIG, RPC, REMEMBERED = RuleOrigin
CLIENT_TOOLS = frozenset({"deploy", "show_page", "delete_file", "move_file"})
READ_ONLY = frozenset({"show_page", "delete_file"})
_numbers = itertools.count()


def rule(
    tool: str,
    effect: ApprovalEffect,
    *conditions: Condition,
    origin: RuleOrigin = RPC,
    scope: RuleScope = RuleScope.SESSION,
    priority: int = 0,
    name: str | None = None,
) -> ApprovalRule:
    return ApprovalRule(name or f"rule{next(_numbers)}", tool, effect, scope, origin, conditions, priority)


def decision(tool: str, *rules: ApprovalRule, **arguments: object) -> ApprovalRuling:
    return decide(rules, tool, arguments, read_only_client_tools=READ_ONLY, client_tools=CLIENT_TOOLS)


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        *(
            (tool, ApprovalRuling(ASK, None, True))
            for tool in ("write_file", "move_file", "create_directory", "deploy")
        ),
        *((tool, ApprovalRuling(ASK, None, False)) for tool in ("execute_command", "delete_file")),
        *((tool, ApprovalRuling(ALLOW, None, False)) for tool in ("read_file", "list_files", "search_in_code")),
        *((tool, ApprovalRuling(ALLOW, None, False)) for tool in ("switch_mode", "attempt_completion", "show_page")),
        ("ask_followup_question", ApprovalRuling(ALLOW, None, False)),
    ],
)
def test_defaults(tool: str, expected: ApprovalRuling) -> None:
    assert decision(tool) == expected


@pytest.mark.parametrize(
    "tool",
    ["", "*", "Write_File", "write_file ", "write_file\n", "writе_file", "format_disk", "read_file*"],  # noqa: RUF001
)
def test_an_unknown_tool_is_denied_and_no_rule_changes_that(tool: str) -> None:
    rules = [rule(tool, ALLOW, origin=CONFIG), rule("*", ALLOW, origin=CONFIG), rule("*", ASK)]
    assert decision(tool, *rules) == ApprovalRuling(DENY, None, False)


def test_deny_beats_ask_beats_allow_whatever_scope_origin_priority_and_order() -> None:
    allow = rule("write_file", ALLOW, origin=CONFIG, scope=RuleScope.GLOBAL, priority=100)
    ask = rule("write_*", ASK, scope=RuleScope.OWNER)
    deny = rule("*", DENY, origin=REMEMBERED, priority=-100)
    assert decision("write_file", allow).effect is ALLOW
    for order in itertools.permutations([allow, ask]):
        assert decision("write_file", *order) == ApprovalRuling(ASK, ask, False)
    for order in itertools.permutations([allow, ask, deny]):
        assert decision("write_file", *order) == ApprovalRuling(DENY, deny, False)


def test_of_equal_rules_the_one_with_the_highest_priority_is_named_then_the_oldest() -> None:
    rules = [rule("write_file", ASK, name=name, priority=n) for name, n in [("a", 0), ("b", 5), ("c", 5), ("d", 1)]]
    assert decision("write_file", *rules).rule_id == "b"


def test_a_star_at_the_end_is_a_prefix_and_nothing_else_is_a_pattern() -> None:
    assert decision("write_file", rule("write_*", DENY)).effect is DENY
    assert decision("write_file", rule("write_file*", DENY)).effect is DENY
    for pattern in ("write_", "*_file", "w*e_file", "WRITE_*", "write_?ile", "write.*"):
        assert decision("write_file", rule(pattern, DENY)).effect is ASK


@pytest.mark.parametrize("tool", sorted(ALWAYS_ASK))
def test_tools_that_always_ask_are_allowed_by_the_operator_alone(tool: str) -> None:
    for origin in (RPC, REMEMBERED):
        assert decision(tool, rule(tool, ALLOW, origin=origin)) == ApprovalRuling(ASK, None, False)
        assert decision(tool, rule(tool, DENY, origin=origin)).effect is DENY
    operator = rule(tool, ALLOW, origin=CONFIG)
    assert decision(tool, operator) == ApprovalRuling(ALLOW, operator, False)
    assert decision(tool, operator, rule(tool, ASK)).effect is ASK


def test_a_client_cannot_make_a_dangerous_tool_harmless_by_declaring_it_read_only() -> None:
    assert "delete_file" in READ_ONLY
    assert decision("delete_file").effect is ASK


def test_a_rule_that_asks_cannot_be_outweighed_by_memory() -> None:
    assert decision("write_file", rule("write_file", ASK)).remember_allowed is False
    assert decision("write_file", rule("write_file", ALLOW, origin=REMEMBERED)).effect is ALLOW


@pytest.mark.parametrize(
    ("condition", "arguments", "holds"),
    [
        (Condition("a", EQ, "x"), {"a": "x"}, True),
        (Condition("a", EQ, "x"), {"a": "X"}, False),
        (Condition("a", EQ, "x"), {}, False),
        (Condition("a", EQ, None), {}, False),
        (Condition("a", EQ, None), {"a": None}, True),
        (Condition("a", EQ, 1), {"a": 1.0}, True),
        (Condition("a", EQ, 1), {"a": True}, False),
        (Condition("a", EQ, True), {"a": 1}, False),
        (Condition("a", EQ, False), {"a": 0}, False),
        (Condition("a", EQ, "1"), {"a": 1}, False),
        (Condition("a", EQ, 2**53 + 1), {"a": 2**53 + 1}, True),
        (Condition("a", EQ, 2**53 + 1), {"a": float(2**53)}, False),
        (Condition("a", EQ, [1, {"b": [True]}]), {"a": [1.0, {"b": [True]}]}, True),
        (Condition("a", EQ, [1, {"b": [True]}]), {"a": [1.0, {"b": [1]}]}, False),
        (Condition("a", EQ, {"b": 1}), {"a": {"b": 1, "c": 2}}, False),
        (Condition("a", EQ, []), {"a": {}}, False),
        (Condition("a", GT, 3), {"a": 4}, True),
        (Condition("a", GT, 3), {"a": 3}, False),
        (Condition("a", GT, 3), {"a": 10**400}, True),
        (Condition("a", GT, 0), {"a": True}, False),
        (Condition("a", GT, 3), {"a": "4"}, False),
        (Condition("a", GT, "3"), {"a": 4}, False),
        (Condition("a", LT, 3.5), {"a": 3}, True),
        (Condition("a", LT, 3), {}, False),
        (Condition("a", CONTAINS, "rm"), {"a": "sudo rm -r"}, True),
        (Condition("a", CONTAINS, "rm"), {"a": "RM"}, False),
        (Condition("a", CONTAINS, 1), {"a": "1"}, False),
        (Condition("a", CONTAINS, "x"), {"a": ["x", "y"]}, True),
        (Condition("a", CONTAINS, 1), {"a": [True]}, False),
        (Condition("a", CONTAINS, "b"), {"a": {"b": 1}}, False),
        (Condition("a.b.c", EQ, 1), {"a": {"b": {"c": 1}}}, True),
        (Condition("a.b", EQ, 1), {"a.b": 1}, False),
        (Condition("a.b", EQ, 1), {"a": 1}, False),
        (Condition("a.0", EQ, 1), {"a": [1]}, False),
    ],
)
def test_conditions(condition: Condition, arguments: dict[str, object], holds: bool) -> None:
    assert (decision("deploy", rule("deploy", DENY, condition), **arguments).effect is DENY) is holds


def test_all_conditions_must_hold() -> None:
    both = rule("deploy", DENY, Condition("a", EQ, 1), Condition("b", EQ, 2))
    assert decision("deploy", both, a=1, b=2).effect is DENY
    assert decision("deploy", both, a=1, b=3).effect is ASK


@pytest.mark.parametrize("path", [".env", "./.env", "a/../.env", ".//.env"])
def test_another_spelling_of_a_path_does_not_get_around_a_rule(path: str) -> None:
    assert decision("read_file", rule("read_file", DENY, Condition("path", EQ, ".env")), path=path).effect is DENY


@pytest.mark.parametrize("spelt", [".env", "./.env", "a/../.env", ".//.env", ".env/", "x/.././.env"])
@pytest.mark.parametrize("tool", ["read_file", "read*", "*"])
def test_another_spelling_in_a_rule_means_the_same_path(spelt: str, tool: str) -> None:
    rules = rule(tool, DENY, Condition("path", EQ, spelt))
    assert decision("read_file", rules, path=".env").effect is DENY
    assert decision("read_file", rules, path="b/../.env").effect is DENY
    assert decision("read_file", rules, path="env").effect is ALLOW


def test_only_paths_of_built_in_tools_have_other_spellings() -> None:
    assert decision("write_file", rule("*", DENY, Condition("content", EQ, "./a")), path="b", content="a").effect is ASK
    assert decision("write_file", rule("*", DENY, Condition("path", EQ, "")), path=".").effect is ASK
    assert decision("deploy", rule("*", DENY, Condition("path", EQ, "./a")), path="a").effect is ASK
    assert decision("deploy", rule("*", DENY, Condition("path", EQ, "./a")), path="./a").effect is DENY


def test_another_spelling_of_a_path_does_not_earn_a_permission() -> None:
    docs = rule("write_file", ALLOW, Condition("path", CONTAINS, "docs/"))
    assert decision("write_file", docs, path="docs/x.md").effect is ALLOW
    assert decision("write_file", docs, path="docs/../src/x.py").effect is ASK


_TOOLS = st.sampled_from(
    ["write_file", "read_file", "execute_command", "delete_file", "deploy", "show_page", "nothing"]
)
_CONDITIONS = st.lists(
    st.builds(
        Condition,
        st.sampled_from(["path", "n", "a.b"]),
        st.sampled_from(ConditionOperator),
        st.sampled_from(["x", "", 1, 0.5, True, None, [1]]),
    ),
    max_size=2,
).map(tuple)
_RULES = st.lists(
    st.builds(
        ApprovalRule,
        id=st.uuids().map(str),
        tool=_TOOLS | st.sampled_from(["*", "write_*", "d*"]),
        effect=st.sampled_from(ApprovalEffect),
        scope=st.sampled_from(RuleScope),
        origin=st.sampled_from(RuleOrigin),
        conditions=_CONDITIONS,
        priority=st.integers(-3, 3),
    ),
    max_size=6,
)
_ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "path": st.sampled_from(["x", "./x", "y", 1, None]),
        "n": st.sampled_from([0, 1, 2.5, True, "1", [1]]),
        "a": st.sampled_from([{"b": 1}, {"b": "x"}, 1]),
    },
)
_STRENGTH = {ALLOW: 0, ASK: 1, DENY: 2}


def _decide(rules: list[ApprovalRule], tool: str, arguments: dict[str, object]) -> ApprovalRuling:
    return decide(rules, tool, arguments, read_only_client_tools=READ_ONLY, client_tools=CLIENT_TOOLS)


@given(_RULES, _TOOLS, _ARGUMENTS, st.data())
def test_the_order_of_rules_does_not_change_the_decision(
    rules: list[ApprovalRule], tool: str, arguments: dict[str, object], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(rules))
    assert _decide(shuffled, tool, arguments).effect is _decide(rules, tool, arguments).effect


@given(_RULES, _TOOLS, _ARGUMENTS)
def test_a_named_rule_says_what_was_decided(rules: list[ApprovalRule], tool: str, arguments: dict[str, object]) -> None:
    decided = _decide(rules, tool, arguments)
    if decided.rule_id is not None:
        [named] = [each for each in rules if each.id == decided.rule_id]
        assert named.effect is decided.effect
        assert _decide([named], tool, arguments) == decided


@given(_RULES, _RULES, _TOOLS, _ARGUMENTS)
def test_once_a_rule_asks_or_denies_no_further_rule_softens_it(
    rules: list[ApprovalRule], more: list[ApprovalRule], tool: str, arguments: dict[str, object]
) -> None:
    before = _decide(rules, tool, arguments)
    after = _decide([*rules, *more], tool, arguments)
    if before.rule_id is not None or before.effect is DENY:
        assert _STRENGTH[after.effect] >= _STRENGTH[before.effect]


@given(_RULES, _TOOLS, _ARGUMENTS)
def test_nobody_but_the_operator_lets_a_dangerous_tool_run(
    rules: list[ApprovalRule], tool: str, arguments: dict[str, object]
) -> None:
    decided = _decide(rules, tool, arguments)
    if tool in ALWAYS_ASK:
        assert not decided.remember_allowed
        if decided.effect is ALLOW:
            assert any(each.origin is CONFIG and each.id == decided.rule_id for each in rules)
    if tool == "nothing":
        assert decided == ApprovalRuling(DENY, None, False)
    if decided.remember_allowed:
        assert decided.effect is ASK
