"""Reading approvals: one, and pages of them over one session or all of an owner's."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, tuple_

from services.application.ports import ApprovalView, Page, PageKey
from services.domain.approval import Approval, ApprovalState
from services.domain.errors import ApprovalNotFoundError
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.paging import page_of
from services.infrastructure.persistence.session_reads import locate
from services.infrastructure.persistence.tables import approvals, sessions


def read_approval(connection: Connection, owner_id: str, session_id: str, approval_id: str) -> Approval:
    """One approval. Raises SessionNotFoundError, ApprovalNotFoundError."""
    location = locate(connection, owner_id, session_id)
    statement = select(approvals.c.body).where(
        approvals.c.session_key == location.session_key, approvals.c.approval_id == approval_id
    )
    body = connection.scalar(statement)
    if body is None:
        raise ApprovalNotFoundError("no such approval in this session")
    return codec.decode(body, Approval)


def read_approvals(
    connection: Connection,
    owner_id: str,
    session_id: str | None,
    *,
    states: Sequence[ApprovalState],
    limit: int,
    after: PageKey | None,
) -> Page[ApprovalView]:
    """One page, oldest first; see `ReadModel.approvals`."""
    columns = approvals.c
    statement = (
        select(sessions.c.session_id, columns.create_time, columns.approval_id, columns.body)
        .join(sessions, sessions.c.session_key == columns.session_key)
        .where(sessions.c.owner_id == owner_id, sessions.c.delete_time.is_(None))
    )
    if session_id is not None:
        statement = statement.where(columns.session_key == locate(connection, owner_id, session_id).session_key)
    if states:
        statement = statement.where(columns.state.in_(states))
    if after is not None:
        created, last_id = after
        last = tuple_(codec.from_microseconds(int(created)), str(last_id))
        statement = statement.where(tuple_(columns.create_time, columns.approval_id) > last)
    rows = connection.execute(statement.order_by(columns.create_time, columns.approval_id).limit(limit + 1)).all()
    return page_of(
        rows,
        limit,
        item=lambda row: ApprovalView(row.session_id, codec.decode(row.body, Approval)),
        key=lambda row: (codec.to_microseconds(row.create_time), row.approval_id),
        size=lambda row: len(row.body.encode()),
    )
