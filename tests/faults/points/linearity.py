"""Whether what clients were told fits one order of events: the order of the session's log.

The log names the moment of every write, and `last_sequence` that of every read. So no search is needed: each operation
must lie, at its moment, between its call and its answer, and a read must show what the log says was true then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent_runtime.v1.session_pb2 import Session
from services.domain.policies.titles import title_from
from tests.support.runtime_client import Event, kinds


@dataclass(frozen=True, slots=True)
class Operation:
    """One call that was answered: between `called` and `answered`, at `sequence` of the log. A read has `shown`."""

    name: str
    called: float
    answered: float
    sequence: int
    shown: Session | None = None


@dataclass(slots=True)
class _State:
    """What a session is after the events so far."""

    title: str
    version: int = 1
    agent: str = ""
    active_turn: str = ""
    messages: int = 0

    def apply(self, event: Event) -> None:
        kind = kinds([event])[0]
        if kind == "message_added" and not self.title:
            self.title = title_from(event.message_added.message.content)  # named after its first message
        if kind == "session_updated":
            self.title, self.version = event.session_updated.title, event.session_updated.version
        elif kind == "agent_switched":
            self.agent = event.agent_switched.to_agent
        elif kind == "turn_started":
            self.active_turn = event.turn_id
        elif kind in ("turn_completed", "turn_failed", "turn_cancelled"):
            self.active_turn = ""
        elif kind == "message_added":
            self.messages += 1


def violations_of_order(operations: Sequence[Operation]) -> list[str]:
    """Operations that took effect after one that was called only when they had been answered."""
    found = []
    newest, newest_name = 0, ""
    moments = [(one.called, 1, one) for one in operations] + [(one.answered, 0, one) for one in operations]
    for _, is_call, one in sorted(moments, key=lambda moment: moment[:2]):
        if not is_call and one.sequence > newest:
            newest, newest_name = one.sequence, one.name
        elif is_call and (one.sequence < newest or (one.shown is None and one.sequence == newest)):
            found.append(f"{one.name} is at {one.sequence}, and {newest_name} was answered at {newest} before it began")
    return found


def violations_of_reads(created: Session, log: Iterable[Event], operations: Sequence[Operation]) -> list[str]:
    """Reads that show what was never true, or not at the number they name."""
    state = _State(created.title, created.version, created.current_agent)
    states = {0: _copy(state)}
    for event in log:
        state.apply(event)
        states[event.sequence] = _copy(state)
    found = []
    for one in operations:
        if one.shown is None:
            continue
        shown = one.shown
        seen = _State(shown.title, shown.version, shown.current_agent, shown.active_turn_id, shown.message_count)
        if states[one.sequence] != seen:
            found.append(f"{one.name} at {one.sequence} showed {seen}, and it was {states[one.sequence]}")
    return found


def _copy(state: _State) -> _State:
    return _State(state.title, state.version, state.agent, state.active_turn, state.messages)
