"""Rules come off the wire exactly as they were meant, numbers too, and go back onto it the same."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from agent_runtime.v1 import approval_rule_pb2 as wire_pb2
from agent_runtime.v1.approval_service_pb2 import (
    CreateApprovalRuleRequest,
    DeleteApprovalRuleRequest,
    ListApprovalRulesRequest,
)
from server.converters import approval_requests
from server.converters.approval_rule import to_approval_rule
from services.domain.policies.approval_rules import (
    ApprovalEffect,
    ApprovalRule,
    Condition,
    ConditionOperator,
    RuleOrigin,
    RuleScope,
)
from tests.unit.converters.refusals import violations


def requested(*values: str, **fields: object) -> CreateApprovalRuleRequest:
    given: dict[str, object] = {
        "scope": wire_pb2.APPROVAL_RULE_SCOPE_OWNER,
        "tool": "write_*",
        "effect": wire_pb2.APPROVAL_EFFECT_DENY,
        "conditions": [
            wire_pb2.ArgumentCondition(argument="a.b", operator=wire_pb2.ARGUMENT_OPERATOR_EQ, value_json=value)
            for value in values
        ],
    }
    return CreateApprovalRuleRequest(**(given | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["9007199254740993", "1", "1.5", '"\\u0000 \\" }"', "[1,{}]", '{"a":null}', "true"])
def test_a_rule_survives_the_way_there_and_back(value: str) -> None:
    fields = approval_requests.from_create_approval_rule(
        requested(value, priority=-7, description="why", request_id="r")
    )
    condition = Condition("a.b", ConditionOperator.EQ, json.loads(value))
    assert fields == {
        "draft": ApprovalRule(
            "", "write_*", ApprovalEffect.DENY, RuleScope.OWNER, RuleOrigin.RPC, (condition,), -7, "why"
        ),
        "request_id": "r",
    }
    wire = to_approval_rule(replace(fields["draft"], id="rule_1"))
    assert (wire.id, wire.tool, wire.effect, wire.priority) == ("rule_1", "write_*", 3, -7)
    (sent,) = wire.conditions
    assert json.loads(sent.value_json) == json.loads(value)
    assert not wire.HasField("create_time")


@pytest.mark.parametrize(
    "value",
    ["", "{", "1 2", "1}, {", '1, "value": 2', "NaN", "1e400", '{"a":1,"a":2}', "[" * 65 + "]" * 65, '"\\ud800"'],
)
def test_a_value_that_two_readers_could_read_differently_is_refused(value: str) -> None:
    refused = violations(lambda: approval_requests.from_create_approval_rule(requested(value)))
    assert refused == ["conditions[0].value_json"]


def test_lists_and_ends_of_rules_name_what_is_wrong() -> None:
    everything = approval_requests.from_list_approval_rules(ListApprovalRulesRequest())
    assert everything == {"session_id": None, "scopes": (), "limit": 50}
    wrong = ListApprovalRulesRequest(session_id="?", page_size=-1)
    wrong.scopes.extend([0])  # type: ignore[list-item]
    assert violations(lambda: approval_requests.from_list_approval_rules(wrong)) == [
        *("session_id", "page_size", "scopes[0]")
    ]
    nothing = DeleteApprovalRuleRequest(request_id="?!")
    assert violations(lambda: approval_requests.from_delete_approval_rule(nothing)) == [
        *("approval_rule_id", "request_id")
    ]
