"""A session is created once, under an id that is its owner's for good."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from services.application.ports import IdempotencyKey, SessionFilter, SessionView
from services.domain.agent_context import AgentContext
from services.domain.errors import RequestIdReusedError, SessionAlreadyExistsError
from services.domain.session_change import Removal, SessionChange
from services.domain.session_events import SessionDeleted
from tests.support.storage import OWNER, Storage, a_session
from tests.support.unreliable_database import Loss, UnreliableDatabase

AGENT = AgentContext("universal")


def key(body: bytes = b"body", request_id: str = "r1", owner_id: str = OWNER) -> IdempotencyKey:
    return IdempotencyKey(owner_id, "CreateSession", request_id, body.ljust(32, b"."))


async def create(
    storage: Storage, session_id: str, request: IdempotencyKey | None = None, *, allow_existing: bool = False
) -> tuple[SessionView, bool]:
    session = a_session(session_id, OWNER, storage.clock)
    return await storage.store.create(session, AGENT, allow_existing=allow_existing, key=request)


async def delete(storage: Storage, session_id: str) -> None:
    def decide(change: SessionChange) -> None:
        change.append(SessionDeleted())
        change.removal = Removal.SESSION

    await storage.change(decide, session_id)


async def all_sessions(storage: Storage) -> list[str]:
    page = await storage.reads.sessions(OWNER, where=SessionFilter(), limit=100, after=None)
    return [view.session.id for view in page.items]


async def test_a_session_comes_back_as_it_was_stored(storage: Storage) -> None:
    session = a_session(
        "s1",
        OWNER,
        storage.clock,
        title="Crème brûlée 🍮",
        description='with "quotes" and \\ and \n lines',
        labels={"env": "prod", "note": "ünïcode"},
        message_limit=7,
    )
    view, created = await storage.store.create(session, AgentContext("coder"), allow_existing=False, key=None)
    assert created
    stored = await storage.reads.session(OWNER, "s1")
    assert stored == view
    assert stored.context == AgentContext("coder")
    assert (stored.last_sequence, stored.active_turn_id) == (0, None)
    assert stored.session == replace(session, key=stored.session.key)


async def test_two_owners_may_use_the_same_id(storage: Storage) -> None:
    anns, bobs = await storage.new_session("s1", "ann"), await storage.new_session("s1", "bob")
    assert anns.session.key != bobs.session.key


async def test_an_id_in_use_is_refused_unless_the_existing_session_will_do(storage: Storage) -> None:
    first, _ = await create(storage, "s1")
    with pytest.raises(SessionAlreadyExistsError):
        await create(storage, "s1")
    assert await create(storage, "s1", allow_existing=True) == (first, False)


@pytest.mark.parametrize("allow_existing", [False, True])
async def test_the_id_of_a_deleted_session_stays_taken(storage: Storage, allow_existing: bool) -> None:
    await create(storage, "s1")
    await delete(storage, "s1")
    with pytest.raises(SessionAlreadyExistsError):
        await create(storage, "s1", allow_existing=allow_existing)


@pytest.mark.parametrize("allow_existing", [False, True])
async def test_a_repeated_request_finds_the_session_it_made(storage: Storage, allow_existing: bool) -> None:
    first = await create(storage, "s1", key(), allow_existing=allow_existing)
    assert await create(storage, "s1", key(), allow_existing=allow_existing) == first
    assert first[1], "a repeat says what the first request was told"


async def test_a_repeated_request_without_an_id_of_its_own_makes_no_second_session(storage: Storage) -> None:
    first, _ = await create(storage, "generated-1", key())
    again, created = await create(storage, "generated-2", key())
    assert (again.session.id, created) == (first.session.id, True)
    assert await all_sessions(storage) == ["generated-1"]


async def test_a_repeat_of_a_request_that_found_a_session_finds_it_again(storage: Storage) -> None:
    await create(storage, "s1")
    assert (await create(storage, "s1", key(), allow_existing=True))[1] is False
    assert (await create(storage, "s1", key(), allow_existing=True))[1] is False


async def test_a_changed_body_under_the_same_request_id_is_refused(storage: Storage) -> None:
    await create(storage, "s1", key(b"one"))
    for session_id in ("s1", "s2"):
        with pytest.raises(RequestIdReusedError):
            await create(storage, session_id, key(b"other"))
    assert await all_sessions(storage) == ["s1"]


async def test_a_refused_request_is_not_remembered(storage: Storage) -> None:
    await create(storage, "s1")
    with pytest.raises(SessionAlreadyExistsError):
        await create(storage, "s1", key(b"one"))
    assert (await create(storage, "s2", key(b"other")))[1]


@pytest.mark.parametrize("own_id", [True, False])
async def test_identical_requests_at_once_make_one_session(storage: Storage, own_id: bool) -> None:
    results = await asyncio.gather(*(create(storage, "s1" if own_id else f"generated-{n}", key()) for n in range(8)))
    assert len({view.session.id for view, _ in results}) == 1
    assert all(created for _, created in results)
    assert len(await all_sessions(storage)) == 1


@pytest.mark.parametrize("own_id", [True, False])
async def test_of_different_bodies_under_one_request_id_at_once_one_wins(storage: Storage, own_id: bool) -> None:
    results = await asyncio.gather(
        *(create(storage, "s1" if own_id else f"generated-{n}", key(b"%d" % n)) for n in range(6)),
        return_exceptions=True,
    )
    refused = [result for result in results if isinstance(result, BaseException)]
    assert len(refused) == 5
    assert all(isinstance(error, RequestIdReusedError) for error in refused)
    assert len(await all_sessions(storage)) == 1


async def test_of_different_requests_for_one_id_at_once_one_wins(storage: Storage) -> None:
    results = await asyncio.gather(
        *(create(storage, "s1", key(request_id=f"r{n}")) for n in range(6)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, BaseException)]
    assert len(refused) == 5
    assert all(isinstance(error, SessionAlreadyExistsError) for error in refused)


async def test_get_or_create_at_once_makes_one_session_and_tells_one_caller(storage: Storage) -> None:
    results = await asyncio.gather(*(create(storage, "s1", allow_existing=True) for _ in range(6)))
    assert sum(created for _, created in results) == 1
    assert len({view.session.key for view, _ in results}) == 1


async def test_a_request_whose_reply_was_lost_makes_no_second_session(
    shaky: Storage, unreliable: UnreliableDatabase
) -> None:
    unreliable.lose(Loss.REPLY)
    view, created = await create(shaky, "generated-1", key())
    assert (view.session.id, created) == ("generated-1", True)
    assert await all_sessions(shaky) == ["generated-1"]
