"""CreateSession: a new session, or the one that is there when the caller allows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from services.application.idempotency import key_for
from services.application.ports import AgentCatalog, Clock, Principal, SessionStore, SessionView
from services.application.sessions.client_tool_checks import ClientToolChecks
from services.domain.agent_context import AgentContext
from services.domain.ids import new_id
from services.domain.session import DEFAULT_MESSAGE_LIMIT, Session, SessionState
from services.domain.tool import ClientTool


class CreateSession:
    """Stores a session; without an id of the caller's it makes one that cannot be guessed."""

    def __init__(
        self,
        store: SessionStore,
        agents: AgentCatalog,
        clock: Clock,
        client_tools: ClientToolChecks,
        *,
        message_limit: int = DEFAULT_MESSAGE_LIMIT,
    ) -> None:
        self._store = store
        self._client_tools = client_tools
        self._agents = agents
        self._clock = clock
        self._message_limit = message_limit

    async def execute(
        self,
        principal: Principal,
        *,
        session_id: str,
        title: str,
        description: str,
        labels: Mapping[str, str],
        agent: str,
        message_limit: int,
        client_tools: tuple[ClientTool, ...],
        allow_existing: bool,
        request_id: str,
    ) -> tuple[SessionView, bool]:
        """The session and whether this request made it; an empty id, agent or limit means the default.

        Raises SessionAlreadyExistsError, AgentNotFoundError, RequestIdReusedError, and InvalidArgumentError for a
        client tool that cannot be offered.
        """
        self._client_tools.check(client_tools, field="client_tools")
        key = key_for(
            principal,
            "CreateSession",
            request_id,
            session_id=session_id,
            title=title,
            description=description,
            labels=dict(labels),
            agent=agent,
            message_limit=message_limit,
            client_tools=[asdict(tool) for tool in client_tools],
            allow_existing=allow_existing,
        )
        now = self._clock.now()
        session = Session(
            key=0,
            id=session_id or new_id("session"),
            owner_id=principal.owner_id,
            title=title,
            description=description,
            state=SessionState.ACTIVE,
            create_time=now,
            update_time=now,
            last_activity_time=now,
            labels=dict(labels),
            message_limit=message_limit or self._message_limit,
        )
        first_agent = self._agents.get(agent).name if agent else self._agents.initial_agent
        return await self._store.create(
            session, AgentContext(first_agent), client_tools=client_tools, allow_existing=allow_existing, key=key
        )
