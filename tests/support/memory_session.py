"""One session in memory: loads and applies changes as storage does, and refuses what the database's keys refuse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.application.ports.store import NOTHING_MORE
from services.domain.agent_context import AgentContext, AgentSwitch
from services.domain.approval import Approval, ApprovalState
from services.domain.audit import AuditRecord
from services.domain.context_summary import ContextSummary
from services.domain.input import Input, InputState
from services.domain.message import Message, MessageToolCall
from services.domain.policies.approval_rules import ApprovalRule
from services.domain.session import Session
from services.domain.session_change import HeadMove, Lookup, Removal, SessionAggregate, SessionChange
from services.domain.session_events import NewEvent, Payload, TextDelta
from services.domain.session_usage import SessionUsage
from services.domain.tool import ClientTool
from services.domain.tool_call import ToolCall
from services.domain.turn import Turn, TurnState
from tests.support.changes import DATABASE_NOW, NOW, a_session


class MemorySession:
    """Everything storage has of one session. `now` is the clock of the process, `database_now` that of the database.

    `owned` says whether a process has the right to write the log, `owner_lives` whether that process is alive.
    `changes` are those that were written, with what they had asked to see.
    """

    def __init__(
        self,
        session: Session | None = None,
        context: AgentContext | None = None,
        client_tools: Sequence[ClientTool] = (),
        turn: Turn | None = None,
    ) -> None:
        self.session = session or a_session()
        self.context = context or AgentContext("universal")
        self.client_tools = tuple(client_tools)
        self.turns: dict[str, Turn] = {turn.id: turn} if turn is not None else {}
        self.messages: list[Message] = []
        self.calls: dict[str, ToolCall] = {}
        self.approvals: dict[str, Approval] = {}
        self.switches: list[AgentSwitch] = []
        self.inputs: dict[str, Input] = {}
        self.rules: list[ApprovalRule] = []
        self.audit: list[AuditRecord] = []
        self.events: list[NewEvent] = []
        self.summaries: list[ContextSummary] = []
        self.usage = SessionUsage()
        self.changes: list[tuple[SessionChange, Lookup]] = []
        self.cleared_through = 0
        self.epoch = 1
        self.owned = turn is not None and turn.state is TurnState.RUNNING
        self.owner_lives = True
        self.deleted = False
        self.now: datetime = NOW
        self.database_now: datetime = DATABASE_NOW
        self.most_running: int | None = None
        self.running_elsewhere = 0

    @property
    def turn(self) -> Turn | None:
        """The active turn."""
        return next((turn for turn in self.turns.values() if turn.state.is_active), None)

    @property
    def log(self) -> list[Payload]:
        """What the events say, in their order."""
        return [event.payload for event in self.events]

    @property
    def last_sequence(self) -> int:
        return self.cleared_through + len(self.events)

    def advance(self, seconds: float) -> None:
        """Time passes for the process and for the database."""
        self.now += timedelta(seconds=seconds)
        self.database_now += timedelta(seconds=seconds)

    def stream(self, text: str) -> None:
        """The running attempt's next delta, durable at once."""
        turn = self.turn
        assert turn is not None
        assert turn.attempt is not None
        delta = TextDelta(turn.attempt.message_id, text)
        self.change(lambda change: change.append(delta, turn_id=turn.id), is_step=True)

    def change(
        self,
        decide: Callable[[SessionChange], object],
        lookup: Lookup = NOTHING_MORE,
        *,
        correlation_id: str = "corr-1",
        is_step: bool = False,
    ) -> SessionChange:
        """One transaction: all of what was staged, or nothing when `decide` raises."""
        assert not is_step or self.owned, "only whoever owns the session takes steps"
        change = SessionChange(
            self.load(lookup),
            now=self.now,
            correlation_id=correlation_id,
            is_step=is_step,
            most_running=self.most_running,
        )
        decide(change)
        if not change.writes_nothing:
            self._write(change)
            self.changes.append((change, lookup))
        return change

    def load(self, lookup: Lookup = NOTHING_MORE) -> SessionAggregate:
        """The session as storage loads it."""
        assert not self.deleted
        turn = self.turn
        waits = turn is not None and turn.wait is not None
        batch = (
            call for call in self.calls.values() if turn is not None and call.message_ordinal == turn.batch_ordinal
        )
        waiting = tuple(each for each in self.inputs.values() if each.state is InputState.PENDING)
        pending = (each for each in self.approvals.values() if each.state is ApprovalState.PENDING)
        return SessionAggregate(
            session=self.session,
            context=self.context,
            last_sequence=self.last_sequence,
            deadline_now=self.database_now,
            turn=turn,
            orphaned=self.owned and not self.owner_lives,
            batch=tuple(sorted(batch, key=_place)) if waits else (),
            approvals=tuple(sorted(pending, key=lambda each: _place(self.calls[each.tool_call_id]))) if waits else (),
            draft_text=self._draft_text(turn) if lookup.draft_text else "",
            known_calls={id_: self.calls[id_] for id_ in lookup.call_ids if id_ in self.calls},
            known_approvals={id_: self.approvals[id_] for id_ in lookup.approval_ids if id_ in self.approvals},
            client_tools=self.client_tools if lookup.client_tools else (),
            rules=tuple(self.rules) if lookup.rules else (),
            last_turn=next(reversed(self.turns.values()), None) if lookup.last_turn else None,
            running_turns=self._running_turns(turn) if lookup.running_turns or waiting else 0,
            usage=self.usage,
            pending_inputs=waiting,
        )

    def _running_turns(self, turn: Turn | None) -> int:
        return self.running_elsewhere + (turn is not None and turn.state is TurnState.RUNNING)

    def history(self) -> list[Message]:
        """The messages with the arguments their calls ran with, as reads show them."""
        return [
            replace(message, tool_calls=tuple(self._as_run(call) for call in message.tool_calls))
            for message in self.messages
        ]

    def _as_run(self, call: MessageToolCall) -> MessageToolCall:
        record = self.calls.get(call.id)
        if record is None or record.original_arguments_json is None:
            return call
        return replace(call, arguments_json=record.arguments_json, arguments_edited=True)

    def _draft_text(self, turn: Turn | None) -> str:
        if turn is None or turn.attempt is None:
            return ""
        deltas = (payload for payload in self.log if isinstance(payload, TextDelta))
        return "".join(delta.text for delta in deltas if delta.message_id == turn.attempt.message_id)

    def _write(self, change: SessionChange) -> None:
        if change.removal is not Removal.NOTHING:
            self._remove(change.removal)
        self._move_head(change.head_move)
        self.events.extend(change.events)
        self.audit.extend(change.audit)
        if self.deleted:
            return
        self.session, self.context, self.usage = change.session, change.context, change.usage
        if change.summary is not None:
            assert change.summary.through > max((known.through for known in self.summaries), default=0)
            self.summaries.append(change.summary)
        if change.client_tools is not None:
            self.client_tools = change.client_tools
        for message in change.messages:
            assert message.ordinal > max((known.ordinal for known in self.messages), default=0)
            assert message.id not in {known.id for known in self.messages}
            self.messages.append(message)
        self._write_turn(change)
        in_batch = {call.id for call in change.loaded.batch}
        for call in change.tool_calls.values():
            assert (call.id in self.calls) == (call.id in in_batch), "a call is inserted once and updated in its batch"
            self.calls[call.id] = call
        self._write_approvals(change)
        for switch in change.switches:
            assert switch.ordinal == len(self.switches) + 1
            self.switches.append(switch)
        self.rules.extend(change.rules)
        self._write_inputs(change)

    def _write_turn(self, change: SessionChange) -> None:
        turn, ended = change.turn, change.ended_turn
        if ended is not None:
            assert change.loaded.turn is not None
            assert ended.id == change.loaded.turn.id
            assert not ended.state.is_active
            self.turns[ended.id] = ended
        if turn is None or turn == change.loaded.turn:
            return
        is_known = change.loaded.turn is not None and change.loaded.turn.id == turn.id
        assert is_known == (turn.id in self.turns)
        assert is_known or turn.input_id in change.inputs, "the number of a new turn is that of its input"
        self.turns[turn.id] = turn
        assert sum(each.state.is_active for each in self.turns.values()) <= 1, "one turn at a time"

    def _write_inputs(self, change: SessionChange) -> None:
        pending = {waiting.id for waiting in change.loaded.pending_inputs}
        for each in change.inputs.values():
            assert (each.id in self.inputs) == (each.id in pending), "an input is final once it waits no more"
            self.inputs[each.id] = each

    def _write_approvals(self, change: SessionChange) -> None:
        loaded = {approval.id for approval in change.loaded.approvals} | set(change.loaded.known_approvals)
        for approval in change.approvals.values():
            assert (approval.id in self.approvals) == (approval.id in loaded)
            self.approvals[approval.id] = approval
        calls = [approval.tool_call_id for approval in self.approvals.values()]
        assert len(calls) == len(set(calls)), "a call has one approval"

    def _move_head(self, move: HeadMove) -> None:
        match move:
            case HeadMove.CLAIM:
                self.epoch, self.owned, self.owner_lives = self.epoch + 1, True, True
            case HeadMove.FENCE:
                self.epoch, self.owned = self.epoch + 1, False
            case HeadMove.RELEASE:
                self.owned = False

    def _remove(self, removal: Removal) -> None:
        self.cleared_through = self.last_sequence
        for rows in (self.messages, self.events, self.inputs, self.summaries):
            rows.clear()
        self.calls.clear()
        self.approvals.clear()
        if removal is Removal.SESSION:
            self.turns.clear()
            self.switches.clear()
            self.rules.clear()
            self.deleted = True


def _place(call: ToolCall) -> tuple[int, int]:
    return call.message_ordinal, call.position
