"""Requests of ApprovalService: filters are understood, and a decision is held to the rules of its input."""

from __future__ import annotations

from agent_runtime.v1.approval_pb2 import (
    APPROVAL_STATE_EXPIRED,
    APPROVAL_STATE_PENDING,
    DECISION_APPROVE_WITH_EDITS,
    DECISION_REJECT,
)
from agent_runtime.v1.approval_service_pb2 import DecideApprovalRequest, GetApprovalRequest, ListApprovalsRequest
from agent_runtime.v1.input_pb2 import ApprovalDecision as WireDecision
from server.converters import approval_requests
from services.domain.approval import ApprovalState, Decision
from services.domain.input import ApprovalDecision
from tests.unit.converters.refusals import violations


def test_approvals_are_listed_by_session_and_state_or_by_neither() -> None:
    everything = approval_requests.from_list_approvals(ListApprovalsRequest())
    assert everything == {"session_id": None, "states": (), "limit": 50}
    request = ListApprovalsRequest(
        session_id="s", page_size=1, states=[APPROVAL_STATE_EXPIRED, APPROVAL_STATE_PENDING, APPROVAL_STATE_EXPIRED]
    )
    assert approval_requests.from_list_approvals(request) == {
        "session_id": "s",
        "states": (ApprovalState.EXPIRED, ApprovalState.PENDING),
        "limit": 1,
    }


def test_a_filter_refuses_what_it_does_not_know() -> None:
    request = ListApprovalsRequest(session_id="?")
    request.states.extend([0, 99])  # type: ignore[list-item]
    assert violations(lambda: approval_requests.from_list_approvals(request)) == [
        "session_id",
        "states[0]",
        "states[1]",
    ]


def test_an_approval_is_named_with_its_session() -> None:
    assert violations(lambda: approval_requests.from_get_approval(GetApprovalRequest())) == [
        "session_id",
        "approval_id",
    ]
    request = GetApprovalRequest(session_id="s", approval_id="a")
    assert approval_requests.from_get_approval(request) == {"session_id": "s", "approval_id": "a"}


def test_a_decision_is_taken() -> None:
    decision = WireDecision(approval_id="a", arguments_hash="h", decision=DECISION_REJECT, feedback="no")
    request = DecideApprovalRequest(session_id="s", request_id="r", decision=decision)
    assert approval_requests.from_decide_approval(request) == {
        "session_id": "s",
        "decision": ApprovalDecision("a", "h", Decision.REJECT, feedback="no"),
        "request_id": "r",
    }


def test_what_is_wrong_with_a_decision_is_named_by_its_place_in_this_request() -> None:
    nothing = DecideApprovalRequest(request_id="?")
    assert violations(lambda: approval_requests.from_decide_approval(nothing)) == [
        "session_id",
        "request_id",
        "decision.approval_id",
        "decision.arguments_hash",
        "decision.decision",
    ]
    decision = WireDecision(approval_id="a", arguments_hash="h", decision=DECISION_APPROVE_WITH_EDITS, feedback="\x00")
    request = DecideApprovalRequest(session_id="s", decision=decision)
    assert violations(lambda: approval_requests.from_decide_approval(request)) == [
        "decision.edited_arguments_json",
        "decision.feedback",
    ]
