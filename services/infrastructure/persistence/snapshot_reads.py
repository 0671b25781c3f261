"""Reading everything a client needs to draw a session, as of one number of its log."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, select

from services.application.ports import SessionSnapshot
from services.domain.input import in_turn
from services.domain.turn import Turn
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.session_load import (
    draft_text,
    read_pending_approvals,
    read_pending_inputs,
)
from services.infrastructure.persistence.session_reads import read_session
from services.infrastructure.persistence.tables import turns
from services.infrastructure.persistence.turn_reads import open_calls


def read_snapshot(connection: Connection, owner_id: str, session_id: str) -> SessionSnapshot:
    """See `ReadModel.snapshot`; the connection must show one moment. Raises SessionNotFoundError."""
    view = read_session(connection, owner_id, session_id)
    key = view.session.key
    turn: Turn | None = None
    text = reasoning = ""
    if view.active_turn_id is not None:
        body = connection.execute(
            select(turns.c.body).where(turns.c.session_key == key, turns.c.turn_id == view.active_turn_id)
        ).scalar_one()
        turn = codec.decode(body, Turn)
        text, reasoning = draft_text(connection, key, turn)
    waits = turn is not None and turn.wait is not None
    pending = read_pending_approvals(connection, key) if waits else ()
    return SessionSnapshot(
        view=view,
        turn=turn,
        draft_message_id=turn.attempt.message_id if turn and turn.attempt else None,
        draft_text=text,
        draft_reasoning=reasoning,
        open_calls=open_calls(connection, key) if waits else (),
        pending_approvals=tuple(replace(approval, display="") for approval in pending),
        pending_inputs=tuple(in_turn(read_pending_inputs(connection, key))),
        as_of_sequence=view.last_sequence,
    )
