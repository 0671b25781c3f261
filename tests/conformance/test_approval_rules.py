"""Approval rules are made once, seen by whom they bind, and go with their session; the audit stays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, select

from services.application.ports import IdempotencyKey, Principal
from services.application.turns.input_acceptance import InputAcceptance
from services.application.turns.running_turns import RunningTurns
from services.application.turns.turn_limits import TurnLimits
from services.domain.approval import ApprovalState, Decision, Remember
from services.domain.audit import AuditAction, AuditRecord
from services.domain.errors import (
    ApprovalOverdueError,
    ApprovalResolvedError,
    ApprovalRuleNotFoundError,
    OperatorRoleRequiredError,
    RequestIdReusedError,
    SessionNotFoundError,
    TooManyRulesError,
)
from services.domain.ids import new_id
from services.domain.policies.approval_rules import (
    ApprovalEffect,
    ApprovalRule,
    Condition,
    ConditionOperator,
    RuleOrigin,
    RuleScope,
)
from services.domain.session_change import Lookup, SessionChange
from services.infrastructure.persistence.approval_rule_store import SqlApprovalRules
from services.infrastructure.persistence.tables import audit_records
from tests.support.catalogs import Agents
from tests.support.conversation import read, write
from tests.support.statements import recorded_statements
from tests.support.storage import LIMITS, OWNER, POLICY, Storage
from tests.support.stored_turns import OVERDUE, approval_of, asked, decision, delete
from tests.unit.application.engine import HeldRunner

SESSION, EVERYBODY = RuleScope.SESSION, RuleScope.GLOBAL


def a_rule(storage: Storage, tool: str = "write_file", session_id: str = "", **fields: Any) -> ApprovalRule:
    scope = SESSION if session_id else RuleScope.OWNER
    rule = ApprovalRule(new_id("rule"), tool, ApprovalEffect.ASK, scope, RuleOrigin.RPC, session_id=session_id)
    return replace(rule, create_time=storage.clock.now(), created_by="ann", **fields)


def audit(storage: Storage, rule: ApprovalRule, action: AuditAction, owner_id: str = OWNER) -> AuditRecord:
    return AuditRecord(
        new_id("audit"), storage.clock.now(), "ann", owner_id, action, "corr-1", rule.session_id, rule.id
    )


async def create(
    storage: Storage, rule: ApprovalRule, *, owner_id: str = OWNER, limit: int = 10, key: IdempotencyKey | None = None
) -> ApprovalRule:
    record = audit(storage, rule, AuditAction.RULE_CREATE, owner_id)
    return await SqlApprovalRules(storage.database).create(rule, limit=limit, audit=record, key=key)


async def remove(
    storage: Storage,
    rule_id: str,
    *,
    owner_id: str = OWNER,
    is_operator: bool = False,
    key: IdempotencyKey | None = None,
) -> None:
    await SqlApprovalRules(storage.database).delete(
        owner_id,
        rule_id,
        is_operator=is_operator,
        audit=lambda rule: audit(storage, rule, AuditAction.RULE_DELETE, owner_id),
        key=key,
    )


async def listed(
    storage: Storage, session_id: str | None = None, owner_id: str = OWNER, scopes: Sequence[RuleScope] = ()
) -> list[ApprovalRule]:
    page = await storage.reads.approval_rules(owner_id, session_id, scopes=scopes, limit=100, after=None)
    return list(page.items)


async def audited(storage: Storage) -> list[dict[str, Any]]:
    """Every audit record, in the order they were written."""

    def unit(connection: Connection) -> list[dict[str, Any]]:
        rows = connection.execute(select(audit_records).order_by(audit_records.c.create_time)).mappings()
        return [dict(row) | {"details": json.loads(row["details"])} for row in rows]

    return await storage.database.read(unit)


async def applying(storage: Storage, session_id: str = "s1", owner_id: str = OWNER) -> list[str]:
    """The ids of the rules that a change of the session sees."""
    seen: list[str] = []

    def look(change: SessionChange) -> None:
        seen[:] = [rule.id for rule in change.loaded.rules]

    await storage.change(look, session_id, owner_id, Lookup(rules=True))
    return seen


def a_key(request_id: str, fingerprint: bytes = b"1" * 32) -> IdempotencyKey:
    return IdempotencyKey(OWNER, "CreateApprovalRule", request_id, fingerprint)


class TestRules:
    async def test_are_read_as_they_were_written(self, storage: Storage) -> None:
        await storage.new_session()
        values: list[object] = ["ü\x00\u202e", 10**400, 2**53 + 1, -1.5, None, True, {"b": [1, {}], "a": ""}]
        conditions = tuple(Condition("a.b", ConditionOperator.EQ, value) for value in values)
        rule = a_rule(storage, "wri*", "s1", conditions=conditions, priority=-(2**31) + 1, description="é\n")
        assert await create(storage, rule) == rule
        assert await listed(storage) == await listed(storage, "s1") == [rule]

    async def test_apply_to_their_session_their_owner_or_everybody(self, storage: Storage) -> None:
        for session_id, owner_id in (("s1", OWNER), ("s2", OWNER), ("s1", "bob")):
            await storage.new_session(session_id, owner_id)
        mine = await create(storage, a_rule(storage))
        storage.clock.advance(1)
        here = await create(storage, a_rule(storage, session_id="s1"))
        storage.clock.advance(1)
        all_ = await create(storage, a_rule(storage, scope=EVERYBODY))
        storage.clock.advance(1)
        bobs = await create(storage, a_rule(storage, session_id="s1"), owner_id="bob")
        assert await applying(storage) == [mine.id, here.id, all_.id]
        assert await applying(storage, "s2") == [mine.id, all_.id]
        assert await applying(storage, "s1", "bob") == [all_.id, bobs.id]
        assert await listed(storage) == [mine, here, all_]
        assert await listed(storage, "s2") == [mine, all_]
        assert await listed(storage, scopes=(SESSION, EVERYBODY)) == [here, all_]
        with pytest.raises(SessionNotFoundError):
            await listed(storage, "s2", "bob")

    async def test_cost_a_change_nothing_while_there_are_none(self, storage: Storage) -> None:
        await storage.new_session()

        async def statements() -> int:
            with recorded_statements() as recorded:
                await applying(storage)
            return len(recorded)

        await statements()
        without = await statements()
        with recorded_statements() as recorded:
            await storage.change(lambda change: None)
        assert without == len(recorded)
        for _ in range(5):
            await create(storage, a_rule(storage))
        assert await statements() == without + 1

    async def test_are_made_once_however_often_they_are_asked_for(self, storage: Storage) -> None:
        await storage.new_session()
        for session_id in ("", "s1"):
            key = a_key(f"r-{session_id}")
            copies = [create(storage, a_rule(storage, session_id=session_id), key=key) for _ in range(8)]
            made = await asyncio.gather(*copies)
            assert len({rule.id for rule in made}) == 1
            with pytest.raises(RequestIdReusedError):
                await create(storage, a_rule(storage), key=a_key(f"r-{session_id}", b"2" * 32))
            gone = await asyncio.gather(
                *(remove(storage, made[0].id, key=replace(key, rpc="DeleteApprovalRule")) for _ in range(8))
            )
            assert len(gone) == 8
            with pytest.raises(ApprovalRuleNotFoundError):
                await create(storage, a_rule(storage), key=key)
        assert await listed(storage) == []
        assert len(await audited(storage)) == 4

    async def test_are_never_more_than_allowed(self, storage: Storage) -> None:
        await storage.new_session()
        for session_id in ("", "s1"):
            copies = [create(storage, a_rule(storage, session_id=session_id), limit=3) for _ in range(8)]
            outcomes = await asyncio.gather(*copies, return_exceptions=True)
            assert sum(isinstance(each, TooManyRulesError) for each in outcomes) == 5
        await create(storage, a_rule(storage), owner_id="bob", limit=3)
        assert len(await listed(storage)) == 6

    async def test_of_everybody_are_removed_by_operators_alone(self, storage: Storage) -> None:
        rule = await create(storage, a_rule(storage, scope=EVERYBODY))
        with pytest.raises(OperatorRoleRequiredError):
            await remove(storage, rule.id, owner_id="bob")
        assert await listed(storage, owner_id="bob") == [rule]
        await remove(storage, rule.id, owner_id="bob", is_operator=True)
        assert await listed(storage) == []
        mine = await create(storage, a_rule(storage))
        for is_operator in (False, True):
            with pytest.raises(ApprovalRuleNotFoundError):
                await remove(storage, mine.id, owner_id="bob", is_operator=is_operator)

    async def test_of_a_session_go_with_it(self, storage: Storage) -> None:
        await asked(storage, write("c1"))
        await create(storage, a_rule(storage, session_id="s1"), key=a_key("r"))
        await storage.send(replace(decision(await approval_of(storage, "c1")), remember=Remember.NONE))
        await storage.change(delete)
        assert await listed(storage) == []
        with pytest.raises(SessionNotFoundError):
            await create(storage, a_rule(storage, session_id="s1"))


class TestTheAudit:
    async def test_holds_who_decided_what_under_which_rules_and_no_content(self, storage: Storage) -> None:
        await asked(storage, write("c1", "secret.md", "secret"), write("c2"), write("c3"))
        edits = '{"path": "edited.md", "content": "edited"}'
        edited = replace(
            decision(first := await approval_of(storage, "c1"), Decision.APPROVE_WITH_EDITS),
            edited_arguments_json=edits,
            feedback="said",
        )
        await storage.send(edited)
        await storage.send(decision(await approval_of(storage, "c2"), Decision.REJECT))
        await storage.change(delete)
        records = {each["target_id"]: each for each in await audited(storage)}
        record = records[first.id]
        assert (record["action"], record["outcome"]) == ("approval.decide", "APPROVED_WITH_EDITS")
        assert (record["actor"], record["owner_id"], record["session_id"]) == (OWNER, OWNER, "s1")
        assert (record["correlation_id"], record["create_time"]) == ("corr-1", storage.clock.now())
        details = record["details"]
        assert details["arguments_hash"] == first.arguments_hash
        assert len(details["edited_arguments_hash"]) == 64
        assert details["edited_arguments_hash"] != first.arguments_hash
        assert (details["rule_id"], details["released"], details["automatic"]) == ("rule-1", "true", "false")
        outcomes = [(each["action"], each["outcome"]) for each in records.values()]
        assert sorted(outcomes) == [
            ("approval.decide", "APPROVED_WITH_EDITS"),
            ("approval.decide", "REJECTED"),
            ("approval.withdraw", "CANCELLED"),
        ]
        assert not any(word in json.dumps(list(records.values()), default=str) for word in ("secret", "said", ".md"))

    async def test_is_forgotten_in_the_end(self, storage: Storage) -> None:
        await create(storage, a_rule(storage))
        assert await storage.housekeeping.forget_audit_records(older_than=100 * 365 * 86400.0) == 0
        assert await storage.housekeeping.forget_audit_records(older_than=-100 * 365 * 86400.0) == 1
        assert await audited(storage) == []

    async def test_holds_what_rules_decided_by_themselves(self, storage: Storage) -> None:
        rule = a_rule(storage, "read_file", effect=ApprovalEffect.ALLOW)
        running = await storage.start_in_new_session()
        calls = [read("c1"), read("c2")]
        checked = POLICY.check(calls[0], Agents().get("coder"), ())
        [allowed] = POLICY.rule(calls[:1], [checked], (), [rule])
        [unruled] = POLICY.rule(calls[1:], [checked], (), [])
        await storage.answer(running, "", calls, [allowed, unruled])
        (record,) = await audited(storage)
        assert (record["action"], record["target_id"], record["actor"]) == ("tool_call.allow", "c1", "")
        assert record["details"]["rule_id"] == rule.id
        assert record["details"]["policy_version"] == allowed.policy_version != unruled.policy_version


class TestADecisionThatComesTooLate:
    async def test_finds_the_approval_expired_and_everybody_agrees(self, storage: Storage) -> None:
        await asked(storage, write("c1"), write("c2"), limits=OVERDUE)
        first, second = await approval_of(storage, "c1"), await approval_of(storage, "c2")
        with pytest.raises(ApprovalOverdueError):
            await storage.send(decision(first))
        assert (await approval_of(storage, "c1")).state is ApprovalState.PENDING  # it was only refused
        outcomes = await asyncio.gather(*(self.decide(storage, each) for each in (first, second, first, second)))
        assert outcomes == ["EXPIRED"] * 4
        for call in ("c1", "c2"):
            approval = await approval_of(storage, call)
            assert (approval.state, approval.released) == (ApprovalState.EXPIRED, False)
        actions = [each["action"] for each in await audited(storage)]
        assert actions == ["approval.expire"] * 2
        assert await storage.waits.due(10) == []

    async def decide(self, storage: Storage, approval: Any, limits: TurnLimits = LIMITS) -> str:
        """Decides as the RPCs do; returns the outcome that the refusal names."""
        turns = RunningTurns(HeldRunner(), storage.store, lambda _: None)
        acceptance = InputAcceptance(storage.store, Agents(), turns, POLICY, limits)
        try:
            with pytest.raises(ApprovalResolvedError) as refusal:
                await acceptance.accept(
                    Principal("ann", OWNER),
                    session_id="s1",
                    content=decision(approval),
                    request_id="",
                    key=None,
                    correlation_id="corr-2",
                )
        finally:
            await turns.stop_all()
        return refusal.value.metadata["outcome"]
