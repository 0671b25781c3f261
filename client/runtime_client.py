"""The client: a session's life in a few typed calls, each of which survives a broken connection by itself."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

import grpc

from agent_runtime.v1.agent_pb2 import Agent
from agent_runtime.v1.agent_service_pb2 import ListAgentsRequest, SwitchAgentRequest, SwitchAgentResponse
from agent_runtime.v1.agent_service_pb2_grpc import AgentServiceStub
from agent_runtime.v1.approval_pb2 import Approval
from agent_runtime.v1.approval_service_pb2 import DecideApprovalRequest, GetApprovalRequest
from agent_runtime.v1.approval_service_pb2_grpc import ApprovalServiceStub
from agent_runtime.v1.input_pb2 import ApprovalDecision, BusyPolicy, FollowupAnswer, Resume, ToolResults, UserMessage
from agent_runtime.v1.message_pb2 import Message
from agent_runtime.v1.message_service_pb2 import CancelTurnRequest, GetTurnRequest, SendMessageRequest
from agent_runtime.v1.message_service_pb2_grpc import MessageServiceStub
from agent_runtime.v1.session_event_pb2 import SessionEvent
from agent_runtime.v1.session_history_pb2 import ListMessagesRequest
from agent_runtime.v1.session_pb2 import Session
from agent_runtime.v1.session_service_pb2 import CreateSessionRequest, CreateSessionResponse, GetSessionRequest
from agent_runtime.v1.session_service_pb2_grpc import SessionServiceStub
from agent_runtime.v1.session_stream_pb2 import WatchSessionRequest
from agent_runtime.v1.turn_event_pb2 import InputAccepted
from agent_runtime.v1.turn_pb2 import Turn
from client.channel import open_channel
from client.errors import RuntimeCallError, call_error
from client.reconnection import Backoff, ReconnectPolicy
from client.streams import Watched, follow_input, follow_session

UNARY_SECONDS = 30.0

Input = UserMessage | ToolResults | ApprovalDecision | FollowupAnswer | Resume
_Response = TypeVar("_Response")


class RuntimeClient:
    """One caller's view of one runtime.

    Every call raises RuntimeCallError when it is refused, or when the connection broke and coming back failed as often
    as `policy` allows. Mutations carry a request id, so trying again never does anything twice. Calls may run
    concurrently on one event loop; streams are async generators, to be closed (`aclosing`) when left early.
    """

    def __init__(
        self, channel: grpc.aio.Channel, *, key: str = "", owner: str = "", policy: ReconnectPolicy | None = None
    ) -> None:
        self._sessions = SessionServiceStub(channel)
        self._messages = MessageServiceStub(channel)
        self._agents = AgentServiceStub(channel)
        self._approvals = ApprovalServiceStub(channel)
        self._policy = policy or ReconnectPolicy()
        self._metadata = tuple(
            (name, value)
            for name, value in (("authorization", f"Bearer {key}" if key else ""), ("x-owner-id", owner))
            if value
        )

    async def create_session(
        self, session_id: str = "", *, title: str = "", agent: str = "", allow_existing: bool = False
    ) -> CreateSessionResponse:
        """A new session; with `allow_existing` also the one that is there already, unchanged (`created` tells)."""
        request = CreateSessionRequest(
            session_id=session_id, title=title, agent=agent, allow_existing=allow_existing, request_id=_new_id()
        )
        return await self._call(self._sessions.CreateSession, request)

    async def session(self, session_id: str) -> Session:
        """The session as it is now."""
        return (await self._call(self._sessions.GetSession, GetSessionRequest(session_id=session_id))).session

    async def last_messages(self, session_id: str, count: int) -> list[Message]:
        """The newest messages of the history, at most `count` (and 500), oldest first."""
        request = ListMessagesRequest(session_id=session_id, page_size=count, newest_first=True)
        page = await self._call(self._sessions.ListMessages, request)
        return list(reversed(page.messages))

    async def agents(self) -> list[Agent]:
        """The agents the runtime has loaded, at most 500."""
        return list((await self._call(self._agents.ListAgents, ListAgentsRequest(page_size=500))).agents)

    def send(
        self,
        session_id: str,
        what: Input,
        *,
        request_id: str = "",
        busy_policy: BusyPolicy.ValueType = BusyPolicy.BUSY_POLICY_UNSPECIFIED,
    ) -> AsyncGenerator[SessionEvent, None]:
        """Gives the session one input and streams what comes of it, to the end or the pause of its turn.

        A repeated `request_id` with the same input goes on with what was accepted then. Raises StreamEndedError if the
        history was cleared before the outcome could be read.
        """
        request = _send_request(session_id, what, request_id or _new_id(), busy_policy)
        return follow_input(
            lambda wanted: self._messages.SendMessage(wanted, metadata=self._metadata), request, self._policy
        )

    async def submit(self, session_id: str, what: Input, *, request_id: str = "") -> InputAccepted:
        """Gives the session one input without waiting for what comes of it, for those who watch."""
        request = _send_request(session_id, what, request_id or _new_id(), BusyPolicy.BUSY_POLICY_UNSPECIFIED)
        request.detach = True
        stream = follow_input(
            lambda wanted: self._messages.SendMessage(wanted, metadata=self._metadata), request, self._policy
        )
        async with aclosing(stream) as events:
            async for event in events:
                return event.input_accepted
        raise RuntimeCallError(grpc.StatusCode.UNKNOWN, "the stream ended before its input was accepted")

    def watch(
        self, session_id: str, *, after_sequence: int | None = None, stop_at_head: bool = False
    ) -> AsyncGenerator[Watched, None]:
        """The session's events after a number, without an end; without a number a snapshot and what comes after it."""
        request = WatchSessionRequest(
            session_id=session_id,
            after_sequence=after_sequence,
            snapshot=after_sequence is None,
            stop_at_head=stop_at_head,
        )
        return follow_session(
            lambda wanted: self._messages.WatchSession(wanted, metadata=self._metadata), request, self._policy
        )

    async def approval(self, session_id: str, approval_id: str) -> Approval:
        """The whole approval, with the `display` that snapshots leave out."""
        request = GetApprovalRequest(session_id=session_id, approval_id=approval_id)
        return (await self._call(self._approvals.GetApproval, request)).approval

    async def decide(self, session_id: str, decision: ApprovalDecision) -> Approval:
        """Decides an approval; returns it as it is then. What comes of it is seen by watching."""
        request = DecideApprovalRequest(session_id=session_id, decision=decision, request_id=_new_id())
        return (await self._call(self._approvals.DecideApproval, request)).approval

    async def answer(self, session_id: str, answer: FollowupAnswer) -> InputAccepted:
        """Answers a follow-up question. What comes of it is seen by watching."""
        return await self.submit(session_id, answer)

    async def cancel(self, session_id: str, turn_id: str = "") -> Turn:
        """Ends this turn, or whichever is active; returns it as it ended."""
        request = CancelTurnRequest(session_id=session_id, turn_id=turn_id, request_id=_new_id())
        return (await self._call(self._messages.CancelTurn, request)).turn

    async def turn(self, session_id: str, turn_id: str) -> Turn:
        """The turn as it is now."""
        request = GetTurnRequest(session_id=session_id, turn_id=turn_id)
        return (await self._call(self._messages.GetTurn, request)).turn

    async def switch_agent(self, session_id: str, agent: str, reason: str = "") -> SwitchAgentResponse:
        """Makes another agent the current one."""
        request = SwitchAgentRequest(session_id=session_id, agent=agent, reason=reason, request_id=_new_id())
        return await self._call(self._agents.SwitchAgent, request)

    async def _call(self, method: grpc.aio.UnaryUnaryMultiCallable[Any, _Response], request: Any) -> _Response:
        backoff = Backoff(self._policy)
        while True:
            try:
                return await method(request, metadata=self._metadata, timeout=UNARY_SECONDS)
            except grpc.aio.AioRpcError as error:
                await backoff.before_next_try(call_error(error))


@asynccontextmanager
async def connect(
    address: str,
    *,
    key: str = "",
    owner: str = "",
    credentials: grpc.ChannelCredentials | None = None,
    policy: ReconnectPolicy | None = None,
) -> AsyncIterator[RuntimeClient]:
    """A client of the runtime at `host:port`, closed on leaving.

    `key` is the service key (none in development mode); `owner` is for gateways only. Without TLS `credentials` the
    key travels in plain text.
    """
    async with open_channel(address, credentials) as channel:
        yield RuntimeClient(channel, key=key, owner=owner, policy=policy)


def _send_request(
    session_id: str, what: Input, request_id: str, busy_policy: BusyPolicy.ValueType
) -> SendMessageRequest:
    request = SendMessageRequest(session_id=session_id, request_id=request_id, busy_policy=busy_policy)
    match what:
        case UserMessage():
            request.user_message.CopyFrom(what)
        case ToolResults():
            request.tool_results.CopyFrom(what)
        case ApprovalDecision():
            request.approval_decision.CopyFrom(what)
        case FollowupAnswer():
            request.followup_answer.CopyFrom(what)
        case Resume():
            request.resume.CopyFrom(what)
    return request


def _new_id() -> str:
    return str(uuid.uuid4())
