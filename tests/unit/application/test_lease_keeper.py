"""A process keeps its lease, stops when it loses it, and takes up what nobody runs (G3, G4)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.application.ports import Committed, OrphanedSession
from services.domain.session_events import AttemptRestarted
from tests.unit.application.engine import KEYS, Engine, settled


async def test_the_first_lease_is_taken_at_the_start() -> None:
    engine = Engine()
    await engine.keeper.start()
    assert engine.leases.living == {engine.incarnation.name: 5.0}


async def test_as_long_as_the_lease_holds_turns_are_left_alone() -> None:
    engine = Engine()
    await engine.keeper.start()
    await engine.run_here()
    for _ in range(5):
        await engine.keeper.tick()
    assert engine.runner.stopped == []
    await engine.keeper.stop()


async def test_a_lost_lease_stops_every_turn_and_begins_anew_under_another_name() -> None:
    engine = Engine()
    await engine.keeper.start()
    before = engine.incarnation.name
    await engine.run_here("s1")
    await engine.run_here("s2")
    engine.leases.living.clear()
    await engine.keeper.tick()
    assert sorted(engine.runner.stopped) == ["s1", "s2"]
    assert engine.incarnation.name != before
    assert list(engine.leases.living) == [engine.incarnation.name]


async def test_a_session_that_is_ours_no_more_stops_and_the_others_go_on() -> None:
    engine = Engine()
    await engine.keeper.start()
    await engine.run_here("s1")
    await engine.run_here("s2")
    engine.store.sessions["s1"].epoch += 1  # somebody took it over
    engine.leases.owned.discard("s1")
    await engine.keeper.tick()
    await settled()
    assert engine.runner.stopped == ["s1"]
    assert list(engine.runner.running) == ["s2"]
    assert engine.looked_again == [KEYS["s1"]]  # our own commit may be what ended it
    await engine.keeper.stop()


async def test_a_turn_begun_while_the_lease_is_renewed_is_not_stopped() -> None:
    engine = Engine()
    await engine.keeper.start()
    renewing = engine.leases.renew

    async def renew_while_a_turn_begins(incarnation: str, seconds: float) -> object:
        answer = await renewing(incarnation, seconds)
        await engine.run_here()
        return answer

    engine.leases.renew = renew_while_a_turn_begins  # type: ignore[method-assign, assignment]
    await engine.keeper.tick()
    assert engine.runner.stopped == []
    await engine.keeper.stop()


class TestAnOrphan:
    async def test_is_taken_up_and_its_unfinished_answer_declared_void(self) -> None:
        engine = Engine()
        await engine.keeper.start()
        engine.add_session(orphaned=True)
        engine.leases.orphaned = [OrphanedSession("ann", "s1")]
        await engine.keeper.recover()
        await settled()
        assert engine.runner.running == {"s1": engine.store.claim("s1")}
        [restarted] = engine.store.sessions["s1"].log
        assert isinstance(restarted, AttemptRestarted)
        await engine.keeper.stop()

    async def test_that_another_process_took_first_is_left_to_it(self) -> None:
        engine = Engine()
        await engine.keeper.start()
        engine.add_session(orphaned=False)
        engine.leases.orphaned = [OrphanedSession("ann", "s1")]
        await engine.keeper.recover()
        await settled()
        assert (engine.runner.running, engine.store.sessions["s1"].log) == ({}, [])

    async def test_that_was_deleted_meanwhile_disturbs_nothing(self) -> None:
        engine = Engine()
        await engine.keeper.start()
        engine.add_session("s2", orphaned=True)
        engine.leases.orphaned = [OrphanedSession("ann", "s1"), OrphanedSession("ann", "s2")]
        await engine.keeper.recover()
        await settled()
        assert list(engine.runner.running) == ["s2"]
        await engine.keeper.stop()


class TestASessionOfOursThatRunsNowhere:
    async def test_is_taken_up_once_it_has_been_so_for_a_whole_round(self) -> None:
        engine = Engine()
        await engine.keeper.start()
        engine.add_session()
        engine.leases.owned.add("s1")
        await engine.keeper.tick()
        await settled()
        assert engine.runner.running == {}
        await engine.keeper.tick()
        await settled()
        assert engine.runner.running == {"s1": engine.store.claim("s1")}
        for _ in range(3):
            await engine.keeper.tick()
        assert len(engine.store.sessions["s1"].log) == 1
        await engine.keeper.stop()

    async def test_is_left_alone_when_its_turn_was_only_about_to_start(self) -> None:
        engine = Engine()
        await engine.keeper.start()
        turn = engine.add_session()
        engine.leases.owned.add("s1")
        await engine.keeper.tick()
        engine.turns.start(engine.store.claim("s1"), turn)
        await settled()
        for _ in range(3):
            await engine.keeper.tick()
        assert engine.store.sessions["s1"].log == []
        await engine.keeper.stop()

    async def test_and_cannot_be_taken_up_costs_the_others_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        engine = Engine()
        await engine.keeper.start()
        changing = engine.store.change
        for session_id in ("s1", "s2"):
            engine.add_session(session_id)
            engine.leases.owned.add(session_id)

        async def change(owner_id: str, session_id: str, *args: Any, **others: Any) -> Committed:
            if session_id == "s1":
                raise ValueError("a row that nobody can read")
            return await changing(owner_id, session_id, *args, **others)

        engine.store.change = change  # type: ignore[method-assign]
        for _ in range(3):
            await engine.keeper.tick()  # one that failed would be begun again after ever longer pauses, without a lease
        await settled()
        assert list(engine.runner.running) == ["s2"]
        assert "could not be recovered" in caplog.text
        await engine.keeper.stop()


class TestWithoutTheDatabase:
    async def run_for_a_moment(self, engine: Engine) -> None:
        """One failing round of the keeper's loop."""
        running = asyncio.create_task(engine.keeper.run())
        await settled()
        running.cancel()
        await asyncio.wait({running})

    async def test_turns_go_on_for_as_long_as_the_lease_would_last(self) -> None:
        engine = Engine()
        await engine.keeper.start()
        await engine.run_here()
        engine.leases.away = True
        engine.clock.advance(5)
        await self.run_for_a_moment(engine)
        assert engine.runner.stopped == []
        await engine.turns.stop_all()

    async def test_turns_stop_when_the_lease_must_be_over(self, caplog: pytest.LogCaptureFixture) -> None:
        engine = Engine()
        await engine.keeper.start()
        await engine.run_here()
        engine.clock.advance(4)
        await engine.keeper.tick()
        engine.leases.away = True
        engine.clock.advance(5)
        await self.run_for_a_moment(engine)
        assert engine.runner.stopped == []
        engine.clock.advance(0.1)
        await self.run_for_a_moment(engine)
        assert engine.runner.stopped == ["s1"]
        assert "cannot be renewed" in caplog.text

    async def test_stopping_leaves_the_lease_to_expire(self, caplog: pytest.LogCaptureFixture) -> None:
        engine = Engine()
        await engine.keeper.start()
        await engine.run_here()
        engine.leases.away = True
        await engine.keeper.stop()
        assert engine.runner.running == {}
        assert "will expire" in caplog.text


async def test_stopping_hands_everything_over() -> None:
    engine = Engine()
    await engine.keeper.start()
    await engine.run_here()
    await engine.keeper.stop()
    assert engine.runner.stopped == ["s1"]
    assert engine.leases.living == {}


async def test_what_was_handed_over_is_not_taken_back() -> None:
    engine = Engine()
    await engine.keeper.start()
    name = engine.incarnation.name
    ticking = asyncio.create_task(engine.keeper.run())
    recovering = asyncio.create_task(engine.keeper.run_recovery())
    await settled()
    await engine.keeper.stop()
    await engine.keeper.tick()  # one that had begun before
    engine.add_session(orphaned=True)
    engine.leases.orphaned = [OrphanedSession("ann", "s1")]
    await engine.keeper.recover()
    await engine.run_here("s2")  # what a call has let run that still had its grace
    assert (engine.incarnation.name, engine.leases.living) == (name, {})
    assert engine.runner.running == {}
    await engine.keeper.stop()
    for task in (ticking, recovering):
        task.cancel()
