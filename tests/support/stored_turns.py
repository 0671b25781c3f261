"""Turns with tools over real storage, in a few words: the model asks, a person decides, the client answers."""

from __future__ import annotations

import json
from dataclasses import replace

from services.application.ports.store import NOTHING_MORE
from services.application.turns.call_policy import Judgement
from services.application.turns.turn_limits import TurnLimits
from services.domain.agent_context import AgentContext
from services.domain.approval import Approval, Decision
from services.domain.input import ApprovalDecision, ToolResult, ToolResults
from services.domain.message import MessageToolCall
from services.domain.policies.approval_rules import ApprovalEffect, ApprovalRule, RuleOrigin, RuleScope
from services.domain.session_change import Lookup, Removal, SessionAggregate, SessionChange
from services.domain.session_events import SessionDeleted
from services.domain.tool import ClientTool
from tests.support.storage import (
    LIMITS,
    OWNER,
    Running,
    Storage,
    a_session,
)

RUNS = Judgement()
ASKING = ApprovalRule("rule-1", "*", ApprovalEffect.ASK, RuleScope.GLOBAL, RuleOrigin.CONFIG)
OVERDUE = TurnLimits(approval_wait=-1, tool_result_wait=-1, followup_wait=-1)
TOOLS = (
    ClientTool("deploy", "Ships it — everywhere", '{"type": "object", "properties": {}}', speculative=True),
    ClientTool("peek", "", "", read_only=True),
)


def asks(call: MessageToolCall) -> Judgement:
    return Judgement(None, json.loads(call.arguments_json), approval_reason="it writes", rule=ASKING)


async def asked(
    storage: Storage,
    *calls: MessageToolCall,
    session_id: str = "s1",
    owner_id: str = OWNER,
    limits: TurnLimits = LIMITS,
) -> Running:
    """A new session whose model has made these calls; writes and commands wait for a person, all others run."""
    running = await storage.start_in_new_session(session_id, owner_id)
    await answered(storage, running, *calls, limits=limits)
    return running


async def answered(storage: Storage, running: Running, *calls: MessageToolCall, limits: TurnLimits = LIMITS) -> None:
    judgements = [
        asks(call) if call.name in ("write_file", "execute_command") else replace(RUNS, arguments=_arguments(call))
        for call in calls
    ]
    await storage.answer(running, "", calls, judgements, limits)


def _arguments(call: MessageToolCall) -> dict[str, object]:
    arguments: dict[str, object] = json.loads(call.arguments_json)
    return arguments


async def loaded(
    storage: Storage, lookup: Lookup = NOTHING_MORE, session_id: str = "s1", owner_id: str = OWNER
) -> SessionAggregate:
    """What a change of the session sees."""
    seen: list[SessionAggregate] = []
    await storage.change(lambda change: seen.append(change.loaded), session_id, owner_id, lookup)
    return seen[0]


async def approval_of(storage: Storage, call_id: str = "c1", session_id: str = "s1", owner_id: str = OWNER) -> Approval:
    page = await storage.reads.approvals(owner_id, session_id, states=(), limit=100, after=None)
    [found] = [view.approval for view in page.items if view.approval.tool_call_id == call_id]
    return found


def decision(
    approval: Approval, decided: Decision = Decision.APPROVE, edits: str = "", feedback: str = ""
) -> ApprovalDecision:
    return ApprovalDecision(approval.id, approval.arguments_hash, decided, edits, feedback)


def results(*call_ids: str, content: str = "fine") -> ToolResults:
    return ToolResults(tuple(ToolResult(call_id, content) for call_id in call_ids))


async def with_client_tools(storage: Storage, session_id: str = "s1") -> int:
    view, _ = await storage.store.create(
        a_session(session_id, OWNER, storage.clock),
        AgentContext("universal"),
        client_tools=TOOLS,
        allow_existing=False,
        key=None,
    )
    assert view.client_tools == TOOLS
    return view.session.key


def delete(change: SessionChange) -> None:
    """Removes the session, as DeleteSession does."""
    change.append(SessionDeleted())
    change.removal = Removal.SESSION
