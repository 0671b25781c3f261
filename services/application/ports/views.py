"""What reads return: sessions, turns, pages of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from services.domain.agent_context import AgentContext
from services.domain.approval import Approval
from services.domain.context_summary import ContextSummary
from services.domain.input import Input, InputState
from services.domain.message import Message
from services.domain.model_exchange import Usage
from services.domain.session import Session, SessionState
from services.domain.session_usage import SessionUsage
from services.domain.tool import ClientTool
from services.domain.tool_call import ToolCall
from services.domain.turn import Turn

T = TypeVar("T")


PageKey = tuple[int | str, ...]
"""Where a page of a list ended: the values of its sort key, last one last."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list; `next_after` continues it (None at the end)."""

    items: tuple[T, ...]
    next_after: PageKey | None


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as lists and reads show it; lists leave `client_tools` out, which may be large."""

    session: Session
    context: AgentContext
    last_sequence: int = 0
    active_turn_id: str | None = None
    client_tools: tuple[ClientTool, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Which sessions a list shows; what is empty or None does not restrict. Activity is in [since, before)."""

    states: tuple[SessionState, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    current_agent: str | None = None
    active_since: datetime | None = None
    active_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class ModelView:
    """What a model call starts from: the messages that no summary replaces, in order, the summary, if there is one, and
    what the session has cost but for the active turn.
    """

    messages: tuple[Message, ...]
    summary: ContextSummary | None
    usage: SessionUsage


@dataclass(frozen=True, slots=True)
class SessionLocation:
    """A session's surrogate key and the number of its last event."""

    session_key: int
    last_sequence: int


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """An approval and the session it belongs to."""

    session_id: str
    approval: Approval


@dataclass(frozen=True, slots=True)
class InputProgress:
    """What has become of an input: its turn (empty: none yet), and where its stream ends (None: not yet)."""

    state: InputState
    turn_id: str
    ends_at: int | None


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """Everything a client needs to draw a session, as of one number of its log; approvals come without `display`."""

    view: SessionView
    turn: Turn | None
    draft_message_id: str | None
    draft_text: str
    draft_reasoning: str
    open_calls: tuple[ToolCall, ...]
    pending_approvals: tuple[Approval, ...]
    pending_inputs: tuple[Input, ...]
    as_of_sequence: int


@dataclass(frozen=True, slots=True)
class AgentUsage:
    """What one agent has done in a session."""

    agent: str
    sessions: int
    turns: int
    switches_in: int
    model_calls: int
    tool_calls: int
    usage: Usage
