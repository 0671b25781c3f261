"""SessionService: proto in, use case, proto out."""

from __future__ import annotations

from dataclasses import dataclass

from agent_runtime.v1 import session_history_pb2, session_service_pb2
from agent_runtime.v1.session_service_pb2_grpc import SessionServiceServicer
from server.converters import session_requests
from server.converters.message import to_message
from server.converters.page_tokens import PageTokens
from server.converters.session import to_session
from server.converters.usage import to_session_usage
from server.handlers.correlation import correlation_id
from server.interceptors.authentication import current_principal
from services.application.sessions.activate_session import ActivateSession
from services.application.sessions.clear_messages import ClearMessages
from services.application.sessions.create_session import CreateSession
from services.application.sessions.deactivate_session import DeactivateSession
from services.application.sessions.delete_session import DeleteSession
from services.application.sessions.fork_session import ForkSession
from services.application.sessions.get_session import GetSession
from services.application.sessions.get_session_usage import GetSessionUsage
from services.application.sessions.list_messages import ListMessages
from services.application.sessions.list_sessions import ListSessions
from services.application.sessions.update_session import UpdateSession


@dataclass(frozen=True, kw_only=True)
class SessionHandler(SessionServiceServicer):
    """Answers the RPCs of SessionService."""

    create_session: CreateSession
    get_session: GetSession
    list_sessions: ListSessions
    update_session: UpdateSession
    deactivate_session: DeactivateSession
    activate_session: ActivateSession
    delete_session: DeleteSession
    clear_messages: ClearMessages
    fork_session: ForkSession
    list_messages: ListMessages
    get_session_usage: GetSessionUsage
    page_tokens: PageTokens

    async def CreateSession(
        self, request: session_service_pb2.CreateSessionRequest, context: object
    ) -> session_service_pb2.CreateSessionResponse:
        fields = session_requests.from_create_session(request)
        view, created = await self.create_session.execute(current_principal(), **fields)
        return session_service_pb2.CreateSessionResponse(session=to_session(view), created=created)

    async def GetSession(
        self, request: session_service_pb2.GetSessionRequest, context: object
    ) -> session_service_pb2.GetSessionResponse:
        fields = session_requests.from_get_session(request)
        view = await self.get_session.execute(current_principal(), **fields)
        return session_service_pb2.GetSessionResponse(session=to_session(view))

    async def ListSessions(
        self, request: session_service_pb2.ListSessionsRequest, context: object
    ) -> session_service_pb2.ListSessionsResponse:
        principal = current_principal()
        fields = session_requests.from_list_sessions(request)
        after = self.page_tokens.read(principal.owner_id, request)
        page = await self.list_sessions.execute(principal, **fields, after=after)
        return session_service_pb2.ListSessionsResponse(
            sessions=[to_session(view) for view in page.items],
            next_page_token=self.page_tokens.issue(principal.owner_id, request, page.next_after),
        )

    async def UpdateSession(
        self, request: session_service_pb2.UpdateSessionRequest, context: object
    ) -> session_service_pb2.UpdateSessionResponse:
        fields = session_requests.from_update_session(request)
        view = await self.update_session.execute(current_principal(), **fields, correlation_id=correlation_id())
        return session_service_pb2.UpdateSessionResponse(session=to_session(view))

    async def DeactivateSession(
        self, request: session_service_pb2.DeactivateSessionRequest, context: object
    ) -> session_service_pb2.DeactivateSessionResponse:
        fields = session_requests.from_deactivate_session(request)
        view = await self.deactivate_session.execute(current_principal(), **fields, correlation_id=correlation_id())
        return session_service_pb2.DeactivateSessionResponse(session=to_session(view))

    async def ActivateSession(
        self, request: session_service_pb2.ActivateSessionRequest, context: object
    ) -> session_service_pb2.ActivateSessionResponse:
        fields = session_requests.from_session_change(request)
        view = await self.activate_session.execute(current_principal(), **fields, correlation_id=correlation_id())
        return session_service_pb2.ActivateSessionResponse(session=to_session(view))

    async def DeleteSession(
        self, request: session_service_pb2.DeleteSessionRequest, context: object
    ) -> session_service_pb2.DeleteSessionResponse:
        fields = session_requests.from_session_change(request)
        await self.delete_session.execute(current_principal(), **fields, correlation_id=correlation_id())
        return session_service_pb2.DeleteSessionResponse()

    async def ClearMessages(
        self, request: session_history_pb2.ClearMessagesRequest, context: object
    ) -> session_history_pb2.ClearMessagesResponse:
        fields = session_requests.from_session_change(request)
        view, cleared = await self.clear_messages.execute(
            current_principal(), **fields, correlation_id=correlation_id()
        )
        return session_history_pb2.ClearMessagesResponse(session=to_session(view), cleared_messages=cleared)

    async def ListMessages(
        self, request: session_history_pb2.ListMessagesRequest, context: object
    ) -> session_history_pb2.ListMessagesResponse:
        principal = current_principal()
        fields = session_requests.from_list_messages(request)
        after = self.page_tokens.read(principal.owner_id, request)
        page = await self.list_messages.execute(principal, **fields, after=after)
        return session_history_pb2.ListMessagesResponse(
            messages=[to_message(message) for message in page.items],
            next_page_token=self.page_tokens.issue(principal.owner_id, request, page.next_after),
        )

    async def ForkSession(
        self, request: session_history_pb2.ForkSessionRequest, context: object
    ) -> session_history_pb2.ForkSessionResponse:
        fields = session_requests.from_fork_session(request)
        view, copied = await self.fork_session.execute(current_principal(), **fields, correlation_id=correlation_id())
        return session_history_pb2.ForkSessionResponse(session=to_session(view), copied_messages=copied)

    async def GetSessionUsage(
        self, request: session_service_pb2.GetSessionUsageRequest, context: object
    ) -> session_service_pb2.GetSessionUsageResponse:
        fields = session_requests.from_get_session(request)
        sums = await self.get_session_usage.execute(current_principal(), **fields)
        return session_service_pb2.GetSessionUsageResponse(usage=to_session_usage(request.session_id, sums))
