"""What the rows about crowds need: one server that is watched from outside, on a database of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import grpc
import psutil

from devtools.local_postgres import LocalPostgres, local_postgres
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import Reply, ScriptedModel, scripted_model_process
from tests.faults.crowd.running import Crowd, crowd_at
from tests.support.runtime_client import RuntimeClient
from tests.support.unlimited import UNLIMITED

# A crowd is one owner here: what an owner may do is not what these rows are about, so it may do anything.
OWNER = "crowd"
_CREATED_AT_ONCE = 40
_FREED_SECONDS = 60.0
_HELD = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'agent-runtime' AND clock_timestamp() - xact_start > interval '1 second'
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the server holds: resident megabytes, files, and its CPU seconds so far."""

    megabytes: float
    files: int
    cpu: float


class Stage:
    """The server, the model, a crowd and a client of the same owner."""

    def __init__(
        self,
        runtime: RuntimeProcess,
        model: ScriptedModel,
        crowd: Crowd,
        channel: grpc.aio.Channel,
        postgres: LocalPostgres,
    ) -> None:
        self.address = runtime.address
        self._runtime = runtime
        self._process = psutil.Process(runtime.pid)
        self._postgres = postgres
        self._ended = 0
        self._read = 0
        self.errors = 0
        self.model = model
        self.crowd = crowd
        self.channel = channel
        self.client = RuntimeClient(channel, OWNER)

    def usage(self) -> Usage:
        """Now."""
        with self._process.oneshot():
            times = self._process.cpu_times()
            megabytes = self._process.memory_info().rss / 1e6
            return Usage(megabytes, self._process.num_fds(), times.user + times.system)

    async def sessions(self, count: int) -> list[str]:
        """The ids of so many new sessions."""
        made: list[str] = []
        for start in range(0, count, _CREATED_AT_ONCE):
            batch = (self.client.new_session(agent="universal") for _ in range(min(_CREATED_AT_ONCE, count - start)))
            made += [session.id for session in await asyncio.gather(*batch)]
        return made

    async def held(self, seconds: float) -> int:
        """How many database connections were held for longer than a second, at most, in that time."""
        connection = await asyncpg.connect(self._postgres.url)
        try:
            ends_at = time.monotonic() + seconds
            most = 0
            while time.monotonic() < ends_at:
                most = max(most, await connection.fetchval(_HELD))
                await asyncio.sleep(0.1)
            return most
        finally:
            await connection.close()

    async def connections(self) -> int:
        """How many database connections the server has."""
        return await self._ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'agent-runtime'")

    async def watched(self) -> int:
        """How many sessions the server has registered as watched, which it does for streams of more than a second."""
        return await self._ask("SELECT count(*) FROM session_watches")

    async def _ask(self, question: str) -> int:
        connection = await asyncpg.connect(self._postgres.url)
        try:
            return int(await connection.fetchval(question))
        finally:
            await connection.close()

    def watches_ended(self) -> int:
        """How many handlers of streams have come to their end, by the server's log; counts its `errors`, too."""
        with self._runtime.log.open("rb") as log:
            log.seek(self._read)
            for line in log:
                if line.endswith(b"\n"):
                    self._read += len(line)
                    self._ended += b'"rpc"' in line and b"/WatchSession" in line
                    self.errors += b'"level":"error"' in line or b"Traceback" in line
        return self._ended

    async def freed(self, streams: int, files: int) -> float | None:
        """The seconds until so many watches have ended and no more files are open; None when they never do."""
        began = time.monotonic()
        while time.monotonic() < began + _FREED_SECONDS:
            if self.watches_ended() >= streams and self.usage().files <= files + 2:
                return time.monotonic() - began
            await asyncio.sleep(0.05)
        return None


@asynccontextmanager
async def stage(*script: Reply, settings: Mapping[str, str] | None = None) -> AsyncIterator[Stage]:
    """All of it, gone at the end."""
    async with (
        local_postgres() as postgres,
        scripted_model_process(*script) as model,
        RuntimeProcess(postgres.url, model.url, {**UNLIMITED, **(settings or {})}) as runtime,
        crowd_at(runtime.address) as crowd,
        grpc.aio.insecure_channel(runtime.address) as channel,
    ):
        yield Stage(runtime, model, crowd, channel, postgres)
