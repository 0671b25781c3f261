"""What only PostgreSQL can show: rows that others hold, column widths, and replies lost on the way.

SQLite has one writer and no network: nobody else ever holds a row, a COMMIT's outcome is always known, and column
widths are not enforced.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import asyncpg
import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.util import await_only

from services.application.ports import IdempotencyKey
from services.domain.errors import DatabaseUnavailableError
from services.domain.session_change import SessionChange
from services.domain.session_events import TextDelta
from services.infrastructure.persistence.driver import fetch
from services.infrastructure.persistence.postgres import PostgresDatabase
from services.infrastructure.persistence.tables import session_heads
from tests.support.clock import ManualClock
from tests.support.postgres_proxy import ReplySwallower, swallowing_replies
from tests.support.storage import (
    CORRELATION,
    OWNER,
    Running,
    Storage,
    kinds,
    note,
    running_storage,
    sequences,
    text_of,
)
from tests.support.unreliable_database import Loss, UnreliableDatabase
from tests.support.waiting import eventually

KIB = 1024


@asynccontextmanager
async def locked_elsewhere(url: str, session_key: int) -> AsyncIterator[None]:
    """Somebody else's transaction holds the head of that session."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM session_heads WHERE session_key = $1 FOR UPDATE", session_key)
            yield
    finally:
        await connection.close()


