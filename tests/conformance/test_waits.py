"""Waits run out by the database's clock, exactly once, however many look."""

from __future__ import annotations

import asyncio

import pytest

from services.application.ports import DueSession
from services.application.turns.outside_steps import cancel_turn, expire_waits
from services.application.turns.turn_limits import TurnLimits
from services.domain.message import MessageToolCall
from services.domain.turn import CancelCause
from tests.support.conversation import question, read, write
from tests.support.storage import (
    LIMITS,
    OWNER,
    POLICY,
    Storage,
    kinds,
    sequences,
)
from tests.support.stored_turns import (
    OVERDUE,
    asked,
    delete,
)


class TestWaits:
    async def test_are_due_by_the_databases_clock_the_longest_overdue_first(self, storage: Storage) -> None:
        for session_id, wait in (("s1", -10), ("s2", -30), ("s3", 1000), ("s4", -20)):
            await asked(storage, write("c1"), session_id=session_id, limits=TurnLimits(approval_wait=wait))
        await storage.start_in_new_session("running")
        assert await storage.waits.due(10) == [DueSession(OWNER, id_) for id_ in ("s2", "s4", "s1")]
        assert await storage.waits.due(1) == [DueSession(OWNER, "s2")]

    async def test_are_not_due_for_the_clock_of_a_process(self, storage: Storage) -> None:
        await asked(storage, write("c1"), limits=TurnLimits(approval_wait=1000))
        storage.clock.advance(10**6)
        assert await storage.waits.due(10) == []

    async def test_without_an_end_are_never_due(self, storage: Storage) -> None:
        await asked(storage, write("c1"), limits=TurnLimits(approval_wait=None))
        assert await storage.waits.due(10) == []

    @pytest.mark.parametrize(
        "calls", [(read("c1"),), (write("c1"),), (question("c1"),), (read("c1"), write("c2", "b"), question("c3"))]
    )
    async def test_end_exactly_once_however_many_look(
        self, storage: Storage, calls: tuple[MessageToolCall, ...]
    ) -> None:
        running = await asked(storage, *calls, limits=OVERDUE)
        committed = await asyncio.gather(
            *(storage.change(lambda change: expire_waits(change, LIMITS, POLICY)) for _ in range(8))
        )
        assert sum(bool(each.events) for each in committed) == 1
        assert sum(each.claim is not None for each in committed) <= 1
        assert await storage.waits.due(10) == []
        events = await storage.events(running.claim.session_key)
        assert sequences(events) == list(range(1, len(events) + 1))
        assert kinds(events).count("TurnFailed") + kinds(events).count("TurnResumed") == 1

    async def test_of_turns_that_went_on_or_ended_are_due_no_more(self, storage: Storage) -> None:
        for session_id in ("cancelled", "deleted"):
            await asked(storage, write("c1"), session_id=session_id, limits=OVERDUE)
        await storage.change(
            lambda change: cancel_turn(change, cause=CancelCause.USER, cancelled_by=OWNER), "cancelled"
        )
        await storage.change(delete, "deleted")
        assert await storage.waits.due(10) == []
