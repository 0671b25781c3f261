"""MessageService: proto in, use case, proto or stream out. Turns do not run here; a stream only shows what they do."""

from __future__ import annotations

from dataclasses import dataclass

from agent_runtime.v1 import message_service_pb2, session_stream_pb2
from agent_runtime.v1.message_service_pb2_grpc import MessageServiceServicer
from server.converters import limits, message_requests
from server.converters.input import to_pending_input
from server.converters.page_tokens import PageTokens
from server.converters.stream import to_send_message_response, to_watch_session_response
from server.converters.tool import to_open_tool_call
from server.converters.turn import to_turn
from server.handlers.correlation import correlation_id, traceparent
from server.handlers.stream_writer import write_stream
from server.interceptors.authentication import current_principal
from server.interceptors.rpc_context import RpcContext
from services.application.messages.cancel_turn import CancelTurn
from services.application.messages.get_turn import GetTurn
from services.application.messages.list_open_tool_calls import ListOpenToolCalls
from services.application.messages.list_pending_inputs import ListPendingInputs
from services.application.messages.list_turns import ListTurns
from services.application.messages.send_message import SendMessage
from services.application.messages.watch_session import WatchSession
from services.application.messages.withdraw_input import WithdrawInput


@dataclass(frozen=True, kw_only=True)
class MessageHandler(MessageServiceServicer):
    """Answers the RPCs of MessageService; `slow_consumer_timeout` is in seconds."""

    send_message: SendMessage
    watch_session: WatchSession
    cancel_turn: CancelTurn
    get_turn: GetTurn
    list_turns: ListTurns
    list_open_tool_calls: ListOpenToolCalls
    list_pending_inputs: ListPendingInputs
    withdraw_input: WithdrawInput
    page_tokens: PageTokens
    user_message_bytes: int = limits.USER_MESSAGE_BYTES
    slow_consumer_timeout: float = 60.0

    # The generated types know streams as generators only; gRPC takes coroutines that write as well.
    async def SendMessage(  # type: ignore[override]
        self, request: message_service_pb2.SendMessageRequest, context: RpcContext
    ) -> None:
        fields = message_requests.from_send_message(request, max_text_bytes=self.user_message_bytes)
        stream = await self.send_message.execute(
            current_principal(), **fields, correlation_id=correlation_id(), traceparent=traceparent()
        )
        await write_stream(
            context,
            stream,
            to_send_message_response,
            after=fields["after_sequence"],
            patience=self.slow_consumer_timeout,
        )

    async def WatchSession(  # type: ignore[override]
        self, request: session_stream_pb2.WatchSessionRequest, context: RpcContext
    ) -> None:
        fields = message_requests.from_watch_session(request)
        stream = await self.watch_session.execute(current_principal(), **fields)
        await write_stream(
            context,
            stream,
            to_watch_session_response,
            after=fields["after_sequence"],
            patience=self.slow_consumer_timeout,
        )

    async def CancelTurn(
        self, request: message_service_pb2.CancelTurnRequest, context: object
    ) -> message_service_pb2.CancelTurnResponse:
        fields = message_requests.from_cancel_turn(request)
        cancelled = await self.cancel_turn.execute(current_principal(), **fields, correlation_id=correlation_id())
        return message_service_pb2.CancelTurnResponse(
            turn=to_turn(request.session_id, cancelled.turn), withdrawn_input_ids=cancelled.withdrawn_input_ids
        )

    async def GetTurn(
        self, request: message_service_pb2.GetTurnRequest, context: object
    ) -> message_service_pb2.GetTurnResponse:
        turn = await self.get_turn.execute(current_principal(), **message_requests.from_get_turn(request))
        return message_service_pb2.GetTurnResponse(turn=to_turn(request.session_id, turn))

    async def ListTurns(
        self, request: message_service_pb2.ListTurnsRequest, context: object
    ) -> message_service_pb2.ListTurnsResponse:
        principal = current_principal()
        fields = message_requests.from_list_turns(request)
        after = self.page_tokens.read(principal.owner_id, request)
        page = await self.list_turns.execute(principal, **fields, after=after)
        return message_service_pb2.ListTurnsResponse(
            turns=[to_turn(request.session_id, turn) for turn in page.items],
            next_page_token=self.page_tokens.issue(principal.owner_id, request, page.next_after),
        )

    async def ListOpenToolCalls(
        self, request: message_service_pb2.ListOpenToolCallsRequest, context: object
    ) -> message_service_pb2.ListOpenToolCallsResponse:
        principal = current_principal()
        fields = message_requests.from_list_of_session(request)
        after = self.page_tokens.read(principal.owner_id, request)
        page = await self.list_open_tool_calls.execute(principal, **fields, after=after)
        return message_service_pb2.ListOpenToolCallsResponse(
            open_tool_calls=[to_open_tool_call(call) for call in page.items],
            next_page_token=self.page_tokens.issue(principal.owner_id, request, page.next_after),
        )

    async def ListPendingInputs(
        self, request: message_service_pb2.ListPendingInputsRequest, context: object
    ) -> message_service_pb2.ListPendingInputsResponse:
        principal = current_principal()
        fields = message_requests.from_list_of_session(request)
        after = self.page_tokens.read(principal.owner_id, request)
        page = await self.list_pending_inputs.execute(principal, **fields, after=after)
        return message_service_pb2.ListPendingInputsResponse(
            pending_inputs=[to_pending_input(request.session_id, pending, place) for place, pending in page.items],
            next_page_token=self.page_tokens.issue(principal.owner_id, request, page.next_after),
        )

    async def WithdrawInput(
        self, request: message_service_pb2.WithdrawInputRequest, context: object
    ) -> message_service_pb2.WithdrawInputResponse:
        fields = message_requests.from_withdraw_input(request)
        withdrawn, place = await self.withdraw_input.execute(
            current_principal(), **fields, correlation_id=correlation_id()
        )
        return message_service_pb2.WithdrawInputResponse(
            pending_input=to_pending_input(request.session_id, withdrawn, place)
        )
