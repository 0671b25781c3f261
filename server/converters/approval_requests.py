"""Requests of ApprovalService as the keywords of its use cases, once they are found right."""

from __future__ import annotations

from typing import TypedDict

from agent_runtime.v1 import approval_service_pb2
from server.converters.approval import STATES_BY_WIRE
from server.converters.checks import Checks
from server.converters.input import from_approval_decision
from services.domain.approval import ApprovalState
from services.domain.input import ApprovalDecision


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
