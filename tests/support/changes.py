"""Changes of a session that never meet a database: what the rules of a turn are tried on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.application.turns.inputs.accepted_input import Sender
from services.domain.agent_context import AgentContext
from services.domain.session import Session, SessionState
from services.domain.session_change import SessionAggregate, SessionChange
from services.domain.session_events import Payload
from services.domain.tool_call import ToolCall, ToolCallState
from services.domain.turn import Attempt, Turn, TurnState

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DATABASE_NOW = NOW + timedelta(hours=3)
"""The database's clock is another one: what is decided by the wrong clock shows."""

ANN = Sender("", "ann")


def a_session(**fields: object) -> Session:
    given: dict[str, object] = {
        "key": 1,
        "id": "s1",
        "owner_id": "ann",
        "title": "",
        "description": "",
        "state": SessionState.ACTIVE,
        "create_time": NOW,
        "update_time": NOW,
        "last_activity_time": NOW,
    }
    return Session(**(given | fields))  # type: ignore[arg-type]


def a_running_turn(**fields: object) -> Turn:
    given: dict[str, object] = {
        "id": "turn_1",
        "input_id": "input_1",
        "agent": "universal",
        "state": TurnState.RUNNING,
        "create_time": NOW,
        "correlation_id": "corr-1",
        "attempt": Attempt(1, "msg_1"),
        "model_calls": 1,
    }
    return Turn(**(given | fields))  # type: ignore[arg-type]


def a_call(call_id: str = "c1", **fields: object) -> ToolCall:
    """A call of the running turn that the client was asked to run."""
    given: dict[str, object] = {
        "id": call_id,
        "turn_id": "turn_1",
        "message_id": "msg_0",
        "message_ordinal": 1,
        "position": 0,
        "batch_id": "batch_1",
        "name": "read_file",
        "arguments_json": '{"path": "a.py"}',
        "agent": "universal",
        "state": ToolCallState.OPEN,
        "create_time": NOW,
    }
    return ToolCall(**(given | fields))  # type: ignore[arg-type]


def a_change(
    turn: Turn | None = None, *, session: Session | None = None, is_step: bool = False, **loaded: object
) -> SessionChange:
    """A change of a session with that active turn, at number 10 of its log."""
    aggregate = SessionAggregate(
        session or a_session(), AgentContext("universal"), last_sequence=10, deadline_now=DATABASE_NOW, turn=turn
    )
    changed = replace(aggregate, **loaded)  # type: ignore[arg-type]
    return SessionChange(changed, now=NOW, correlation_id="corr-1", is_step=is_step)


def payloads(change: SessionChange) -> list[Payload]:
    return [event.payload for event in change.events]


def kinds(change: SessionChange) -> list[str]:
    return [type(payload).__name__ for payload in payloads(change)]
