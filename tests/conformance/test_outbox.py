"""A domain event is written with the change it tells of, and stays until it is delivered."""

from __future__ import annotations

import pytest

from services.domain.domain_events import (
    AgentAssigned,
    DomainEvent,
    MessageReceived,
    SessionCreated,
    TaskCompleted,
    TaskStarted,
)
from services.domain.errors import SessionInactiveError
from services.domain.session_change import Removal, SessionChange
from services.domain.session_events import SessionDeleted
from tests.support.storage import OWNER, Storage, note
from tests.support.unreliable_database import Loss, UnreliableDatabase


async def waiting(storage: Storage) -> list[DomainEvent]:
    return [entry.event for entry in await storage.outbox.oldest(100)]


async def test_a_turn_leaves_its_facts_in_the_order_they_happened(storage: Storage) -> None:
    running = await storage.start_in_new_session()
    await storage.answer(running, "done")
    events = await waiting(storage)
    history = await storage.history(running.claim.session_key)
    assert [event.fact for event in events] == [
        SessionCreated(OWNER),
        AgentAssigned("universal"),
        MessageReceived(history[0].id, running.turn.id),
        TaskStarted(running.turn.id, "universal"),
        TaskCompleted(running.turn.id, 2),
    ]
    assert {event.aggregate_id for event in events} == {"s1"}
    assert len({event.event_id for event in events}) == 5
    assert {event.occurred_at for event in events} == {storage.clock.now()}


async def test_what_is_delivered_is_gone_and_the_rest_stays(storage: Storage) -> None:
    await storage.new_session("s1")
    await storage.new_session("s2")
    first, *rest = await storage.outbox.oldest(100)
    await storage.outbox.delivered([first])
    await storage.outbox.delivered([first])  # harmless
    assert await storage.outbox.oldest(100) == rest
    assert await storage.outbox.oldest(1) == rest[:1]
    await storage.outbox.delivered(rest)
    assert await storage.outbox.oldest(100) == []


async def test_a_refused_change_leaves_no_fact(storage: Storage) -> None:
    await storage.new_session()
    before = await waiting(storage)

    def refuse(change: SessionChange) -> None:
        note(change)
        raise SessionInactiveError("no")

    with pytest.raises(SessionInactiveError):
        await storage.change(refuse)
    assert await waiting(storage) == before


async def test_a_step_whose_reply_was_lost_leaves_its_facts_once(
    shaky: Storage, unreliable: UnreliableDatabase
) -> None:
    running = await shaky.start_in_new_session()
    unreliable.lose(Loss.REPLY)
    await shaky.answer(running, "done")
    facts = [event.fact for event in await waiting(shaky)]
    assert facts.count(TaskCompleted(running.turn.id, 2)) == 1


async def test_the_facts_of_a_deleted_session_outlive_it(storage: Storage) -> None:
    await storage.new_session()
    before = await waiting(storage)

    def delete(change: SessionChange) -> None:
        change.append(SessionDeleted())
        change.removal = Removal.SESSION

    await storage.change(delete)
    assert await waiting(storage) == before
