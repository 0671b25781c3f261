"""Reading what a model call starts from: everything in one statement, and of a summarised history only what is left."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Integer, bindparam, func, literal, or_, select, union_all

from services.application.ports import ModelView
from services.domain.context_summary import ContextSummary
from services.domain.message import Message
from services.domain.session_usage import SessionUsage
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.message_reads import as_run
from services.infrastructure.persistence.query import Query
from services.infrastructure.persistence.tables import messages, sessions, summaries

_MESSAGE, _SUMMARY, _USAGE = range(3)

_NEWEST_SUMMARY = (
    select(summaries.c.body)
    .where(summaries.c.session_key == bindparam("key"))
    .order_by(summaries.c.through.desc())
    .limit(1)
)


def _view() -> Query:
    through, first_kept, last_kept = (
        func.coalesce(_NEWEST_SUMMARY.with_only_columns(column).scalar_subquery(), 0)
        for column in (summaries.c.through, summaries.c.first_kept, summaries.c.last_kept)
    )
    left = or_(messages.c.ordinal > through, messages.c.ordinal == first_kept, messages.c.ordinal == last_kept)
    parts = union_all(
        select(_kind(_MESSAGE), messages.c.ordinal.label("place"), messages.c.body.label("body")).where(
            messages.c.session_key == bindparam("key"), left
        ),
        select(_kind(_SUMMARY), literal(0), _NEWEST_SUMMARY.subquery().c.body),
        select(_kind(_USAGE), literal(0), sessions.c.usage).where(sessions.c.session_key == bindparam("key")),
    )
    return Query(parts.order_by("kind", "place"))


def _kind(kind: int) -> ColumnElement[int]:
    return literal(kind, Integer).label("kind")


_VIEW = _view()
_SUMMARY_TEXT = Query(_NEWEST_SUMMARY)


def read_model_view(connection: Connection, session_key: int) -> ModelView:
    """See `ReadModel.model_view`; nothing at all of a session that is gone."""
    bodies: tuple[list[str], ...] = ([], [], [])
    for row in _VIEW.all(connection, key=session_key):
        bodies[row.kind].append(row.body)
    history = [codec.decode(body, Message) for body in bodies[_MESSAGE]]
    return ModelView(
        messages=tuple(as_run(connection, session_key, history)),
        summary=next((codec.decode(body, ContextSummary) for body in bodies[_SUMMARY]), None),
        usage=next((codec.decode(body, SessionUsage) for body in bodies[_USAGE]), SessionUsage()),
    )


def read_summary(connection: Connection, session_key: int) -> ContextSummary | None:
    """The summary a session's model reads, if there is one."""
    row = _SUMMARY_TEXT.first(connection, key=session_key)
    return codec.decode(row.body, ContextSummary) if row is not None else None
