"""Someone else's session is not there: no read, no change and no request id tells it from one that never was (G8)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

import pytest

from services.application import ports
from services.application.ports import IdempotencyKey, ReadModel, SessionFilter
from services.domain.agent_context import AgentContext
from services.domain.audit import AuditAction, AuditRecord
from services.domain.errors import ApprovalRuleNotFoundError, RuntimeServiceError, SessionNotFoundError
from services.domain.ids import new_id
from services.domain.policies.approval_rules import ApprovalEffect, ApprovalRule, RuleOrigin, RuleScope
from services.domain.session_change import SessionChange
from services.infrastructure.persistence.approval_rule_store import SqlApprovalRules
from tests.support.storage import CORRELATION, Running, Storage, a_session, note

Use = Callable[[Storage, str, str], Awaitable[object]]

# Every use of one session by (storage, session id, turn id), as bob.
USES: dict[str, Use] = {
    "session": lambda storage, session, turn: storage.reads.session("bob", session),
    "messages": lambda storage, session, turn: storage.reads.messages(
        "bob", session, roles=(), turn_id=None, newest_first=False, limit=10, after=None
    ),
    "messages of a turn": lambda storage, session, turn: storage.reads.messages(
        "bob", session, roles=(), turn_id=turn, newest_first=True, limit=10, after=None
    ),
    "switches": lambda storage, session, turn: storage.reads.switches(
        "bob", session, newest_first=False, limit=10, after=None
    ),
    "agent usage": lambda storage, session, turn: storage.reads.agent_usage("bob", session, since=None, before=None),
    "turn": lambda storage, session, turn: storage.reads.turn("bob", session, turn),
    "turns": lambda storage, session, turn: storage.reads.turns("bob", session, states=(), limit=10, after=None),
    "open tool calls": lambda storage, session, turn: storage.reads.open_tool_calls(
        "bob", session, limit=10, after=None
    ),
    "approval": lambda storage, session, turn: storage.reads.approval("bob", session, "approval_0"),
    "approvals": lambda storage, session, turn: storage.reads.approvals(
        "bob", session, states=(), limit=10, after=None
    ),
    "approval rules": lambda storage, session, turn: storage.reads.approval_rules(
        "bob", session, scopes=(), limit=10, after=None
    ),
    "input": lambda storage, session, turn: storage.reads.input("bob", session, "input_0"),
    "pending inputs": lambda storage, session, turn: storage.reads.pending_inputs("bob", session),
    "fork": lambda storage, session, turn: storage.store.fork(
        "bob", session, "copy", title=None, until_message_id="", correlation_id=CORRELATION, key=None
    ),
    "snapshot": lambda storage, session, turn: storage.reads.snapshot("bob", session),
    "session usage": lambda storage, session, turn: storage.reads.session_usage("bob", session),
    "locate": lambda storage, session, turn: storage.reads.locate("bob", session),
    "change": lambda storage, session, turn: storage.store.change("bob", session, note, correlation_id=CORRELATION),
    "delete": lambda storage, session, turn: _rules(storage).delete(
        "bob", f"rule of {session}", is_operator=False, audit=_never_audited, key=None
    ),
    "create": lambda storage, session, turn: _rules(storage).create(
        _a_rule(storage, session), limit=9, audit=_audit(storage, "bob"), key=None
    ),
    "change with a request id": lambda storage, session, turn: storage.store.change(
        "bob", session, note, correlation_id=CORRELATION, key=IdempotencyKey("bob", "UpdateSession", "r1", bytes(32))
    ),
}


def _rules(storage: Storage) -> SqlApprovalRules:
    return SqlApprovalRules(storage.database)


def _a_rule(storage: Storage, session_id: str) -> ApprovalRule:
    return ApprovalRule(
        f"rule of {session_id}",
        "write_file",
        ApprovalEffect.ASK,
        RuleScope.SESSION,
        RuleOrigin.RPC,
        session_id=session_id,
        create_time=storage.clock.now(),
        created_by="someone",
    )


def _audit(storage: Storage, owner_id: str) -> AuditRecord:
    return AuditRecord(new_id("audit"), storage.clock.now(), "someone", owner_id, AuditAction.RULE_CREATE, CORRELATION)


def _never_audited(rule: ApprovalRule) -> AuditRecord:
    raise AssertionError(f"{rule.id} was deleted by another owner")


async def refusal(use: Use, storage: Storage, session_id: str, turn_id: str) -> tuple[object, ...]:
    with pytest.raises(RuntimeServiceError) as caught:
        await use(storage, session_id, turn_id)
    return type(caught.value), caught.value.message, dict(caught.value.metadata)


@pytest.fixture
async def anns(storage: Storage) -> Running:
    """A session of ann's, in mid-turn, with a rule."""
    running = await storage.start_in_new_session("hers", "ann")
    await _rules(storage).create(_a_rule(storage, "hers"), limit=9, audit=_audit(storage, "ann"), key=None)
    return running


