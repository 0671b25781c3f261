"""The reads of both databases: every one bound to its owner, each list a keyset page in a constant number of
statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.application.ports import (
    AgentUsage,
    ApprovalView,
    InputProgress,
    ModelView,
    Page,
    PageKey,
    SessionFilter,
    SessionLocation,
    SessionSnapshot,
    SessionView,
)
from services.domain.agent_context import AgentSwitch
from services.domain.approval import Approval, ApprovalState
from services.domain.input import Input
from services.domain.message import Message, Role
from services.domain.policies.approval_rules import ApprovalRule, RuleScope
from services.domain.session_usage import SessionUsage
from services.domain.tool import ClientTool
from services.domain.tool_call import ToolCall
from services.domain.turn import Turn, TurnState
from services.infrastructure.persistence import (
    agent_reads,
    approval_reads,
    message_reads,
    model_view_reads,
    rule_reads,
    session_reads,
    snapshot_reads,
    turn_reads,
    usage_reads,
)
from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.session_load import read_client_tools


class SqlReadModel:
    """The `ReadModel` of both databases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def session(self, owner_id: str, session_id: str) -> SessionView:
        return await self._database.read(lambda c: session_reads.read_session(c, owner_id, session_id))

    async def sessions(
        self, owner_id: str, *, where: SessionFilter, limit: int, after: PageKey | None
    ) -> Page[SessionView]:
        return await self._database.read(lambda c: session_reads.read_sessions(c, owner_id, where, limit, after))

    async def messages(
        self,
        owner_id: str,
        session_id: str,
        *,
        roles: Sequence[Role],
        turn_id: str | None,
        newest_first: bool,
        limit: int,
        after: PageKey | None,
    ) -> Page[Message]:
        return await self._database.read(
            lambda c: message_reads.read_messages(
                c,
                owner_id,
                session_id,
                roles=roles,
                turn_id=turn_id,
                newest_first=newest_first,
                limit=limit,
                after=after,
            )
        )

    async def model_view(self, session_key: int) -> ModelView:
        return await self._database.read(lambda c: model_view_reads.read_model_view(c, session_key))

    async def session_usage(self, owner_id: str, session_id: str) -> SessionUsage:
        return await self._database.read(lambda c: usage_reads.read_session_usage(c, owner_id, session_id))

    async def switches(
        self, owner_id: str, session_id: str, *, newest_first: bool, limit: int, after: PageKey | None
    ) -> Page[AgentSwitch]:
        return await self._database.read(
            lambda c: agent_reads.read_switches(
                c, owner_id, session_id, newest_first=newest_first, limit=limit, after=after
            )
        )

    async def agent_usage(
        self, owner_id: str, session_id: str | None, *, since: datetime | None, before: datetime | None
    ) -> list[AgentUsage]:
        return await self._database.read(lambda c: agent_reads.read_usage(c, owner_id, session_id, since, before))

    async def turn(self, owner_id: str, session_id: str, turn_id: str) -> Turn:
        return await self._database.read(lambda c: turn_reads.read_turn(c, owner_id, session_id, turn_id))

    async def turns(
        self, owner_id: str, session_id: str, *, states: Sequence[TurnState], limit: int, after: PageKey | None
    ) -> Page[Turn]:
        return await self._database.read(
            lambda c: turn_reads.read_turns(c, owner_id, session_id, states=states, limit=limit, after=after)
        )

    async def open_tool_calls(
        self, owner_id: str, session_id: str, *, limit: int, after: PageKey | None
    ) -> Page[ToolCall]:
        return await self._database.read(
            lambda c: turn_reads.read_open_tool_calls(c, owner_id, session_id, limit=limit, after=after)
        )

    async def client_tools(self, session_key: int) -> tuple[ClientTool, ...]:
        return await self._database.read(lambda c: read_client_tools(c, session_key))

    async def approval(self, owner_id: str, session_id: str, approval_id: str) -> Approval:
        return await self._database.read(lambda c: approval_reads.read_approval(c, owner_id, session_id, approval_id))

    async def approvals(
        self,
        owner_id: str,
        session_id: str | None,
        *,
        states: Sequence[ApprovalState],
        limit: int,
        after: PageKey | None,
    ) -> Page[ApprovalView]:
        return await self._database.read(
            lambda c: approval_reads.read_approvals(c, owner_id, session_id, states=states, limit=limit, after=after)
        )

    async def approval_rules(
        self,
        owner_id: str,
        session_id: str | None,
        *,
        scopes: Sequence[RuleScope],
        limit: int,
        after: PageKey | None,
    ) -> Page[ApprovalRule]:
        return await self._database.read(
            lambda c: rule_reads.read_rules(c, owner_id, session_id, scopes=scopes, limit=limit, after=after)
        )

    async def input_progress(self, session_key: int, input_id: str) -> InputProgress:
        return await self._database.read_snapshot(lambda c: turn_reads.read_input_progress(c, session_key, input_id))

    async def input(self, owner_id: str, session_id: str, input_id: str) -> Input:
        return await self._database.read(lambda c: session_reads.read_input(c, owner_id, session_id, input_id))

    async def pending_inputs(self, owner_id: str, session_id: str) -> list[Input]:
        return await self._database.read(lambda c: session_reads.read_pending(c, owner_id, session_id))

    async def snapshot(self, owner_id: str, session_id: str) -> SessionSnapshot:
        return await self._database.read_snapshot(lambda c: snapshot_reads.read_snapshot(c, owner_id, session_id))

    async def locate(self, owner_id: str, session_id: str) -> SessionLocation:
        return await self._database.read(lambda c: session_reads.locate(c, owner_id, session_id))
