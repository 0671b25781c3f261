"""Reading everything a client needs to draw a session, as of one number of its log."""

from __future__ import annotations

from sqlalchemy import Connection, select

from services.application.ports import SessionSnapshot, TurnView
from services.domain.turn import Turn
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.session_load import draft_text
from services.infrastructure.persistence.session_reads import read_session
from services.infrastructure.persistence.tables import turns
from services.infrastructure.persistence.turn_reads import open_calls


def read_snapshot(connection: Connection, owner_id: str, session_id: str) -> SessionSnapshot:
    """See `ReadModel.snapshot`; the connection must show one moment. Raises SessionNotFoundError."""
    view = read_session(connection, owner_id, session_id)
    key = view.session.key
    turn: TurnView | None = None
    text = reasoning = ""
    if view.active_turn_id is not None:
        body = connection.execute(
            select(turns.c.body).where(turns.c.session_key == key, turns.c.turn_id == view.active_turn_id)
        ).scalar_one()
        active = codec.decode(body, Turn)
        turn = TurnView(active, open_calls(connection, key).get(active.id, ()))
        text, reasoning = draft_text(connection, key, active)
    return SessionSnapshot(
        view=view,
        turn=turn,
        draft_message_id=turn.turn.attempt.message_id if turn and turn.turn.attempt else None,
        draft_text=text,
        draft_reasoning=reasoning,
        as_of_sequence=view.last_sequence,
    )
