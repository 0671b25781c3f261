"""Every domain event reaches every subscriber at least once, in order, and leaves the outbox only then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from services.application.background.outbox_relay import OutboxRelay
from services.application.ports import OutboxEntry
from services.domain.domain_events import DomainEvent, SessionCreated
from services.domain.errors import DatabaseUnavailableError
from tests.support.changes import NOW


def entry(number: int) -> OutboxEntry:
    return OutboxEntry(number, DomainEvent(f"event_{number}", NOW, "s1", SessionCreated("ann")))


class MemoryOutbox:
    """An `Outbox` that can be away for a number of calls."""

    def __init__(self, count: int = 0) -> None:
        self.entries = [entry(n) for n in range(count)]
        self.away = 0
        self.emptied = asyncio.Event()

    async def oldest(self, limit: int) -> list[OutboxEntry]:
        if self.away:
            self.away -= 1
            raise DatabaseUnavailableError("away")
        return self.entries[:limit]

    async def delivered(self, entries: Sequence[OutboxEntry]) -> None:
        self.entries = [waiting for waiting in self.entries if waiting not in entries]
        if not self.entries:
            self.emptied.set()


class Recorder:
    """A subscriber that writes down what it gets, and can refuse."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.refuses = False

    async def __call__(self, event: DomainEvent) -> None:
        if self.refuses:
            raise ConnectionError("the subscriber is away")
        self.got.append(event.event_id)


async def test_every_subscriber_gets_every_event_in_order() -> None:
    outbox, one, two = MemoryOutbox(3), Recorder(), Recorder()
    assert await OutboxRelay(outbox, [one, two]).relay() == 3
    assert one.got == two.got == ["event_0", "event_1", "event_2"]
    assert outbox.entries == []


async def test_without_a_subscriber_events_go_all_the_same() -> None:
    outbox = MemoryOutbox(2)
    await OutboxRelay(outbox, []).relay()
    assert outbox.entries == []


async def test_an_empty_outbox_is_left_alone() -> None:
    assert await OutboxRelay(MemoryOutbox(), [Recorder()]).relay() == 0


async def test_what_a_subscriber_refused_stays_and_is_delivered_again() -> None:
    outbox, quick, slow = MemoryOutbox(2), Recorder(), Recorder()
    relay = OutboxRelay(outbox, [quick, slow])
    slow.refuses = True
    with pytest.raises(ConnectionError):
        await relay.relay()
    assert len(outbox.entries) == 2
    slow.refuses = False
    await relay.relay()
    assert slow.got == ["event_0", "event_1"]
    assert quick.got == ["event_0", "event_0", "event_1"]
    assert outbox.entries == []


async def test_running_it_relays_everything_though_the_database_is_away_at_first() -> None:
    outbox, subscriber = MemoryOutbox(450), Recorder()
    outbox.away = 2
    running = asyncio.create_task(OutboxRelay(outbox, [subscriber], interval=0).run())
    await asyncio.wait_for(outbox.emptied.wait(), 5)
    running.cancel()
    assert subscriber.got == [f"event_{n}" for n in range(450)]
