"""Reading pages of approval rules."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, tuple_

from services.application.ports import Page, PageKey
from services.domain.policies.approval_rules import ApprovalRule, RuleScope
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.applying_rules import IN_ORDER, applying_to, seen_by
from services.infrastructure.persistence.paging import page_of
from services.infrastructure.persistence.rows import rule_from
from services.infrastructure.persistence.session_reads import locate
from services.infrastructure.persistence.tables import approval_rules


def read_rules(
    connection: Connection,
    owner_id: str,
    session_id: str | None,
    *,
    scopes: Sequence[RuleScope],
    limit: int,
    after: PageKey | None,
) -> Page[ApprovalRule]:
    """One page, oldest first; see `ReadModel.approval_rules`."""
    statement = select(approval_rules).where(seen_by(owner_id))
    if session_id is not None:
        statement = statement.where(applying_to(locate(connection, owner_id, session_id).session_key))
    if scopes:
        statement = statement.where(approval_rules.c.scope.in_(scopes))
    if after is not None:
        created, last_id = after
        statement = statement.where(tuple_(*IN_ORDER) > tuple_(codec.from_microseconds(int(created)), str(last_id)))
    rows = connection.execute(statement.order_by(*IN_ORDER).limit(limit + 1)).all()
    return page_of(
        rows,
        limit,
        item=rule_from,
        key=lambda row: (codec.to_microseconds(row.create_time), row.rule_id),
        size=lambda row: len(row.conditions) + len(row.description),
    )
