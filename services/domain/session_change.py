"""One change of one session: what was loaded under its lock, and everything that will be written with it.

A command or a step is a plain function over a `SessionChange`: it looks, refuses by raising, or stages. It performs no
input or output and may be run again on a fresh load when the database asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto

from services.domain.agent_context import AgentContext
from services.domain.errors import TurnInProgressError
from services.domain.input import Input
from services.domain.message import Message
from services.domain.session import Session
from services.domain.session_events import MessageAdded, NewEvent, Payload
from services.domain.tool_call import ToolCall
from services.domain.turn import Turn


class HeadMove(Enum):
    """What a change does to the right to write the session's log.

    CLAIM makes this process the owner, RELEASE leaves no owner, FENCE does so too and locks out whoever was it.
    """

    KEEP = auto()
    CLAIM = auto()
    RELEASE = auto()
    FENCE = auto()


class Removal(Enum):
    """What a change removes before it writes: nothing, the history, or all content of the session."""

    NOTHING = auto()
    MESSAGES = auto()
    SESSION = auto()


@dataclass(frozen=True, slots=True)
class SessionAggregate:
    """A session as loaded under its lock.

    `turn` is the active one; it is `orphaned` when the process that owned it is gone. `draft_text` is the text the
    running attempt has in the log, filled only when asked for; `taken_call_ids` are those of the ids asked about that
    the session already uses.
    """

    session: Session
    context: AgentContext
    last_sequence: int
    turn: Turn | None = None
    orphaned: bool = False
    open_calls: tuple[ToolCall, ...] = ()
    draft_text: str = ""
    taken_call_ids: frozenset[str] = frozenset()


class SessionChange:
    """Collects what one transaction will do; reading it gives the session as it will be.

    Events are numbered in the order of `append`, from the loaded head on. Not for use by two tasks.
    """

    def __init__(
        self, loaded: SessionAggregate, *, now: datetime, correlation_id: str, waiting: Sequence[NewEvent] = ()
    ) -> None:
        self.loaded = loaded
        self.now = now
        self.correlation_id = correlation_id
        self.session = loaded.session
        self.context = loaded.context
        self.turn = loaded.turn
        self.events: list[NewEvent] = list(waiting)
        self.messages: list[Message] = []
        self.tool_calls: dict[str, ToolCall] = {}
        self.inputs: list[Input] = []
        self.removal = Removal.NOTHING
        self.head_move = HeadMove.KEEP
        self.outcome = ""

    @property
    def last_sequence(self) -> int:
        """The number the log's last event will have."""
        return self.loaded.last_sequence + len(self.events)

    @property
    def open_calls(self) -> list[ToolCall]:
        """Tool calls without a result, as loaded and changed since, in the order the model made them."""
        return [self.tool_calls.get(call.id, call) for call in self.loaded.open_calls]

    def append(self, payload: Payload, *, turn_id: str | None = None) -> int:
        """Adds an event to the log and returns the number it will have."""
        self.events.append(NewEvent(payload, self.now, self.correlation_id, turn_id))
        return self.last_sequence

    def add_message(self, message: Message) -> Message:
        """Adds a message to the history and its MessageAdded to the log; returns it with its ordinal."""
        stored = replace(message, ordinal=self.session.last_ordinal + 1)
        self.session = self.session.with_message(stored, self.now)
        self.messages.append(stored)
        self.append(MessageAdded(stored), turn_id=stored.turn_id)
        return stored

    def check_idle(self) -> None:
        """Raises TurnInProgressError while a turn is active."""
        if self.turn is not None and self.turn.state.is_active:
            waiting = ",".join(self.turn.waiting_for)
            raise TurnInProgressError(
                "a turn is active in this session",
                metadata={"turn_id": self.turn.id, "turn_state": self.turn.state, "waiting_for": waiting},
            )
