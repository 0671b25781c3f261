"""What only the embedded database can show: one process per file, one writer in it, and a disk that fills up.

PostgreSQL has no lock file (replicas share it), no writer thread of ours, and no `max_page_count` to fill it by.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection

from services.application.ports import Incarnation, OrphanedSession
from services.domain.errors import DatabaseUnavailableError, StorageFullError
from services.domain.session_change import Removal, SessionChange
from services.domain.session_events import MessagesCleared
from services.infrastructure.persistence.leases import SqlLeases
from services.infrastructure.persistence.lock_file import DatabaseInUseError, LockFile
from services.infrastructure.persistence.migrate import migrate
from services.infrastructure.persistence.open import open_database, ping
from services.infrastructure.persistence.sqlite import SqliteDatabase
from tests.support.storage import OWNER, Storage, note, sequences
from tests.support.waiting import eventually

_HOLD = """
import sys
from pathlib import Path
from services.infrastructure.persistence.lock_file import LockFile
with LockFile(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


class TestTheLockFile:
    def test_refuses_a_second_holder_until_the_first_is_gone(self, tmp_path: Path) -> None:
        path = tmp_path / "runtime.db"
        with LockFile(path), pytest.raises(DatabaseInUseError, match=r"runtime\.db\.lock"), LockFile(path):
            pass
        with LockFile(path):
            pass

    def test_lets_files_in_other_places_be(self, tmp_path: Path) -> None:
        with LockFile(tmp_path / "one.db"), LockFile(tmp_path / "two.db"):
            pass

    def test_is_dropped_by_the_operating_system_when_its_holder_is_killed(self, tmp_path: Path) -> None:
        path = tmp_path / "runtime.db"
        with subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(DatabaseInUseError), LockFile(path):
                pass
            holder.kill()
            holder.wait()
            with LockFile(path):
                pass

    async def test_keeps_a_second_server_out_of_an_open_database(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'runtime.db'}"
        async with open_database(url) as database:
            with pytest.raises(DatabaseInUseError):
                async with open_database(url):
                    pass
            await migrate(database)
            await ping(database)
        async with open_database(url) as database:
            await ping(database)


class TestTheLeaseOfAnEmbeddedServer:
    """It lasts as long as the file's lock: nobody else can be alive, and an idle server should not write."""

    async def test_needs_no_renewal(self, sqlite_storage: Storage) -> None:
        leases = SqlLeases(sqlite_storage.database, sole=True)
        await leases.register(sqlite_storage.incarnation.name, seconds=0)
        running = await sqlite_storage.start_in_new_session()
        [head] = await leases.renew(sqlite_storage.incarnation.name, seconds=0) or []
        assert head.claim == running.claim
        assert await leases.orphans(10) == []

    async def test_voids_every_earlier_one_at_once(self, sqlite_storage: Storage) -> None:
        leases = SqlLeases(sqlite_storage.database, sole=True)
        await leases.register(sqlite_storage.incarnation.name, seconds=60)
        await sqlite_storage.start_in_new_session()
        await leases.register(Incarnation().name, seconds=60)
        assert await leases.orphans(10) == [OrphanedSession(OWNER, "s1")]


async def test_twenty_tasks_that_read_and_write_lose_no_update(sqlite_storage: Storage) -> None:
    for n in range(4):
        await sqlite_storage.new_session(f"s{n}")

    def count(change: SessionChange) -> None:
        note(change)
        change.session = replace(change.session, title=str(int(change.session.title or 0) + 1))

    async def work(worker: int) -> None:
        for step in range(20):
            await sqlite_storage.change(count, f"s{(worker + step) % 4}")

    await asyncio.gather(*(work(worker) for worker in range(20)))
    for n in range(4):
        view = await sqlite_storage.reads.session(OWNER, f"s{n}")
        assert (view.session.title, view.last_sequence) == ("100", 100)


async def test_readers_do_not_wait_for_the_writer(sqlite_storage: Storage) -> None:
    await sqlite_storage.new_session()
    loop, reading = asyncio.get_running_loop(), sqlite_storage.reads

    def decide(change: SessionChange) -> None:
        note(change)
        seen = asyncio.run_coroutine_threadsafe(reading.session(OWNER, "s1"), loop).result(timeout=5)
        assert seen.last_sequence == 0  # in the middle of the write, readers see what was before it

    await sqlite_storage.change(decide)
    assert (await reading.session(OWNER, "s1")).last_sequence == 1


async def test_a_commit_is_on_the_disk_when_it_returns(sqlite_storage: Storage) -> None:
    def settings(connection: Connection) -> list[object]:
        return [
            connection.exec_driver_sql("PRAGMA journal_mode").scalar_one(),
            connection.exec_driver_sql("PRAGMA synchronous").scalar_one(),
            connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one(),
        ]

    full = 2
    assert await sqlite_storage.database.write(settings, repeatable=True) == ["wal", full, 1]


class TestAFullDisk:
    @pytest.fixture
    async def full(self, sqlite_storage: Storage) -> Storage:
        """A session with content, on a disk that has no page left."""
        running = await sqlite_storage.start_in_new_session()
        await sqlite_storage.say(running, "x" * 500_000)
        await sqlite_storage.answer(running, "x" * 500_000)
        await self.limit_pages(sqlite_storage, 1)  # no less than there are: SQLite rounds up to those
        return sqlite_storage

    async def limit_pages(self, storage: Storage, pages: int) -> None:
        def unit(connection: Connection) -> None:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        await storage.database.write(unit, repeatable=True)

    async def heal(self, storage: Storage) -> None:
        await self.limit_pages(storage, 2**30)

    async def fill(self, storage: Storage, session_id: str = "s1") -> None:
        def decide(change: SessionChange) -> None:
            note(change, "y" * 2_000_000)

        await storage.change(decide, session_id)

    async def test_refuses_a_change_as_a_whole(self, full: Storage) -> None:
        before = await full.reads.session(OWNER, "s1")
        with pytest.raises(StorageFullError):
            await self.fill(full)
        assert await full.reads.session(OWNER, "s1") == before

    async def test_still_reads_and_still_clears(self, full: Storage) -> None:
        with pytest.raises(StorageFullError):
            await self.fill(full)
        key = (await full.reads.locate(OWNER, "s1")).session_key
        assert len(await full.history(key)) == 2
        assert await full.events(key)

        def clear(change: SessionChange) -> None:
            change.removal = Removal.MESSAGES
            change.append(MessagesCleared(change.session.message_count))

        await full.change(clear)
        assert await full.history(key) == []

    async def test_heals_without_a_restart(self, full: Storage) -> None:
        with pytest.raises(StorageFullError):
            await self.fill(full)
        await self.heal(full)
        await self.fill(full)
        integrity = await full.database.read(lambda c: c.exec_driver_sql("PRAGMA integrity_check").scalar_one())
        assert integrity == "ok"

    async def test_loses_no_delta_that_waits_for_it(self, full: Storage, caplog: pytest.LogCaptureFixture) -> None:
        await self.heal(full)
        running = await full.start()
        await self.limit_pages(full, 1)
        said = "z" * 600_000
        await full.say(running, said)
        await eventually(lambda: "STORAGE_FULL" in caplog.text)
        await self.heal(full)
        await full.published.until_said(running.claim, said)
        events = await full.events(running.claim.session_key)
        assert sequences(events) == list(range(1, len(events) + 1))


async def test_a_file_that_cannot_be_opened_is_an_unavailable_database(tmp_path: Path) -> None:
    (tmp_path / "directory.db").mkdir()
    database = SqliteDatabase(tmp_path / "directory.db")
    with pytest.raises(DatabaseUnavailableError):
        await ping(database)
    await database.close()
