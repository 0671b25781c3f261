"""Requests of ApprovalService as the keywords of its use cases, once they are found right."""

from __future__ import annotations

from typing import TypedDict

from agent_runtime.v1 import approval_service_pb2
from server.converters import limits
from server.converters.approval import STATES_BY_WIRE
from server.converters.approval_rule import EFFECTS_BY_WIRE, SCOPES_BY_WIRE, from_conditions
from server.converters.checks import Checks
from server.converters.input import from_approval_decision
from services.domain.approval import ApprovalState
from services.domain.input import ApprovalDecision
from services.domain.policies.approval_rules import ApprovalEffect, ApprovalRule, RuleOrigin, RuleScope


class ListApprovalsFields(TypedDict):
    session_id: str | None
    states: tuple[ApprovalState, ...]
    limit: int


class GetApprovalFields(TypedDict):
    session_id: str
    approval_id: str


class DecideApprovalFields(TypedDict):
    session_id: str
    decision: ApprovalDecision
    request_id: str


class ListApprovalRulesFields(TypedDict):
    session_id: str | None
    scopes: tuple[RuleScope, ...]
    limit: int


class CreateApprovalRuleFields(TypedDict):
    draft: ApprovalRule
    request_id: str


class DeleteApprovalRuleFields(TypedDict):
    rule_id: str
    request_id: str


def from_list_approvals(request: approval_service_pb2.ListApprovalsRequest) -> ListApprovalsFields:
    """The filter and the size of the page.

    Raises InvalidArgumentError or NotImplementedYetError, as every function of this module does.
    """
    checks = Checks()
    checks.session_id(request.session_id, required=False)
    limit = checks.page_size(request.page_size)
    states = checks.choices("states", request.states, STATES_BY_WIRE)
    checks.done()
    return {"session_id": request.session_id or None, "states": states, "limit": limit}


def from_get_approval(request: approval_service_pb2.GetApprovalRequest) -> GetApprovalFields:
    """The approval, in its session."""
    checks = Checks()
    checks.session_id(request.session_id)
    checks.runtime_id("approval_id", request.approval_id, required=True)
    checks.done()
    return {"session_id": request.session_id, "approval_id": request.approval_id}


def from_decide_approval(request: approval_service_pb2.DecideApprovalRequest) -> DecideApprovalFields:
    """The decision, as SendMessage takes it."""
    checks = Checks()
    checks.session_id(request.session_id)
    checks.request_id(request.request_id)
    decision = from_approval_decision(checks, request.decision, field="decision")
    checks.done()
    return {"session_id": request.session_id, "decision": decision, "request_id": request.request_id}


def from_list_approval_rules(request: approval_service_pb2.ListApprovalRulesRequest) -> ListApprovalRulesFields:
    """The filter and the size of the page."""
    checks = Checks()
    checks.session_id(request.session_id, required=False)
    limit = checks.page_size(request.page_size)
    scopes = checks.choices("scopes", request.scopes, SCOPES_BY_WIRE)
    checks.done()
    return {"session_id": request.session_id or None, "scopes": scopes, "limit": limit}


def from_create_approval_rule(request: approval_service_pb2.CreateApprovalRuleRequest) -> CreateApprovalRuleFields:
    """The rule as the caller wants it; what it may say is not for here to judge."""
    checks = Checks()
    checks.request_id(request.request_id)
    scope = checks.choice("scope", request.scope, SCOPES_BY_WIRE)
    if scope is not None and scope is not RuleScope.SESSION and request.session_id:
        checks.wrong("session_id", "goes with scope SESSION alone")
    else:
        checks.session_id(request.session_id, required=scope is RuleScope.SESSION)
    checks.text("tool", request.tool, required=True, characters=limits.TOOL_PATTERN_CHARACTERS)
    conditions = from_conditions(checks, "conditions", request.conditions)
    effect = checks.choice("effect", request.effect, EFFECTS_BY_WIRE)
    checks.text("description", request.description, characters=limits.RULE_DESCRIPTION_CHARACTERS)
    checks.done()
    draft = ApprovalRule(
        id="",
        tool=request.tool,
        effect=effect or ApprovalEffect.DENY,
        scope=scope or RuleScope.SESSION,
        origin=RuleOrigin.RPC,
        conditions=conditions,
        priority=request.priority,
        description=request.description,
        session_id=request.session_id,
    )
    return {"draft": draft, "request_id": request.request_id}


def from_delete_approval_rule(request: approval_service_pb2.DeleteApprovalRuleRequest) -> DeleteApprovalRuleFields:
    """Which rule; an operator's may have any name."""
    checks = Checks()
    checks.runtime_id("approval_rule_id", request.approval_rule_id, required=True)
    checks.request_id(request.request_id)
    checks.done()
    return {"rule_id": request.approval_rule_id, "request_id": request.request_id}
