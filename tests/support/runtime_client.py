"""A gRPC client for tests: plain generated stubs, and few words for what tests do all the time."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from agent_runtime.v1 import (
    agent_service_pb2,
    agent_service_pb2_grpc,
    approval_pb2,
    approval_rule_pb2,
    approval_service_pb2,
    approval_service_pb2_grpc,
    input_pb2,
    message_service_pb2,
    message_service_pb2_grpc,
    session_event_pb2,
    session_history_pb2,
    session_pb2,
    session_service_pb2,
    session_service_pb2_grpc,
    session_stream_pb2,
    usage_pb2,
)
from services.domain.ids import new_id

Event = session_event_pb2.SessionEvent
Item = message_service_pb2.SendMessageResponse
Watched = session_stream_pb2.WatchSessionResponse
D = TypeVar("D", error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo)


class RuntimeClient:
    """One owner's view of one server. `owner` is named as a gateway would; in development mode everyone is one."""

    def __init__(self, channel: grpc.aio.Channel, owner: str = "") -> None:
        self.owner = owner or new_id("owner")
        self.metadata: tuple[tuple[str, str], ...] = (("x-owner-id", self.owner),)
        self.sessions = session_service_pb2_grpc.SessionServiceStub(channel)
        self.agents = agent_service_pb2_grpc.AgentServiceStub(channel)
        self.messages = message_service_pb2_grpc.MessageServiceStub(channel)
        self.approvals = approval_service_pb2_grpc.ApprovalServiceStub(channel)

    async def new_session(self, **fields: object) -> session_pb2.Session:
        request = session_service_pb2.CreateSessionRequest(**fields)  # type: ignore[arg-type]
        return (await self.sessions.CreateSession(request, metadata=self.metadata)).session

    async def session(self, session_id: str) -> session_pb2.Session:
        request = session_service_pb2.GetSessionRequest(session_id=session_id)
        return (await self.sessions.GetSession(request, metadata=self.metadata)).session

    async def fork(self, session_id: str, **fields: Any) -> session_pb2.Session:
        request = session_history_pb2.ForkSessionRequest(session_id=session_id, **fields)
        return (await self.sessions.ForkSession(request, metadata=self.metadata)).session

    async def session_usage(self, session_id: str) -> usage_pb2.SessionUsage:
        request = session_service_pb2.GetSessionUsageRequest(session_id=session_id)
        return (await self.sessions.GetSessionUsage(request, metadata=self.metadata)).usage

    async def update(self, session_id: str, **fields: Any) -> session_pb2.Session:
        request = session_service_pb2.UpdateSessionRequest(session_id=session_id, **fields)
        return (await self.sessions.UpdateSession(request, metadata=self.metadata)).session

    async def deactivate(self, session_id: str, **fields: Any) -> session_pb2.Session:
        request = session_service_pb2.DeactivateSessionRequest(session_id=session_id, **fields)
        return (await self.sessions.DeactivateSession(request, metadata=self.metadata)).session

    async def activate(self, session_id: str, **fields: Any) -> session_pb2.Session:
        request = session_service_pb2.ActivateSessionRequest(session_id=session_id, **fields)
        return (await self.sessions.ActivateSession(request, metadata=self.metadata)).session

    async def clear(self, session_id: str, request_id: str = "") -> session_history_pb2.ClearMessagesResponse:
        request = session_history_pb2.ClearMessagesRequest(session_id=session_id, request_id=request_id)
        return await self.sessions.ClearMessages(request, metadata=self.metadata)

    async def delete(self, session_id: str, request_id: str = "") -> None:
        request = session_service_pb2.DeleteSessionRequest(session_id=session_id, request_id=request_id)
        await self.sessions.DeleteSession(request, metadata=self.metadata)

    async def list_sessions(self, **filters: Any) -> session_service_pb2.ListSessionsResponse:
        request = session_service_pb2.ListSessionsRequest(**filters)
        return await self.sessions.ListSessions(request, metadata=self.metadata)

    async def list_messages(self, session_id: str, **filters: Any) -> session_history_pb2.ListMessagesResponse:
        request = session_history_pb2.ListMessagesRequest(session_id=session_id, **filters)
        return await self.sessions.ListMessages(request, metadata=self.metadata)

    async def list_turns(self, session_id: str, **filters: Any) -> message_service_pb2.ListTurnsResponse:
        request = message_service_pb2.ListTurnsRequest(session_id=session_id, **filters)
        return await self.messages.ListTurns(request, metadata=self.metadata)

    async def usage_stats(self, **filters: Any) -> agent_service_pb2.GetAgentUsageStatsResponse:
        request = agent_service_pb2.GetAgentUsageStatsRequest(**filters)
        return await self.agents.GetAgentUsageStats(request, metadata=self.metadata)

    def send_input(
        self, session_id: str, **fields: Any
    ) -> grpc.aio.UnaryStreamCall[message_service_pb2.SendMessageRequest, Item]:
        """Sends any input, given as fields of the request; the call is the stream of what comes of it."""
        request = message_service_pb2.SendMessageRequest(session_id=session_id, **fields)
        return self.messages.SendMessage(request, metadata=self.metadata)

    def send(
        self, session_id: str, words: str, *, agent: str | None = None, **options: Any
    ) -> grpc.aio.UnaryStreamCall[message_service_pb2.SendMessageRequest, Item]:
        """Sends a user message; `options` are `request_id`, `after_sequence` and `detach`."""
        return self.send_input(session_id, user_message=input_pb2.UserMessage(text=words, agent=agent), **options)

    async def ask(self, session_id: str, words: str, **options: Any) -> list[Event]:
        """Sends a user message and returns all events of its stream."""
        return [item.event async for item in self.send(session_id, words, **options)]

    async def tool_results(self, session_id: str, *results: input_pb2.ToolResult, **options: Any) -> list[Event]:
        """Sends results of tool calls and returns all events of the stream; see `text_result` and `json_result`."""
        sent = input_pb2.ToolResults(results=results)
        return [item.event async for item in self.send_input(session_id, tool_results=sent, **options)]

    async def decide(
        self,
        approval: approval_pb2.Approval,
        decision: approval_pb2.Decision.ValueType = approval_pb2.DECISION_APPROVE,
        *,
        request_id: str = "",
        **fields: Any,
    ) -> approval_service_pb2.DecideApprovalResponse:
        """Decides on an approval as it was shown; `fields` are those of the decision, and may contradict it."""
        shown: dict[str, Any] = {
            "approval_id": approval.id,
            "arguments_hash": approval.arguments_hash,
            "decision": decision,
        }
        request = approval_service_pb2.DecideApprovalRequest(
            session_id=approval.session_id,
            decision=input_pb2.ApprovalDecision(**(shown | fields)),
            request_id=request_id,
        )
        return await self.approvals.DecideApproval(request, metadata=self.metadata)

    async def answer(self, session_id: str, followup_id: str, **answer: Any) -> list[Event]:
        """Answers a question by `option_id` or `text` and returns all events of the stream."""
        sent = input_pb2.FollowupAnswer(followup_id=followup_id, **answer)
        return [item.event async for item in self.send_input(session_id, followup_answer=sent)]

    async def list_approvals(self, **filters: Any) -> approval_service_pb2.ListApprovalsResponse:
        request = approval_service_pb2.ListApprovalsRequest(**filters)
        return await self.approvals.ListApprovals(request, metadata=self.metadata)

    async def approval(self, session_id: str, approval_id: str) -> approval_pb2.Approval:
        request = approval_service_pb2.GetApprovalRequest(session_id=session_id, approval_id=approval_id)
        return (await self.approvals.GetApproval(request, metadata=self.metadata)).approval

    async def list_rules(self, **filters: Any) -> approval_service_pb2.ListApprovalRulesResponse:
        request = approval_service_pb2.ListApprovalRulesRequest(**filters)
        return await self.approvals.ListApprovalRules(request, metadata=self.metadata)

    async def create_rule(
        self,
        tool: str,
        effect: approval_rule_pb2.ApprovalEffect.ValueType,
        *conditions: tuple[str, approval_rule_pb2.ArgumentOperator.ValueType, object],
        session_id: str = "",
        **fields: Any,
    ) -> approval_rule_pb2.ApprovalRule:
        """Makes a rule of the session, or without one of the owner; `fields` may say otherwise."""
        scope = approval_rule_pb2.ApprovalRuleScope
        given: dict[str, Any] = {
            "tool": tool,
            "effect": effect,
            "scope": scope.APPROVAL_RULE_SCOPE_SESSION if session_id else scope.APPROVAL_RULE_SCOPE_OWNER,
            "session_id": session_id,
            "conditions": [
                approval_rule_pb2.ArgumentCondition(argument=argument, operator=operator, value_json=json.dumps(value))
                for argument, operator, value in conditions
            ],
        }
        request = approval_service_pb2.CreateApprovalRuleRequest(**(given | fields))
        return (await self.approvals.CreateApprovalRule(request, metadata=self.metadata)).approval_rule

    async def delete_rule(self, rule_id: str, request_id: str = "") -> None:
        request = approval_service_pb2.DeleteApprovalRuleRequest(approval_rule_id=rule_id, request_id=request_id)
        await self.approvals.DeleteApprovalRule(request, metadata=self.metadata)

    async def switch_agent(self, session_id: str, agent: str, **fields: Any) -> agent_service_pb2.SwitchAgentResponse:
        request = agent_service_pb2.SwitchAgentRequest(session_id=session_id, agent=agent, **fields)
        return await self.agents.SwitchAgent(request, metadata=self.metadata)

    async def reset_agent(self, session_id: str, request_id: str = "") -> agent_service_pb2.ResetAgentResponse:
        request = agent_service_pb2.ResetAgentRequest(session_id=session_id, request_id=request_id)
        return await self.agents.ResetAgent(request, metadata=self.metadata)

    def watch(
        self,
        session_id: str,
        *,
        after_sequence: int | None = None,
        snapshot: bool = False,
        stop_at_head: bool = False,
    ) -> grpc.aio.UnaryStreamCall[session_stream_pb2.WatchSessionRequest, Watched]:
        request = session_stream_pb2.WatchSessionRequest(
            session_id=session_id, after_sequence=after_sequence, snapshot=snapshot, stop_at_head=stop_at_head
        )
        return self.messages.WatchSession(request, metadata=self.metadata)

    async def log(self, session_id: str, after: int = 0) -> list[Event]:
        """The events of the session's log behind a number, up to its end."""
        watched = self.watch(session_id, after_sequence=after, stop_at_head=True)
        return [item.event async for item in watched if item.HasField("event")]

    async def turn(self, session_id: str, turn_id: str) -> message_service_pb2.GetTurnResponse:
        request = message_service_pb2.GetTurnRequest(session_id=session_id, turn_id=turn_id)
        return await self.messages.GetTurn(request, metadata=self.metadata)

    async def cancel(
        self, session_id: str, turn_id: str, request_id: str = ""
    ) -> message_service_pb2.CancelTurnResponse:
        request = message_service_pb2.CancelTurnRequest(session_id=session_id, turn_id=turn_id, request_id=request_id)
        return await self.messages.CancelTurn(request, metadata=self.metadata)

    async def leave(self, session_id: str) -> None:
        """Ends what goes on in a session, if anything does: behind a test it would ask the model of the next one."""
        request = message_service_pb2.CancelTurnRequest(session_id=session_id, withdraw_pending=True)
        with contextlib.suppress(grpc.aio.AioRpcError):
            await self.messages.CancelTurn(request, metadata=self.metadata)


