"""ApprovalService, announced and not offered yet."""

from __future__ import annotations

from agent_runtime.v1.approval_service_pb2_grpc import ApprovalServiceServicer
from server.handlers.not_implemented import not_implemented_yet


class ApprovalHandler(ApprovalServiceServicer):
    """Answers the RPCs of ApprovalService."""

    ListApprovals = not_implemented_yet("ApprovalService/ListApprovals")
    GetApproval = not_implemented_yet("ApprovalService/GetApproval")
    DecideApproval = not_implemented_yet("ApprovalService/DecideApproval")
    ListApprovalRules = not_implemented_yet("ApprovalService/ListApprovalRules")
    CreateApprovalRule = not_implemented_yet("ApprovalService/CreateApprovalRule")
    DeleteApprovalRule = not_implemented_yet("ApprovalService/DeleteApprovalRule")
