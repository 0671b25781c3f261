"""Making and removing approval rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, delete, func, insert, select

from services.application.ports import IdempotencyKey
from services.domain.audit import AuditRecord
from services.domain.errors import (
    ApprovalRuleNotFoundError,
    OperatorRoleRequiredError,
    SessionNotFoundError,
    TooManyRulesError,
)
from services.domain.policies.approval_rules import ApprovalRule, RuleScope
from services.infrastructure.persistence.applying_rules import EVERYBODY, seen_by
from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.idempotency import LostRaceError, recall, remember
from services.infrastructure.persistence.rows import audit_values, rule_from, rule_values
from services.infrastructure.persistence.session_load import lock
from services.infrastructure.persistence.tables import approval_rules, audit_records

R = TypeVar("R")

_RULE = approval_rules.c
_LOCKS = 7203  # tells our locks on owners from any others in the database


class SqlApprovalRules:
    """The `ApprovalRules` of both databases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, rule: ApprovalRule, *, limit: int, audit: AuditRecord, key: IdempotencyKey | None
    ) -> ApprovalRule:
        owner_id = EVERYBODY if rule.scope is RuleScope.GLOBAL else audit.owner_id

        def unit(connection: Connection) -> ApprovalRule:
            session_key = _lock(connection, owner_id, rule)
            if key and (rule_id := recall(connection, key)) is not None:
                return _found(connection, owner_id, rule_id)
            _check_room(connection, owner_id, session_key, limit)
            connection.execute(insert(approval_rules).values(rule_values(owner_id, session_key, rule)))
            connection.execute(insert(audit_records).values(audit_values(audit)))
            if key and not remember(connection, key, session_key, rule.id, audit.create_time):
                raise LostRaceError
            return rule

        return await self._until_won(unit, repeatable=key is not None)

    async def delete(
        self,
        owner_id: str,
        rule_id: str,
        *,
        is_operator: bool,
        audit: Callable[[ApprovalRule], AuditRecord],
        key: IdempotencyKey | None,
    ) -> None:
        def unit(connection: Connection) -> None:
            if key and recall(connection, key) is not None:
                return
            seen = delete(approval_rules).where(_RULE.rule_id == rule_id, seen_by(owner_id))
            row = connection.execute(seen.returning(approval_rules)).one_or_none()
            if row is None:
                if key and recall(connection, key) is not None:
                    raise LostRaceError
                raise ApprovalRuleNotFoundError("no such approval rule")
            if row.owner_id == EVERYBODY and not is_operator:
                raise OperatorRoleRequiredError("rules with scope GLOBAL are for operators")
            record = audit(rule_from(row))
            connection.execute(insert(audit_records).values(audit_values(record)))
            if key and not remember(connection, key, row.session_key, "", record.create_time):
                raise LostRaceError

        await self._until_won(unit, repeatable=key is not None)

    async def _until_won(self, unit: Callable[[Connection], R], *, repeatable: bool) -> R:
        while True:
            try:
                return await self._database.write(unit, repeatable=repeatable)
            except LostRaceError:
                continue  # another copy of this request has just committed: the next run finds what it left


def _lock(connection: Connection, owner_id: str, rule: ApprovalRule) -> int | None:
    """Whoever makes a rule for the same session or owner waits here, so that none is made beyond the limit.

    Returns the key of the session that the rule is for. Raises SessionNotFoundError.
    """
    if rule.scope is RuleScope.SESSION:
        head, session = lock(connection, owner_id, rule.session_id, "")
        if session is None:
            raise SessionNotFoundError
        return head.session_key
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(owner_id, _LOCKS))))
    return None


def _check_room(connection: Connection, owner_id: str, session_key: int | None, limit: int) -> None:
    same = _RULE.session_key.is_(None) if session_key is None else _RULE.session_key == session_key
    count = connection.scalar(select(func.count()).where(_RULE.owner_id == owner_id, same)) or 0
    if count >= limit:
        raise TooManyRulesError(
            f"there are {count} approval rules already, and at most {limit}; delete one first",
            metadata={"limit": str(limit)},
            quota=("approval rules", f"at most {limit}"),
        )


def _found(connection: Connection, owner_id: str, rule_id: str) -> ApprovalRule:
    statement = select(approval_rules).where(_RULE.rule_id == rule_id, _RULE.owner_id == owner_id)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise ApprovalRuleNotFoundError("the rule was made and has been deleted since")
    return rule_from(row)