@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_another_owners_session_is_refused_exactly_like_a_missing_one(
    storage: Storage, anns: Running, use: Use
) -> None:
    before = await storage.events(anns.claim.session_key)
    theirs = await refusal(use, storage, "hers", anns.turn.id)
    missing = await refusal(use, storage, "nowhere", anns.turn.id)
    assert theirs == missing
    assert theirs[0] in (SessionNotFoundError, ApprovalRuleNotFoundError)
    assert await storage.events(anns.claim.session_key) == before


def test_every_method_of_a_port_that_is_told_an_owner_is_among_the_uses() -> None:
    told = {
        name
        for port in vars(ports).values()
        if getattr(port, "_is_protocol", False)
        for name, method in vars(port).items()
        if callable(method) and "owner_id" in inspect.signature(method).parameters
    }
    of_all = {"sessions"}  # one owner's list
    assert {"session", "fork", "change", "delete"} <= told
    assert told - of_all <= {name.replace(" ", "_") for name in USES}


def test_every_read_of_one_session_is_among_the_uses() -> None:
    # For whoever has located the session, and one owner's list.
    by_key_or_owner = {"model_view", "client_tools", "input_progress", "sessions"}
    reads = {name for name in vars(ReadModel) if not name.startswith("_")}
    assert reads - by_key_or_owner <= {name.replace(" ", "_") for name in USES}


async def test_lists_hold_only_ones_own(storage: Storage, anns: Running) -> None:
    await storage.new_session("his", "bob")
    page = await storage.reads.sessions("bob", where=SessionFilter(), limit=10, after=None)
    assert [view.session.id for view in page.items] == ["his"]
    assert await storage.reads.agent_usage("bob", None, since=None, before=None) == []
    rules = await storage.reads.approval_rules("bob", None, scopes=(), limit=10, after=None)
    assert rules.items == ()
    approvals = await storage.reads.approvals("bob", None, states=(), limit=10, after=None)
    assert approvals.items == ()


@pytest.mark.parametrize("name", ["turn", "approval", "input", "messages of a turn"])
async def test_a_thing_of_anothers_session_is_in_none_of_mine(storage: Storage, anns: Running, name: str) -> None:
    await storage.new_session("his", "bob")

    async def tried(turn_id: str, input_id: str) -> object:
        reads = storage.reads
        attempts: dict[str, Callable[[], Awaitable[object]]] = {
            "turn": lambda: reads.turn("bob", "his", turn_id),
            "approval": lambda: reads.approval("bob", "his", "approval_0"),
            "input": lambda: reads.input("bob", "his", input_id),
            "messages of a turn": lambda: reads.messages(
                "bob", "his", roles=(), turn_id=turn_id, newest_first=False, limit=10, after=None
            ),
        }
        try:
            return await attempts[name]()
        except RuntimeServiceError as error:
            return type(error), error.message, dict(error.metadata)

    assert await tried(anns.turn.id, anns.turn.input_id) == await tried("turn_0", "input_0")


async def test_a_page_key_of_another_owner_shows_nothing_of_hers(storage: Storage, anns: Running) -> None:
    await storage.new_session("hers too", "ann")
    page = await storage.reads.sessions("ann", where=SessionFilter(), limit=1, after=None)
    assert page.next_after is not None
    stolen = await storage.reads.sessions("bob", where=SessionFilter(), limit=10, after=page.next_after)
    assert stolen.items == ()


async def test_the_same_id_and_request_id_of_two_owners_never_meet(storage: Storage) -> None:
    def key(owner_id: str) -> IdempotencyKey:
        return IdempotencyKey(owner_id, "CreateSession", "r1", owner_id.encode().ljust(32))

    def rename(change: SessionChange) -> None:
        note(change, "bob was here")
        change.outcome = "bob"

    for owner_id in ("ann", "bob"):
        session = a_session("s1", owner_id, storage.clock)
        view, created = await storage.store.create(
            session, AgentContext("universal"), allow_existing=False, key=key(owner_id)
        )
        assert (created, view.session.owner_id) == (True, owner_id)
    await storage.change(rename, "s1", "bob")
    anns = await storage.reads.locate("ann", "s1")
    assert await storage.events(anns.session_key) == []
