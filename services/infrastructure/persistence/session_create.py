"""Storing a new session: its row, its head, its agent context and the news of it."""

from __future__ import annotations

from sqlalchemy import Connection, func, literal, select, true
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from services.application.ports import IdempotencyKey, SessionView
from services.domain.agent_context import AgentContext
from services.domain.domain_events import AgentAssigned, DomainEvent, Fact, SessionCreated
from services.domain.errors import SessionAlreadyExistsError, SessionNotFoundError, TooManySessionsError
from services.domain.ids import new_id
from services.domain.session import Session
from services.domain.session_usage import SessionUsage
from services.domain.tool import ClientTool
from services.infrastructure.persistence.idempotency import LostRaceError, recall, remember
from services.infrastructure.persistence.log_rows import fact_values
from services.infrastructure.persistence.rows import (
    Values,
    client_tools_values,
    context_values,
    session_values,
    usage_text,
)
from services.infrastructure.persistence.session_reads import read_session
from services.infrastructure.persistence.statement_batch import StatementBatch
from services.infrastructure.persistence.tables import agent_contexts, client_tools, outbox, session_heads, sessions

_CREATED, _EXISTING = "created:", "existing:"


def create(
    connection: Connection,
    session: Session,
    context: AgentContext,
    brought: tuple[ClientTool, ...],
    *,
    allow_existing: bool,
    key: IdempotencyKey | None,
    most: int | None,
) -> tuple[SessionView, bool]:
    """Writes the session with the tools its client brought, or finds the one that is there; returns it and whether it
    is new.

    Raises SessionAlreadyExistsError, RequestIdReusedError, TooManySessionsError when the owner has `most` sessions, and
    LostRaceError when the unit must run again.
    """
    if key and (outcome := recall(connection, key)) is not None:
        return _of_outcome(connection, session.owner_id, outcome)
    session_key = _insert(connection, session, most)
    if session_key is not None:
        _insert_rest(connection, session_key, session, context, brought)
        view, outcome = read_session(connection, session.owner_id, session.id), _CREATED + session.id
    else:
        if key and recall(connection, key) is not None:
            raise LostRaceError
        view, outcome = _existing(connection, session, allow_existing, most), _EXISTING + session.id
    if key and not remember(connection, key, view.session.key, outcome, session.create_time):
        raise LostRaceError
    return view, session_key is not None


def _insert(connection: Connection, session: Session, most: int | None) -> int | None:
    """The key of the new row; None if the id is taken or the owner has as many as allowed."""
    insert_or_nothing = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    values = session_values(session) | {
        "usage": usage_text(SessionUsage()),
        "owner_id": session.owner_id,
        "session_id": session.id,
        "create_time": session.create_time,
    }
    row = select(*(literal(value, sessions.c[name].type) for name, value in values.items()))
    if most is not None:
        others = select(literal(1)).where(sessions.c.owner_id == session.owner_id, sessions.c.delete_time.is_(None))
        counted = select(func.count()).select_from(others.limit(most).subquery()).scalar_subquery()
        row = row.where(counted < most)
    statement = insert_or_nothing(sessions).from_select(list(values), row.where(true())).on_conflict_do_nothing()
    session_key: int | None = connection.scalar(statement.returning(sessions.c.session_key))
    return session_key


def _insert_rest(
    connection: Connection, session_key: int, session: Session, context: AgentContext, brought: tuple[ClientTool, ...]
) -> None:
    head: Values = {"epoch": 0, "owner": None, "flushed": 0, "last_sequence": 0, "cleared_through": 0, "control": 0}
    batch = StatementBatch()
    batch.insert(session_heads, [{"session_key": session_key} | head])
    batch.insert(agent_contexts, [{"session_key": session_key} | context_values(context)])
    batch.insert(client_tools, [{"session_key": session_key} | client_tools_values(brought)])
    facts: tuple[Fact, ...] = (SessionCreated(session.owner_id), AgentAssigned(context.current_agent))
    events = [DomainEvent(new_id("event"), session.create_time, session.id, fact) for fact in facts]
    batch.insert(outbox, [fact_values(session_key, event) for event in events])
    batch.execute(connection)


def _existing(connection: Connection, session: Session, allow_existing: bool, most: int | None) -> SessionView:
    try:
        view = read_session(connection, session.owner_id, session.id)
    except SessionNotFoundError:
        if not _is_taken(connection, session):
            raise _too_many(most) from None
        raise SessionAlreadyExistsError("this id belonged to a deleted session; choose another") from None
    if not allow_existing:
        raise SessionAlreadyExistsError("a session with this id exists")
    return view


def _is_taken(connection: Connection, session: Session) -> bool:
    its_id = (sessions.c.owner_id == session.owner_id, sessions.c.session_id == session.id)
    return connection.scalar(select(sessions.c.session_key).where(*its_id)) is not None


def _too_many(most: int | None) -> TooManySessionsError:
    return TooManySessionsError(
        f"the owner has {most} sessions; delete one first",
        quota=("principal:sessions", f"{most} sessions"),
        metadata={"limit": str(most)},
    )


def _of_outcome(connection: Connection, owner_id: str, outcome: str) -> tuple[SessionView, bool]:
    session_id = outcome.removeprefix(_CREATED).removeprefix(_EXISTING)
    return read_session(connection, owner_id, session_id), outcome.startswith(_CREATED)
