"""Storage keeps whatever a conversation may be: what is loaded for each change is what all changes before it left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from services.application.ports import PageKey
from services.domain.approval import ApprovalState
from services.domain.input import in_turn
from services.domain.session_change import SessionAggregate, SessionChange
from services.domain.tool_call import ToolCallState
from tests.support.anybody import CLIENT_TOOLS, Anybody
from tests.support.memory_session import MemorySession
from tests.support.storage import CORRELATION, OWNER, Storage

CHANGES = 80


def a_conversation(seed: int) -> tuple[MemorySession, SessionAggregate]:
    """A conversation as chance has it, in memory; and what its session was at the beginning."""
    anybody = Anybody(Random(seed))
    beginning = anybody.memory.load()
    for _ in range(CHANGES):
        anybody.live()
    return anybody.memory, beginning


def as_before(recorded: SessionChange, key: int, seen: list[SessionAggregate]) -> Callable[[SessionChange], None]:
    """A decision that stages what was staged in memory."""

    def decide(change: SessionChange) -> None:
        seen.append(change.loaded)
        change.session = replace(recorded.session, key=key)
        change.context, change.turn = recorded.context, recorded.turn
        change.events, change.messages, change.inputs = recorded.events, recorded.messages, recorded.inputs
        change.tool_calls, change.approvals = recorded.tool_calls, recorded.approvals
        change.switches, change.client_tools = recorded.switches, recorded.client_tools
        change.removal, change.ended_turn = recorded.removal, recorded.ended_turn
        change.usage, change.summary, change.rules = recorded.usage, recorded.summary, recorded.rules

    return decide


def comparable(loaded: SessionAggregate) -> SessionAggregate:
    """Without what differs between any two sessions: the key, whose it is, and what time it is."""
    return replace(
        loaded,
        session=replace(loaded.session, key=0),
        deadline_now=loaded.session.create_time,
        orphaned=False,
    )


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_was_written_is_loaded_again(storage: Storage, seed: int) -> None:
    memory, beginning = a_conversation(seed)
    session = replace(beginning.session, key=0)
    view, _ = await storage.store.create(
        session, beginning.context, client_tools=CLIENT_TOOLS, allow_existing=False, key=None
    )
    seen: list[SessionAggregate] = []
    for recorded, lookup in memory.changes:
        await storage.store.change(
            OWNER, "s1", as_before(recorded, view.session.key, seen), correlation_id=CORRELATION, lookup=lookup
        )
        assert comparable(seen[-1]) == comparable(recorded.loaded)
    await check_reads(storage, memory, view.session.key)


async def check_reads(storage: Storage, memory: MemorySession, key: int) -> None:
    """Reads show what the session in memory holds at the end."""
    assert await storage.history(key) == memory.history()
    shown = await storage.reads.session(OWNER, "s1")
    assert (shown.context, shown.client_tools) == (memory.context, CLIENT_TOOLS)
    assert replace(shown.session, key=0) == replace(memory.session, key=0)
    events = await storage.events(key)
    assert [event.payload for event in events] == memory.log
    turns = await storage.reads.turns(OWNER, "s1", states=(), limit=100, after=None)
    kept = [replace(turn, result_text="") for turn in turns.items]
    assert kept == [replace(turn, result_text="") for turn in reversed(memory.turns.values())]
    calls = await storage.reads.open_tool_calls(OWNER, "s1", limit=100, after=None)
    assert list(calls.items) == [call for call in memory.load().batch if call.state is ToolCallState.OPEN]
    assert (await storage.reads.model_view(key)).usage == memory.usage
    working = memory.usage.with_work_of(memory.turn) if memory.turn is not None else memory.usage
    assert await storage.reads.session_usage(OWNER, "s1") == working
    switches = await storage.reads.switches(OWNER, "s1", newest_first=False, limit=100, after=None)
    assert list(switches.items) == memory.switches
    approvals = await all_approvals(storage)
    assert approvals == memory.approvals
    snapshot = await storage.reads.snapshot(OWNER, "s1")
    assert snapshot.turn == memory.turn
    assert list(snapshot.pending_inputs) == in_turn(memory.load().pending_inputs)
    assert await storage.reads.pending_inputs(OWNER, "s1") == in_turn(memory.load().pending_inputs)
    for accepted in memory.inputs.values():
        assert await storage.reads.input(OWNER, "s1", accepted.id) == accepted
    assert [approval.id for approval in snapshot.pending_approvals] == [each.id for each in memory.load().approvals]
    assert (await storage.store.change(OWNER, "s1", _look, correlation_id=CORRELATION)).events == ()


def _look(change: SessionChange) -> None:
    """Stages nothing."""


async def all_approvals(storage: Storage) -> dict[str, object]:
    found: dict[str, object] = {}
    after: PageKey | None = None
    while True:
        page = await storage.reads.approvals(OWNER, "s1", states=tuple(ApprovalState), limit=3, after=after)
        found |= {view.approval.id: view.approval for view in page.items}
        if (after := page.next_after) is None:
            return found
