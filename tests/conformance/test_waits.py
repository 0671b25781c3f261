"""Waits run out by the database's clock, exactly once, however many look."""

from __future__ import annotations

import asyncio

import pytest

from services.application.ports import DueSession
from services.application.turns.outside_steps import cancel_turn, expire_waits
from services.application.turns.turn_limits import TurnLimits
from services.domain.input import BusyPolicy, UserMessage
from services.domain.message import MessageToolCall
from services.domain.session_change import SessionChange
from services.domain.turn import CancelCause, TurnState
from services.infrastructure.persistence.waits import SqlWaits
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


class TestMessagesThatWaitForAPlace:
    """They are due where no turn is active: of each owner so many as there are places."""

    async def test_are_due_while_fewer_turns_run_than_may(self, storage: Storage) -> None:
        for session_id, owner_id in (("s2", OWNER), ("s1", OWNER), ("s1", "bob")):
            await waiting_for_a_place(storage, session_id, owner_id)
            storage.clock.advance(1)
        await asked(storage, write("c1"), session_id="behind", limits=TurnLimits(approval_wait=None))
        await storage.send(LATER, "behind")
        ann = [DueSession(OWNER, "s2"), DueSession(OWNER, "s1")]
        bob = DueSession("bob", "s1")
        assert sorted(map(str, await SqlWaits(storage.database, 1).due(10))) == sorted(map(str, [ann[0], bob]))
        for most in (2, 3, None):
            found = await SqlWaits(storage.database, most).due(10)
            assert sorted(map(str, found)) == sorted(map(str, [*ann, bob]))
            assert [each for each in found if each.owner_id == OWNER] == ann
        await storage.start_in_new_session("running")
        assert await SqlWaits(storage.database, 1).due(10) == [bob]
        assert len(await SqlWaits(storage.database, 2).due(10)) == 2
        assert len(await SqlWaits(storage.database, None).due(2)) == 2

    async def test_begin_exactly_once_however_many_look(self, storage: Storage) -> None:
        await waiting_for_a_place(storage, "s1", OWNER)
        committed = await asyncio.gather(
            *(storage.change(lambda change: expire_waits(change, LIMITS, POLICY)) for _ in range(8))
        )
        assert sum(each.claim is not None for each in committed) == 1
        assert await storage.waits.due(10) == []
        assert (await storage.reads.pending_inputs(OWNER, "s1")) == []

    async def test_see_how_many_turns_run_without_asking(self, storage: Storage) -> None:
        await waiting_for_a_place(storage, "s1", OWNER)
        await storage.start_in_new_session("running")
        seen: list[int] = []
        for session_id in ("s1", "running"):
            await storage.change(lambda change: seen.append(change.loaded.running_turns), session_id)
        assert seen == [1, 0]

        def step(change: SessionChange) -> None:
            change.most_running = 1
            expire_waits(change, LIMITS, POLICY)
            assert change.turn is None or change.turn.state is not TurnState.RUNNING

        await storage.change(step)


LATER = UserMessage("later", busy_policy=BusyPolicy.QUEUE)


async def waiting_for_a_place(storage: Storage, session_id: str, owner_id: str) -> None:
    """A session in which a message waits, and no turn is active."""

    def cancel(change: SessionChange) -> None:
        change.most_running = 0
        cancel_turn(change, cause=CancelCause.USER, cancelled_by=owner_id)

    await storage.start_in_new_session(session_id, owner_id)
    await storage.send(LATER, session_id, owner_id)
    await storage.change(cancel, session_id, owner_id)