def text_result(call_id: str, text: str, *, is_error: bool = False) -> input_pb2.ToolResult:
    """What a tool said."""
    return input_pb2.ToolResult(tool_call_id=call_id, text=text, is_error=is_error)


def json_result(call_id: str, value: object, *, is_error: bool = False) -> input_pb2.ToolResult:
    """What a tool said, as JSON."""
    return input_pb2.ToolResult(tool_call_id=call_id, json=json.dumps(value), is_error=is_error)


async def every_page(list_page: Callable[[str], Awaitable[Any]]) -> list[Any]:
    """The answers of a list from the first page to the last; `list_page` is given the page token."""
    pages = [await list_page("")]
    while token := pages[-1].next_page_token:
        pages.append(await list_page(token))
    return pages


@asynccontextmanager
async def connected(address: str, owner: str = "") -> AsyncIterator[RuntimeClient]:
    """A client with a channel of its own."""
    async with grpc.aio.insecure_channel(address) as channel:
        yield RuntimeClient(channel, owner)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A gRPC error as a careful client reads it."""

    code: grpc.StatusCode
    message: str
    reason: str
    metadata: dict[str, str]
    fields: dict[str, str]
    retry_seconds: float | None


@asynccontextmanager
async def refused() -> AsyncIterator[Callable[[], Refusal]]:
    """`async with refused() as refusal: …` expects a gRPC error inside and hands it over as `refusal()`."""
    caught: list[grpc.aio.AioRpcError] = []
    try:
        yield lambda: refusal_of(caught[0])
    except grpc.aio.AioRpcError as error:
        caught.append(error)
    else:
        raise AssertionError("the call was not refused")


def refusal_of(error: grpc.aio.AioRpcError) -> Refusal:
    """The error with its rich details, empty where there are none."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    details = list(status.details) if status is not None else []
    info = _detail(details, error_details_pb2.ErrorInfo)
    bad = _detail(details, error_details_pb2.BadRequest)
    retry = _detail(details, error_details_pb2.RetryInfo)
    return Refusal(
        code=error.code(),
        message=error.details() or "",
        reason=info.reason if info else "",
        metadata=dict(info.metadata) if info else {},
        fields={violation.field: violation.description for violation in bad.field_violations} if bad else {},
        retry_seconds=retry.retry_delay.ToNanoseconds() / 1e9 if retry else None,
    )


