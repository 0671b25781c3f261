"""One change of one session: what was loaded under its lock, and everything that will be written with it.

A command or a step is a plain function over a `SessionChange`: it looks, refuses by raising, or stages. It performs no
input or output and may be run again on a fresh load when the database asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, auto

from services.domain.agent_context import AgentContext, AgentSwitch, SwitchSource
from services.domain.approval import Approval, ApprovalState
from services.domain.audit import AuditAction, AuditRecord
from services.domain.context_summary import ContextSummary
from services.domain.errors import TurnInProgressError
from services.domain.ids import new_id
from services.domain.input import Input, InputState, in_turn
from services.domain.message import Message
from services.domain.policies.approval_rules import ApprovalRule
from services.domain.session import Session
from services.domain.session_events import AgentSwitched, MessageAdded, NewEvent, Payload
from services.domain.session_usage import SessionUsage
from services.domain.tool import ClientTool
from services.domain.tool_call import ToolCall
from services.domain.turn import Turn, TurnState


class HeadMove(Enum):
    """What a change does to the right to write the session's log; follows from the change itself.

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
class Lookup:
    """What a change needs to see beyond what every change sees; see `SessionAggregate`."""

    draft_text: bool = False
    call_ids: tuple[str, ...] = ()
    approval_ids: tuple[str, ...] = ()
    client_tools: bool = False
    rules: bool = False
    last_turn: bool = False
    running_turns: bool = False


@dataclass(frozen=True, slots=True)
class SessionAggregate:
    """A session as loaded under its lock.

    `turn` is the active one; it is `orphaned` when the process that owned it is gone. `batch` are the calls of the
    answer the turn waits on, settled ones too, in the model's order; `approvals` are the pending ones. The rest is
    filled only when asked for by a `Lookup`: `draft_text` is the text the running attempt has in the log, `known_calls`
    and `known_approvals` are those of the ids asked about that the session has, `client_tools` those of the session,
    `rules` the approval rules made for it, its owner or everybody, oldest first, `last_turn` is the newest turn,
    `running_turns` how many turns run for its owner in all sessions, which is known without asking where a message
    waits.
    `pending_inputs` are the messages that wait, in the order they came. `deadline_now` is the database's clock, by
    which everything that expires is measured. `usage` is what the session has cost but for the active turn.
    """

    session: Session
    context: AgentContext
    last_sequence: int
    deadline_now: datetime
    turn: Turn | None = None
    orphaned: bool = False
    batch: tuple[ToolCall, ...] = ()
    approvals: tuple[Approval, ...] = ()
    draft_text: str = ""
    known_calls: Mapping[str, ToolCall] = field(default_factory=dict)
    known_approvals: Mapping[str, Approval] = field(default_factory=dict)
    client_tools: tuple[ClientTool, ...] = ()
    rules: tuple[ApprovalRule, ...] = ()
    last_turn: Turn | None = None
    running_turns: int = 0
    pending_inputs: tuple[Input, ...] = ()
    usage: SessionUsage = field(default_factory=SessionUsage)