class TestALockedSession:
    async def test_is_skipped_by_a_flush_and_the_others_go_on(
        self, postgresql_storage: Storage, migrated_url: str
    ) -> None:
        storage = postgresql_storage
        locked, other = [await storage.start_in_new_session(name) for name in ("s1", "s2")]
        async with locked_elsewhere(migrated_url, locked.claim.session_key):
            await storage.say(locked, "patience")
            for word in ("one", "two", "three"):
                await storage.say(other, word)
                await storage.published.until_said(other.claim, word)
            assert kinds(storage.published.of(locked.claim))[-1] == "TurnStarted"
        await storage.published.until_said(locked.claim, "patience")
        for running in (locked, other):
            events = await storage.events(running.claim.session_key)
            assert sequences(events) == list(range(1, len(events) + 1))

    async def test_is_read_again_by_who_waited_for_it(self, postgresql_storage: Storage, migrated_url: str) -> None:
        storage = postgresql_storage
        running = await storage.start_in_new_session("s1")
        found: list[str] = []

        def look(change: SessionChange) -> None:
            found.append(change.session.title)
            note(change, "mine")

        connection = await asyncpg.connect(migrated_url)
        try:
            async with connection.transaction():
                key = running.claim.session_key
                await connection.execute("UPDATE session_heads SET control = control + 1 WHERE session_key = $1", key)
                await connection.execute("UPDATE sessions SET title = 'theirs' WHERE session_key = $1", key)
                waiting = asyncio.create_task(storage.change(look, "s1"))
                while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await waiting
        finally:
            await connection.close()
        assert found == ["theirs"]

    async def test_keeps_no_more_than_one_connection_waiting_for_it(
        self, postgresql_storage: Storage, migrated_url: str
    ) -> None:
        storage = postgresql_storage
        running = await storage.start_in_new_session("s1")
        await storage.new_session("s2")
        async with locked_elsewhere(migrated_url, running.claim.session_key):
            waiting = [asyncio.create_task(storage.change(note, "s1")) for _ in range(30)]
            await asyncio.sleep(0)
            async with asyncio.timeout(1):
                assert kinds(list((await storage.change(note, "s2")).events)) == ["SessionUpdated"]
            assert not any(task.done() for task in waiting)
        await asyncio.gather(*waiting)

    async def test_takes_no_more_deltas_than_may_wait(self, postgresql_storage: Storage, migrated_url: str) -> None:
        storage = postgresql_storage
        running = await storage.start_in_new_session()
        async with locked_elsewhere(migrated_url, running.claim.session_key):
            written = 0

            async def write_four_mebibytes() -> None:
                nonlocal written
                for _ in range(256):
                    await storage.say(running, "x" * 16 * KIB)
                    written += 16 * KIB
                    await asyncio.sleep(0.001)

            writing = asyncio.create_task(write_four_mebibytes())
            await asyncio.wait({writing}, timeout=1.5)
            assert not writing.done()
            assert written <= 2 * KIB * KIB
        await writing

    async def test_does_not_make_a_flush_forget_that_an_earlier_send_may_have_been_committed(
        self,
        postgresql_database: PostgresDatabase,
        migrated_url: str,
        clock: ManualClock,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        unreliable = UnreliableDatabase(postgresql_database)
        async with running_storage(unreliable, clock) as storage:
            running = await storage.start_in_new_session()
            unreliable.lose(Loss.CONNECTION)
            await storage.say(running, "committed, ")
            await eventually(lambda: "will try again" in caplog.text)
            async with locked_elsewhere(migrated_url, running.claim.session_key):
                await eventually(lambda: storage.writer.flushes > 0)  # the one sent again finds the head locked
                await storage.say(running, "said meanwhile")
            await storage.answer(running, "both")
            events = await storage.events(running.claim.session_key)
            assert text_of(events) == "committed, said meanwhile"
            assert kinds(events)[-1] == "TurnCompleted"
            assert events == storage.published.of(running.claim)

    async def test_makes_a_command_give_up_in_time(self, postgresql_storage: Storage, migrated_url: str) -> None:
        session = (await postgresql_storage.new_session()).session
        async with locked_elsewhere(migrated_url, session.key):
            with pytest.raises(DatabaseUnavailableError):
                await asyncio.wait_for(postgresql_storage.change(note), 10)
        await postgresql_storage.change(note)
        assert sequences(await postgresql_storage.events(session.key)) == [1]


async def test_an_event_too_long_for_its_column_stops_its_own_session_only(postgresql_storage: Storage) -> None:
    storage = postgresql_storage
    poisoned, other = [await storage.start_in_new_session(name) for name in ("s1", "s2")]
    too_long = storage.delta(poisoned, TextDelta(poisoned.message_id, "x"), correlation_id="c" * 65)
    await storage.writer.write(poisoned.claim, too_long)
    await storage.say(other, "unharmed")
    await storage.published.until_said(other.claim, "unharmed")
    with pytest.raises(Exception, match="too long"):
        await storage.say(poisoned, "more")
    await storage.change(note, "s1")


async def test_units_that_deadlock_are_run_again(postgresql_storage: Storage) -> None:
    storage = postgresql_storage
    keys = [(await storage.new_session(f"s{n}")).session.key for n in range(2)]
    both_hold_one = asyncio.Barrier(2)
    runs = 0

    async def lock(first: int, second: int) -> None:
        met = False

        def unit(connection: Connection) -> None:
            nonlocal met, runs
            runs += 1
            for key in (first, second):
                connection.execute(select(session_heads).where(session_heads.c.session_key == key).with_for_update())
                if not met:
                    met = True
                    await_only(both_hold_one.wait())

        await storage.database.write(unit, repeatable=False)

    await asyncio.gather(lock(keys[0], keys[1]), lock(keys[1], keys[0]))
    assert runs == 3


async def test_a_caller_gets_no_connection_for_ever(postgresql_storage: Storage, migrated_url: str) -> None:
    small = PostgresDatabase(migrated_url, pool_size=1)
    busy = asyncio.create_task(small.read(lambda c: c.execute(text("SELECT pg_sleep(3)")).all()))
    try:
        await eventually(lambda: small._engine.pool.checkedout() == 1)  # type: ignore[attr-defined]
        with pytest.raises(DatabaseUnavailableError):
            await small.read(lambda c: c.execute(text("SELECT 1")).all())
    finally:
        await busy
        await small.close()


async def test_connections_that_all_died_at_rest_are_not_noticed(
    postgresql_database: PostgresDatabase, migrated_url: str
) -> None:
    def busy(connection: Connection) -> int:
        return int(fetch(connection, "SELECT pg_backend_pid() FROM pg_sleep(0.1)", ())[0][0])

    before = await asyncio.gather(*(postgresql_database.read(busy) for _ in range(10)))
    assert len(set(before)) == 10
    admin = await asyncpg.connect(migrated_url)
    try:
        await admin.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid", before)
    finally:
        await admin.close()
    assert await postgresql_database.read(busy) not in before


async def test_connections_whose_end_was_announced_at_rest_are_not_noticed(migrated_url: str) -> None:
    def busy(connection: Connection) -> int:
        return int(fetch(connection, "SELECT pg_backend_pid() FROM pg_sleep(0.1)", ())[0][0])

    async with swallowing_replies(migrated_url) as proxy:
        database = PostgresDatabase(proxy.url, pool_size=4)
        try:
            for again in (database.read, partial(database.write, repeatable=False)):
                before = await asyncio.gather(*(database.read(busy) for _ in range(4)))
                assert len(set(before)) == 4
                proxy.announce_end()
                await asyncio.sleep(0.1)  # the driver has heard it
                assert await again(busy) not in before
        finally:
            await database.close()


class TestALostReply:
    """The proxy cuts the connection after the server has answered, so the work is done and nobody knows."""

    @pytest.fixture
    async def proxy(self, postgresql_database: PostgresDatabase, migrated_url: str) -> AsyncIterator[ReplySwallower]:
        async with swallowing_replies(migrated_url) as proxy:
            yield proxy

    @pytest.fixture
    async def storage(self, proxy: ReplySwallower, clock: ManualClock) -> AsyncIterator[Storage]:
        database = PostgresDatabase(proxy.url)
        async with running_storage(database, clock) as storage:
            yield storage
        await database.close()

    async def command(self, storage: Storage, key: IdempotencyKey | None) -> str:
        def decide(change: SessionChange) -> None:
            note(change)
            change.outcome = f"event {change.last_sequence}"

        return (await storage.store.change(OWNER, "s1", decide, correlation_id=CORRELATION, key=key)).outcome

    async def in_order(self, storage: Storage, running: Running) -> list[str]:
        events = await storage.events(running.claim.session_key)
        assert sequences(events) == list(range(1, len(events) + 1))
        assert storage.published.of(running.claim) == events
        return kinds(events)[3:]

    async def test_to_the_commit_of_a_keyed_command_leaves_one_effect(
        self, storage: Storage, proxy: ReplySwallower
    ) -> None:
        session = (await storage.new_session()).session
        for n in range(1, 4):
            proxy.lose_reply_to(b"COMMIT")
            key = IdempotencyKey(OWNER, "UpdateSession", f"r{n}", bytes(32))
            assert await self.command(storage, key) == f"event {n}"
        assert proxy.lost == 3
        assert sequences(await storage.events(session.key)) == [1, 2, 3]

    async def test_to_the_commit_of_another_command_is_admitted(self, storage: Storage, proxy: ReplySwallower) -> None:
        session = (await storage.new_session()).session
        proxy.lose_reply_to(b"COMMIT")
        with pytest.raises(DatabaseUnavailableError):
            await self.command(storage, None)
        assert sequences(await storage.events(session.key)) == [1]

    async def test_before_the_commit_is_made_good_by_running_again(
        self, storage: Storage, proxy: ReplySwallower
    ) -> None:
        session = (await storage.new_session()).session
        proxy.lose_reply_to(b"INSERT INTO session_events")
        assert await self.command(storage, None) == "event 1"
        assert proxy.lost == 1
        assert sequences(await storage.events(session.key)) == [1]

    async def test_to_a_step_writes_it_once(self, storage: Storage, proxy: ReplySwallower) -> None:
        running = await storage.start_in_new_session()
        await storage.flushing.stop()
        await storage.say(running, "Hello")
        proxy.lose_reply_to(b"COMMIT")
        await storage.answer(running, "Hello")
        storage.flushing.start()
        assert proxy.lost == 1
        assert await self.in_order(storage, running) == ["TextDelta", "MessageAdded", "UsageReported", "TurnCompleted"]

    async def test_to_a_flush_writes_it_once(self, storage: Storage, proxy: ReplySwallower) -> None:
        running = await storage.start_in_new_session()
        for word in ("first-word", "second-word", "third-word"):
            proxy.lose_reply_to(word.encode())
            await storage.say(running, word)
            await storage.published.until_said(running.claim, word)
        assert proxy.lost == 3
        assert await self.in_order(storage, running) == ["TextDelta"] * 3

    async def test_to_a_read_is_not_noticed(self, storage: Storage, proxy: ReplySwallower) -> None:
        await storage.new_session("marked-session")
        proxy.lose_reply_to(b"marked-session")
        assert (await storage.reads.session(OWNER, "marked-session")).session.id == "marked-session"
        assert proxy.lost == 1