def _detail(details: list[any_pb2.Any], kind: type[D]) -> D | None:
    for packed in details:
        message = kind()
        if packed.Unpack(message):
            return message
    return None


def kinds(events: list[Event]) -> list[str]:
    """What each event is, by the name of its payload."""
    return [event.WhichOneof("payload") or "" for event in events]


def text_of(events: list[Event]) -> str:
    """The text that the events stream."""
    return "".join(event.text_delta.text for event in events)


async def read_until(call: grpc.aio.UnaryStreamCall[Any, Any], done: Callable[[list[Event]], bool]) -> list[Event]:
    """The events of a stream up to the one that makes `done` true of them; the stream stays open."""
    seen: list[Event] = []
    while not done(seen):
        item: Any = await call.read()
        if item is grpc.aio.EOF:
            raise AssertionError("the stream ended too early")
        if item.HasField("event"):
            seen.append(item.event)
    return seen


async def read_rest(call: grpc.aio.UnaryStreamCall[Any, Any]) -> list[Any]:
    """What a stream still says until it ends."""
    items = []
    while (item := await call.read()) is not grpc.aio.EOF:
        items.append(item)
    return items


def ended(events: list[Event]) -> bool:
    """Whether the last event ends a turn."""
    return bool(events) and events[-1].WhichOneof("payload") in ("turn_completed", "turn_failed", "turn_cancelled")


def said(words: str) -> Callable[[list[Event]], bool]:
    """Whether the events have streamed exactly these words."""
    return lambda events: text_of(events) == words
