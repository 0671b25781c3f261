"""How long callers wait for a database that serves one at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.domain.errors import DatabaseBusyError, DatabaseUnavailableError
from services.infrastructure.persistence.queue_watch import QueueWatch


class OneAtATime:
    """A database that serves when it is told to."""

    dialect = "sqlite"

    def __init__(self) -> None:
        self._turns: asyncio.Queue[None] = asyncio.Queue()

    def serve(self) -> None:
        self._turns.put_nowait(None)

    def give_up(self) -> None:
        self.gives_up = True
        self.serve()

    gives_up = False

    async def _run(self, unit: Any, **_: Any) -> Any:
        await self._turns.get()
        if self.gives_up:
            raise DatabaseUnavailableError("waited in vain", retry_after=1.0)
        return unit(None)

    read = read_snapshot = write = write_statement = migrate = _run

    async def close(self) -> None:
        """Nothing is open."""


class Queue:
    """The watch over such a database, and time that moves when told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.database: Any = OneAtATime()
        self.watch = QueueWatch(self.database, lambda: self.now)
        self.tasks: list[asyncio.Task[Any]] = []

    async def ask(self, method: str = "read", **how: Any) -> None:
        work: Any = getattr(self.watch, method)(lambda connection: "done", **how)
        self.tasks.append(asyncio.create_task(work))
        await asyncio.sleep(0)

    async def serve(self) -> None:
        self.database.serve()
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
def queue() -> Queue:
    return Queue()


async def test_nobody_waits(queue: Queue) -> None:
    assert queue.watch.longest_wait() == 0.0


@pytest.mark.parametrize(("method", "how"), [("read", {}), ("read_snapshot", {}), ("write", {"repeatable": True})])
async def test_the_first_in_the_queue_counts_until_it_is_served(queue: Queue, method: str, how: Any) -> None:
    await queue.ask(method, **how)
    queue.now += 0.2
    await queue.ask(method, **how)
    await queue.ask(method, **how)
    await queue.serve()
    assert queue.watch.longest_wait() == 0.0
    queue.now += 0.3
    assert queue.watch.longest_wait() == pytest.approx(0.3)
    await queue.serve()
    await queue.serve()
    assert queue.watch.longest_wait() == 0.0
    assert [task.result() for task in queue.tasks] == ["done"] * 3


async def test_a_database_that_serves_nobody_is_away_and_not_late(queue: Queue) -> None:
    await queue.ask()
    await queue.serve()
    await queue.ask()
    queue.now += 0.4
    assert queue.watch.longest_wait() == pytest.approx(0.4)
    queue.now += 0.2
    assert queue.watch.longest_wait() == 0.0


async def test_who_gives_up_waits_no_more(queue: Queue) -> None:
    await queue.ask()
    await queue.serve()
    await queue.ask()
    queue.now += 0.3
    queue.tasks[-1].cancel()
    await asyncio.wait(queue.tasks)
    assert queue.watch.longest_wait() == 0.0


async def test_what_does_not_queue_is_not_looked_at(queue: Queue) -> None:
    await queue.ask()
    await queue.serve()
    await queue.ask("write_statement")
    queue.now += 0.3
    assert queue.watch.longest_wait() == 0.0


@pytest.mark.parametrize(("since", "kind"), [(0.4, DatabaseBusyError), (0.6, DatabaseUnavailableError)])
async def test_who_waits_in_vain_while_others_are_served_is_told_so(queue: Queue, since: float, kind: type) -> None:
    await queue.ask()
    await queue.serve()
    await queue.ask()
    queue.now += since
    queue.database.give_up()
    await asyncio.wait(queue.tasks)
    error = queue.tasks[-1].exception()
    assert type(error) is kind
    assert isinstance(error, DatabaseUnavailableError)
    assert error.retry_after == 1.0


async def test_what_fails_while_it_is_served_is_no_matter_of_waiting(queue: Queue) -> None:
    def fail(connection: object) -> None:
        raise DatabaseUnavailableError("lost")

    task = asyncio.create_task(queue.watch.read(fail))
    await asyncio.sleep(0)
    await queue.serve()
    assert type(task.exception()) is DatabaseUnavailableError
