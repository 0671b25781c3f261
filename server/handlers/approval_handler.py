"""ApprovalService: proto in, use case, proto out."""

from __future__ import annotations

from dataclasses import dataclass

from agent_runtime.v1 import approval_service_pb2
from agent_runtime.v1.approval_service_pb2_grpc import ApprovalServiceServicer
from server.converters import approval_requests
from server.converters.approval import to_approval
from server.converters.approval_rule import to_approval_rule
from server.converters.page_tokens import PageTokens
from server.handlers.correlation import correlation_id
from server.interceptors.authentication import current_principal
from services.application.approvals.create_approval_rule import CreateApprovalRule
from services.application.approvals.decide_approval import DecideApproval
from services.application.approvals.delete_approval_rule import DeleteApprovalRule
from services.application.approvals.get_approval import GetApproval
from services.application.approvals.list_approval_rules import ListApprovalRules
from services.application.approvals.list_approvals import ListApprovals


@dataclass(frozen=True, kw_only=True)
class ApprovalHandler(ApprovalServiceServicer):
    """Answers the RPCs of ApprovalService."""

    list_approvals: ListApprovals
    get_approval: GetApproval
    decide_approval: DecideApproval
    list_approval_rules: ListApprovalRules
    create_approval_rule: CreateApprovalRule
    delete_approval_rule: DeleteApprovalRule
    page_tokens: PageTokens

    async def ListApprovals(
        self, request: approval_service_pb2.ListApprovalsRequest, context: object
    ) -> approval_service_pb2.ListApprovalsResponse:
        principal = current_principal()
        fields = approval_requests.from_list_approvals(request)
        after = self.page_tokens.read(principal.owner_id, request)
        page = await self.list_approvals.execute(principal, **fields, after=after)
        return approval_service_pb2.ListApprovalsResponse(
            approvals=[to_approval(view.session_id, view.approval) for view in page.items],
            next_page_token=self.page_tokens.issue(principal.owner_id, request, page.next_after),
        )

    async def GetApproval(
        self, request: approval_service_pb2.GetApprovalRequest, context: object
    ) -> approval_service_pb2.GetApprovalResponse:
        fields = approval_requests.from_get_approval(request)
        approval = await self.get_approval.execute(current_principal(), **fields)
        return approval_service_pb2.GetApprovalResponse(approval=to_approval(request.session_id, approval))

    async def DecideApproval(
        self, request: approval_service_pb2.DecideApprovalRequest, context: object
    ) -> approval_service_pb2.DecideApprovalResponse:
        fields = approval_requests.from_decide_approval(request)
        decided = await self.decide_approval.execute(current_principal(), **fields, correlation_id=correlation_id())
        return approval_service_pb2.DecideApprovalResponse(
            approval=to_approval(request.session_id, decided.approval),
            input_id=decided.input_id,
            accepted_sequence=decided.accepted_sequence,
        )

    async def ListApprovalRules(
        self, request: approval_service_pb2.ListApprovalRulesRequest, context: object
    ) -> approval_service_pb2.ListApprovalRulesResponse:
        principal = current_principal()
        fields = approval_requests.from_list_approval_rules(request)
        after = self.page_tokens.read(principal.owner_id, request)
        page = await self.list_approval_rules.execute(principal, **fields, after=after)
        return approval_service_pb2.ListApprovalRulesResponse(
            approval_rules=[to_approval_rule(rule) for rule in page.items],
            next_page_token=self.page_tokens.issue(principal.owner_id, request, page.next_after),
        )

    async def CreateApprovalRule(
        self, request: approval_service_pb2.CreateApprovalRuleRequest, context: object
    ) -> approval_service_pb2.CreateApprovalRuleResponse:
        fields = approval_requests.from_create_approval_rule(request)
        rule = await self.create_approval_rule.execute(current_principal(), **fields, correlation_id=correlation_id())
        return approval_service_pb2.CreateApprovalRuleResponse(approval_rule=to_approval_rule(rule))

    async def DeleteApprovalRule(
        self, request: approval_service_pb2.DeleteApprovalRuleRequest, context: object
    ) -> approval_service_pb2.DeleteApprovalRuleResponse:
        fields = approval_requests.from_delete_approval_rule(request)
        await self.delete_approval_rule.execute(current_principal(), **fields, correlation_id=correlation_id())
        return approval_service_pb2.DeleteApprovalRuleResponse()
