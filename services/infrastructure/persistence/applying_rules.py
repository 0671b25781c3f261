"""Which stored approval rules apply to a session: its own, its owner's, and everybody's."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Exists, exists, or_, select

from services.domain.policies.approval_rules import ApprovalRule
from services.infrastructure.persistence.rows import rule_from
from services.infrastructure.persistence.tables import approval_rules, sessions

EVERYBODY = ""
"""The owner of rules with scope GLOBAL."""

IN_ORDER = (approval_rules.c.create_time, approval_rules.c.rule_id)


def seen_by(owner_id: str | ColumnElement[str]) -> ColumnElement[bool]:
    """The owner's rules, of whichever session, and everybody's."""
    return approval_rules.c.owner_id.in_((owner_id, EVERYBODY))


def applying_to(session_key: int | ColumnElement[int]) -> ColumnElement[bool]:
    """Of the rules an owner sees, those that are not for another session."""
    return or_(approval_rules.c.session_key.is_(None), approval_rules.c.session_key == session_key)


def has_rules() -> Exists:
    """Whether any rule applies to the session of the surrounding statement."""
    return exists().where(seen_by(sessions.c.owner_id), applying_to(sessions.c.session_key))


def rules_of(connection: Connection, owner_id: str, session_key: int) -> tuple[ApprovalRule, ...]:
    """The rules that apply to a session, oldest first."""
    statement = select(approval_rules).where(seen_by(owner_id), applying_to(session_key)).order_by(*IN_ORDER)
    return tuple(rule_from(row) for row in connection.execute(statement))