class SessionChange:
    """Collects what one transaction will do; reading it gives the session as it will be.

    Events are numbered in the order of `append`, from the loaded head on. So many turns as `most_running` may run for
    the owner at once; None: any number. Not for use by two tasks.
    """

    def __init__(
        self,
        loaded: SessionAggregate,
        *,
        now: datetime,
        correlation_id: str,
        is_step: bool = False,
        waiting: Sequence[NewEvent] = (),
        most_running: int | None = None,
    ) -> None:
        self.is_step = is_step
        self.most_running = most_running
        self.loaded = loaded
        self.now = now
        self.correlation_id = correlation_id
        self.session = loaded.session
        self.context = loaded.context
        self.turn = loaded.turn
        self.usage = loaded.usage
        self.ended_turn: Turn | None = None
        self.events: list[NewEvent] = list(waiting)
        self.messages: list[Message] = []
        self.tool_calls: dict[str, ToolCall] = {}
        self.approvals: dict[str, Approval] = {}
        self.switches: list[AgentSwitch] = []
        self.inputs: dict[str, Input] = {}
        self.client_tools: tuple[ClientTool, ...] | None = None
        self.rules: list[ApprovalRule] = []
        self.audit: list[AuditRecord] = []
        self.summary: ContextSummary | None = None
        self.removal = Removal.NOTHING
        self.outcome = ""

    @property
    def last_sequence(self) -> int:
        """The number the log's last event will have."""
        return self.loaded.last_sequence + len(self.events)

    @property
    def head_move(self) -> HeadMove:
        """What becomes of the right to write the log, by who changes it and by what becomes of the turn."""
        runs = self.turn is not None and self.turn.state is TurnState.RUNNING
        if self.removal is Removal.SESSION:
            return HeadMove.FENCE
        if self.is_step:
            return HeadMove.KEEP if runs else HeadMove.RELEASE
        before = self.loaded.turn
        ran = before is not None and before.state is TurnState.RUNNING
        if runs and not (ran and _same_attempt(self.turn, before)):
            return HeadMove.CLAIM
        return HeadMove.FENCE if ran and not runs else HeadMove.KEEP

    @property
    def pending_inputs(self) -> list[Input]:
        """Messages that wait, as loaded and changed since, in the order they will be taken: those that steer first."""
        merged = {waiting.id: waiting for waiting in self.loaded.pending_inputs} | self.inputs
        return in_turn(waiting for waiting in merged.values() if waiting.state is InputState.PENDING)

    @property
    def batch(self) -> list[ToolCall]:
        """The calls of the answer the turn waits on, as loaded and changed since, in the model's order."""
        loaded = [self.tool_calls.get(call.id, call) for call in self.loaded.batch]
        known = {call.id for call in loaded}
        return loaded + [call for call in self.tool_calls.values() if call.id not in known]

    @property
    def pending_approvals(self) -> list[Approval]:
        """Approvals that wait for a decision, as loaded and changed since, in the order they were asked for."""
        merged = {approval.id: approval for approval in self.loaded.approvals} | self.approvals
        return [approval for approval in merged.values() if approval.state is ApprovalState.PENDING]

    @property
    def writes_nothing(self) -> bool:
        """Whether the decision staged nothing at all, so that there is nothing to commit."""
        before = (self.loaded.session, self.loaded.context, self.loaded.turn)
        return not self.events and self.client_tools is None and (self.session, self.context, self.turn) == before

    def switch_agent(
        self, to_agent: str, *, reason: str, source: SwitchSource, requested_by: str, confidence: str = ""
    ) -> AgentSwitch:
        """Makes another agent current, in context, history and log. Raises SameAgentError or SwitchLimitError."""
        switch = self.context.switch_to(
            to_agent,
            reason=reason,
            source=source,
            requested_by=requested_by,
            confidence=confidence,
            time=self.now,
        )
        self._add_switch(switch)
        self.context = self.context.after(switch)
        return switch

    def reset_agent(self, initial_agent: str, *, requested_by: str) -> None:
        """Goes back to the agent sessions begin with and counts switches from 0 again; no error if it is current."""
        if self.context.current_agent != initial_agent:
            switch = self.context.reset_to(initial_agent, requested_by=requested_by, time=self.now)
            self._add_switch(switch)
            self.context = self.context.after(switch)
        self.context = replace(self.context, switch_count=0)

    def _add_switch(self, switch: AgentSwitch) -> None:
        self.switches.append(switch)
        turn_id = self.turn.id if self.turn is not None and self.turn.state.is_active else None
        self.append(
            AgentSwitched(switch.from_agent, switch.to_agent, switch.reason, switch.confidence, switch.source),
            turn_id=turn_id,
        )

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

    def record(
        self, action: AuditAction, *, actor: str, target_id: str, outcome: str = "", details: Mapping[str, str]
    ) -> None:
        """Adds to the audit what is done with this change; details without a value are left out."""
        self.audit.append(
            AuditRecord(
                id=new_id("audit"),
                create_time=self.now,
                actor=actor,
                owner_id=self.session.owner_id,
                action=action,
                correlation_id=self.correlation_id,
                session_id=self.session.id,
                target_id=target_id,
                outcome=outcome,
                details={name: value for name, value in details.items() if value},
            )
        )

    def check_idle(self) -> None:
        """Raises TurnInProgressError while a turn is active, or a message waits to begin one."""
        if self.turn is not None and self.turn.state.is_active:
            waiting = ",".join(self.turn.wait.reasons) if self.turn.wait is not None else ""
            raise TurnInProgressError(
                "a turn is active in this session",
                metadata={"turn_id": self.turn.id, "turn_state": self.turn.state, "waiting_for": waiting},
            )
        if self.pending_inputs:
            raise TurnInProgressError(
                "a message waits in this session until fewer turns run; withdraw it, or let one of the others end",
                metadata={"turn_id": "", "turn_state": "", "waiting_for": ""},
            )


def _same_attempt(turn: Turn | None, other: Turn | None) -> bool:
    """Whether both are in the same model call of the same turn: then whoever runs it goes on undisturbed."""
    return turn is not None and other is not None and (turn.id, turn.attempt) == (other.id, other.attempt)
