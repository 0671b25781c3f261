"""The reading side of storage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.application.ports.views import (
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
from services.domain.message import Message
from services.domain.message import Role as MessageRole
from services.domain.policies.approval_rules import ApprovalRule, RuleScope
from services.domain.session_usage import SessionUsage
from services.domain.tool import ClientTool
from services.domain.tool_call import ToolCall
from services.domain.turn import Turn, TurnState


class ReadModel(Protocol):
    """Reads for one owner: someone else's things are not there (G8). Lists are keyset pages in a constant number of
    statements.

    `after` is the `next_after` of the page before, `limit` the largest number of items; pages also end at about 1
    MiB.
    """

    async def session(self, owner_id: str, session_id: str) -> SessionView:
        """Raises SessionNotFoundError."""

    async def sessions(
        self, owner_id: str, *, where: SessionFilter, limit: int, after: PageKey | None
    ) -> Page[SessionView]:
        """Newest first."""

    async def messages(
        self,
        owner_id: str,
        session_id: str,
        *,
        roles: Sequence[MessageRole],
        turn_id: str | None,
        newest_first: bool,
        limit: int,
        after: PageKey | None,
    ) -> Page[Message]:
        """The history in order, or backwards; no `roles` and no `turn_id` mean all. Raises SessionNotFoundError."""

    async def model_view(self, session_key: int) -> ModelView:
        """What the next model call of a session starts from."""

    async def session_usage(self, owner_id: str, session_id: str) -> SessionUsage:
        """What a session has cost, the work of its active turn included. Raises SessionNotFoundError."""

    async def switches(
        self,
        owner_id: str,
        session_id: str,
        *,
        newest_first: bool,
        limit: int,
        after: PageKey | None,
    ) -> Page[AgentSwitch]:
        """The switch history in order, or backwards. Raises SessionNotFoundError."""

    async def agent_usage(
        self, owner_id: str, session_id: str | None, *, since: datetime | None, before: datetime | None
    ) -> list[AgentUsage]:
        """By agent name, over one session or all of the owner's. Raises SessionNotFoundError."""

    async def turn(self, owner_id: str, session_id: str, turn_id: str) -> Turn:
        """Raises SessionNotFoundError, TurnNotFoundError."""

    async def turns(
        self,
        owner_id: str,
        session_id: str,
        *,
        states: Sequence[TurnState],
        limit: int,
        after: PageKey | None,
    ) -> Page[Turn]:
        """Newest first. Raises SessionNotFoundError."""

    async def open_tool_calls(
        self, owner_id: str, session_id: str, *, limit: int, after: PageKey | None
    ) -> Page[ToolCall]:
        """In the order the model made them. Raises SessionNotFoundError."""

    async def client_tools(self, session_key: int) -> tuple[ClientTool, ...]:
        """The tools the client of a session declared, in its order."""

    async def approval(self, owner_id: str, session_id: str, approval_id: str) -> Approval:
        """Raises SessionNotFoundError, ApprovalNotFoundError."""

    async def approvals(
        self,
        owner_id: str,
        session_id: str | None,
        *,
        states: Sequence[ApprovalState],
        limit: int,
        after: PageKey | None,
    ) -> Page[ApprovalView]:
        """Oldest first, of one session or of all the owner's; no `states` mean all. Raises SessionNotFoundError."""

    async def approval_rules(
        self,
        owner_id: str,
        session_id: str | None,
        *,
        scopes: Sequence[RuleScope],
        limit: int,
        after: PageKey | None,
    ) -> Page[ApprovalRule]:
        """Oldest first: those that apply to one session, or all that the owner may see; without those of the
        configuration. No `scopes` mean all. Raises SessionNotFoundError.
        """

    async def input_progress(self, session_key: int, input_id: str) -> InputProgress:
        """What has become of an input that was accepted."""

    async def input(self, owner_id: str, session_id: str, input_id: str) -> Input:
        """Raises SessionNotFoundError, InputNotFoundError."""

    async def pending_inputs(self, owner_id: str, session_id: str) -> list[Input]:
        """The messages that wait, in the order they will be taken. Raises SessionNotFoundError."""

    async def snapshot(self, owner_id: str, session_id: str) -> SessionSnapshot:
        """All of it as of one moment. Raises SessionNotFoundError."""

    async def locate(self, owner_id: str, session_id: str) -> SessionLocation:
        """Where the session's log is and how long. Raises SessionNotFoundError."""
