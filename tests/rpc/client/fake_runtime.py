"""A runtime that plays what a test tells it to, over real gRPC: one session, whose log a plot writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf import any_pb2, message_factory
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from agent_runtime.v1 import (
    agent_service_pb2,
    approval_pb2,
    approval_service_pb2,
    message_service_pb2,
    session_event_pb2,
    session_history_pb2,
    session_pb2,
    session_service_pb2,
    session_stream_pb2,
    turn_event_pb2,
    turn_pb2,
)

TURN = "turn-1"
_ENDS = ("turn_paused", "turn_completed", "turn_failed", "turn_cancelled")

Input = message_service_pb2.SendMessageRequest | approval_service_pb2.DecideApprovalRequest
Context = grpc.aio.ServicerContext[Any, Any]


class FakeRuntime:
    """`plot` is called with every new input, after its InputAccepted, and says by `happens` what comes of it.

    `inputs` and `decisions` are what came in, repeats left out; `calls` counts every call by its name. `refusals` are
    given to the next calls, `refusals_of` to those of one RPC. Streams break
    after `items_per_stream` items, if that is set, and end with Drain instead if `drains`.
    """

    def __init__(self, plot: Callable[[FakeRuntime, Input], Awaitable[None]]) -> None:
        self.plot = plot
        self.session = session_pb2.Session(id="s1", current_agent="coder", message_limit=1000)
        self.snapshot = session_stream_pb2.SessionSnapshot()
        self.approvals: dict[str, approval_pb2.Approval] = {}
        self.log: list[session_event_pb2.SessionEvent] = []
        self.inputs: list[message_service_pb2.SendMessageRequest] = []
        self.decisions: list[approval_service_pb2.DecideApprovalRequest] = []
        self.cancelled: list[str] = []
        self.calls: dict[str, int] = {}
        self.metadata: list[dict[str, str]] = []
        self.refusals: list[status_pb2.Status] = []
        self.refusals_of: dict[str, list[status_pb2.Status]] = {}
        self.items_per_stream: int | None = None
        self.drains = False
        self._accepted: dict[str, int] = {}
        self._changed = asyncio.Condition()

    async def happens(self, turn_id: str = TURN, /, **payload: Any) -> None:
        """Appends an event of the turn, such as `text_delta=TextDelta(…)`."""
        number = len(self.log) + 1
        event = session_event_pb2.SessionEvent(session_id="s1", sequence=number, turn_id=turn_id, **payload)
        self.log.append(event)
        async with self._changed:
            self._changed.notify_all()

    async def SendMessage(self, request: message_service_pb2.SendMessageRequest, context: Context) -> None:
        await self._enter("SendMessage", context)
        first = self._accepted.get(request.request_id)
        if first is None:
            first = self._accepted[request.request_id] = len(self.log) + 1
            self.inputs.append(request)
            await self._accept(request.request_id, request)
        after = request.after_sequence if request.HasField("after_sequence") else first - 1
        async for item in self._items(after, context):
            answer = message_service_pb2.SendMessageResponse
            if isinstance(item, session_stream_pb2.Drain):
                await context.write(answer(drain=item))
                return
            await context.write(answer(event=item))
            if request.detach or item.WhichOneof("payload") in _ENDS:
                return

    async def WatchSession(self, request: session_stream_pb2.WatchSessionRequest, context: Context) -> None:
        await self._enter("WatchSession", context)
        answer = session_stream_pb2.WatchSessionResponse
        if request.snapshot:
            self.snapshot.as_of_sequence = len(self.log)
            self.snapshot.session.CopyFrom(self.session)
            await context.write(answer(snapshot=self.snapshot))
        after = request.after_sequence if request.HasField("after_sequence") else len(self.log)
        async for item in self._items(after, context):
            await context.write(
                answer(drain=item) if isinstance(item, session_stream_pb2.Drain) else answer(event=item)
            )

    async def CancelTurn(
        self, request: message_service_pb2.CancelTurnRequest, context: Context
    ) -> message_service_pb2.CancelTurnResponse:
        await self._enter("CancelTurn", context)
        self.cancelled.append(request.turn_id)
        cause = turn_pb2.TURN_CANCELLATION_CAUSE_USER
        await self.happens(turn_cancelled=turn_event_pb2.TurnCancelled(cause=cause))
        return message_service_pb2.CancelTurnResponse(turn=turn_pb2.Turn(id=TURN))

    async def CreateSession(
        self, request: session_service_pb2.CreateSessionRequest, context: Context
    ) -> session_service_pb2.CreateSessionResponse:
        await self._enter("CreateSession", context)
        return session_service_pb2.CreateSessionResponse(session=self.session, created=not request.session_id)

    async def GetSession(
        self, request: session_service_pb2.GetSessionRequest, context: Context
    ) -> session_service_pb2.GetSessionResponse:
        await self._enter("GetSession", context)
        return session_service_pb2.GetSessionResponse(session=self.session)

    async def ListMessages(
        self, request: session_history_pb2.ListMessagesRequest, context: Context
    ) -> session_history_pb2.ListMessagesResponse:
        await self._enter("ListMessages", context)
        return session_history_pb2.ListMessagesResponse()

    async def GetApproval(
        self, request: approval_service_pb2.GetApprovalRequest, context: Context
    ) -> approval_service_pb2.GetApprovalResponse:
        await self._enter("GetApproval", context)
        return approval_service_pb2.GetApprovalResponse(approval=self.approvals[request.approval_id])

    async def DecideApproval(
        self, request: approval_service_pb2.DecideApprovalRequest, context: Context
    ) -> approval_service_pb2.DecideApprovalResponse:
        await self._enter("DecideApproval", context)
        if request.request_id not in self._accepted:
            self._accepted[request.request_id] = len(self.log) + 1
            self.decisions.append(request)
            await self._accept(request.request_id, request)
        approval = approval_pb2.Approval(id=request.decision.approval_id)
        return approval_service_pb2.DecideApprovalResponse(approval=approval)

    async def SwitchAgent(
        self, request: agent_service_pb2.SwitchAgentRequest, context: Context
    ) -> agent_service_pb2.SwitchAgentResponse:
        await self._enter("SwitchAgent", context)
        self.session.current_agent = request.agent
        answer = agent_service_pb2.SwitchAgentResponse()
        answer.agent_context.current_agent = request.agent
        return answer

    async def _enter(self, name: str, context: Context) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1
        self.metadata.append({str(key): str(value) for key, value in context.invocation_metadata() or ()})
        for refusals in (self.refusals, self.refusals_of.get(name, [])):
            if refusals:
                await context.abort_with_status(rpc_status.to_status(refusals.pop(0)))

    async def _accept(self, request_id: str, what: Input) -> None:
        await self.happens(
            input_accepted=turn_event_pb2.InputAccepted(
                input_id=f"input-{request_id}", request_id=request_id, turn_id=TURN
            )
        )
        await self.plot(self, what)

    async def _items(
        self, after: int, context: Context
    ) -> AsyncIterator[session_event_pb2.SessionEvent | session_stream_pb2.Drain]:
        sent = 0
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: len(self.log) > after)  # noqa: B023 - called at once
            if sent == self.items_per_stream:
                if not self.drains:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")
                yield session_stream_pb2.Drain(resume_after_sequence=after)
                return
            yield self.log[after]
            after += 1
            sent += 1


def refusal(
    code: int, reason: str = "", *, retry_seconds: float = 0, fields: dict[str, str] | None = None, **metadata: str
) -> status_pb2.Status:
    """The status of a refused call, with the details the runtime would give."""
    status = status_pb2.Status(code=code, message="refused by the test")
    details: list[Any] = []
    if reason:
        details.append(error_details_pb2.ErrorInfo(reason=reason, domain="agent-runtime", metadata=metadata))
    if retry_seconds:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(int(retry_seconds * 1000))
        details.append(retry)
    if fields:
        violation = error_details_pb2.BadRequest.FieldViolation
        wrong = [violation(field=name, description=why) for name, why in fields.items()]
        details.append(error_details_pb2.BadRequest(field_violations=wrong))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


UNAVAILABLE = refusal(code_pb2.UNAVAILABLE)


@asynccontextmanager
async def serving(runtime: FakeRuntime) -> AsyncIterator[str]:
    """Serves it on a free port; yields the address."""
    server = grpc.aio.server()
    for file in (agent_service_pb2, approval_service_pb2, message_service_pb2, session_service_pb2):
        for service in file.DESCRIPTOR.services_by_name.values():
            server.add_generic_rpc_handlers((_handlers(runtime, service),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def _handlers(runtime: FakeRuntime, service: Any) -> grpc.GenericRpcHandler:
    """What the fake has of a service; the rest is unimplemented."""
    offered = {}
    for method in service.methods:
        if (behaviour := getattr(runtime, method.name, None)) is not None:
            kind = (
                grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
            )
            request = message_factory.GetMessageClass(method.input_type)
            answer = message_factory.GetMessageClass(method.output_type)
            offered[method.name] = kind(behaviour, request.FromString, answer.SerializeToString)
    return grpc.method_handlers_generic_handler(service.full_name, offered)
