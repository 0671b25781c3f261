"""Who lives is decided by the database's clock; what the dead have left is found by whoever looks.

A SQLite file that is locked for one process needs none of this; what it does instead is in `test_sqlite_only.py`.
"""

from __future__ import annotations

from functools import partial

import pytest

from services.application.ports import FencedError, Incarnation, OrphanedSession
from services.application.turns.outside_steps import recover_turn
from services.domain.turn import TurnState
from tests.support.storage import OWNER, Storage, kinds, note

LONG = 60.0
OVER = -1.0  # a lease that ended a second ago, by whatever clock the database has


async def owned(storage: Storage, incarnation: Incarnation) -> list[str] | None:
    heads = await storage.leases.renew(incarnation.name, LONG)
    return None if heads is None else [head.claim.session_id for head in heads]


async def test_a_living_process_renews_its_lease_and_learns_what_it_owns(storage: Storage) -> None:
    await storage.leases.register(storage.incarnation.name, LONG)
    assert await owned(storage, storage.incarnation) == []
    running = await storage.start_in_new_session()
    [head] = await storage.leases.renew(storage.incarnation.name, LONG) or []
    assert head.claim == running.claim
    await storage.answer(running, "done")
    assert await owned(storage, storage.incarnation) == []


async def test_a_command_of_anyone_shows_in_the_heads_control(storage: Storage) -> None:
    await storage.leases.register(storage.incarnation.name, LONG)
    running = await storage.start_in_new_session()
    [before] = await storage.leases.renew(storage.incarnation.name, LONG) or []
    await storage.say(running, "a delta does not")
    await storage.published.until_said(running.claim, "does not")
    await storage.change(note)
    [after] = await storage.leases.renew(storage.incarnation.name, LONG) or []
    assert after.control == before.control + 1
    assert after.claim == before.claim


async def test_a_lease_that_is_over_cannot_be_renewed(storage: Storage) -> None:
    await storage.leases.register(storage.incarnation.name, OVER)
    assert await storage.leases.renew(storage.incarnation.name, LONG) is None


async def test_a_lease_nobody_took_cannot_be_renewed(storage: Storage) -> None:
    assert await storage.leases.renew(Incarnation().name, LONG) is None


async def test_a_lease_given_up_is_over_at_once(storage: Storage) -> None:
    await storage.leases.register(storage.incarnation.name, LONG)
    await storage.leases.end(storage.incarnation.name)
    await storage.leases.end(storage.incarnation.name)  # harmless
    assert await storage.leases.renew(storage.incarnation.name, LONG) is None


async def test_who_lives_is_counted_and_whoever_asks_does(storage: Storage) -> None:
    assert await storage.leases.count_living() == 1
    one, other, gone = Incarnation().name, Incarnation().name, Incarnation().name
    for name, seconds in ((one, LONG), (other, LONG), (gone, OVER)):
        await storage.leases.register(name, seconds)
    assert await storage.leases.count_living() == 2
    await storage.leases.end(other)
    assert await storage.leases.count_living() == 1


class TestAnOrphan:
    async def test_is_a_running_session_of_a_process_whose_lease_is_over(self, storage: Storage) -> None:
        await storage.leases.register(storage.incarnation.name, LONG)
        await storage.start_in_new_session()
        assert await storage.leases.orphans(10) == []
        await storage.leases.renew(storage.incarnation.name, OVER)
        assert await storage.leases.orphans(10) == [OrphanedSession(OWNER, "s1")]

    async def test_is_a_session_of_a_process_nobody_has_heard_of(self, storage: Storage) -> None:
        await storage.start_in_new_session()
        assert await storage.leases.orphans(10) == [OrphanedSession(OWNER, "s1")]

    async def test_is_no_session_whose_turn_has_ended(self, storage: Storage) -> None:
        await storage.answer(await storage.start_in_new_session(), "done")
        await storage.new_session("s2")
        assert await storage.leases.orphans(10) == []

    async def test_is_found_a_few_at_a_time(self, storage: Storage) -> None:
        for n in range(3):
            await storage.start_in_new_session(f"s{n}")
        assert len(await storage.leases.orphans(2)) == 2

    async def test_is_taken_up_once_by_whoever_is_first(self, storage: Storage) -> None:
        await storage.leases.register(storage.incarnation.name, LONG)
        dead = await storage.start_in_new_session()
        await storage.leases.end(storage.incarnation.name)
        storage.incarnation.replace()
        await storage.leases.register(storage.incarnation.name, LONG)
        taken = [await storage.change(recover_turn) for _ in range(3)]
        assert [committed.claim is not None for committed in taken] == [True, False, False]
        assert kinds(taken[0].events) == ["AttemptRestarted"]
        assert await storage.leases.orphans(10) == []
        assert await owned(storage, storage.incarnation) == ["s1"]
        with pytest.raises(FencedError):
            await storage.answer(dead, "I am not dead")
        recovered = storage.run(taken[0])
        await storage.answer(recovered, "done")
        turn = await storage.reads.turn(OWNER, "s1", recovered.turn.id)
        assert turn.state is TurnState.COMPLETED

    async def test_is_not_a_living_process_turn_however_often_one_tries(self, storage: Storage) -> None:
        await storage.leases.register(storage.incarnation.name, LONG)
        running = await storage.start_in_new_session()
        committed = await storage.change(recover_turn)
        assert (committed.claim, committed.events) == (None, ())
        await storage.answer(running, "undisturbed")

    async def test_may_be_ones_own_that_one_knows_nobody_runs(self, storage: Storage) -> None:
        await storage.leases.register(storage.incarnation.name, LONG)
        running = await storage.start_in_new_session()
        committed = await storage.change(partial(recover_turn, unattended=True))
        assert committed.claim is not None
        assert committed.claim.epoch > running.claim.epoch
        with pytest.raises(FencedError):
            await storage.answer(running, "too late")
