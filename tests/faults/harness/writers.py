"""Writers that note what was acknowledged, so that it can be looked for after the database was away."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field

import asyncpg
import grpc

from tests.faults.harness.caller import Caller, Network, RefusedError

_OWNER = "writers"
_CREATED = "SELECT session_id FROM sessions WHERE owner_id = $1"
_ONE_CALL = 6.0
_PAUSE = 0.3


@dataclass
class Writers:
    """So many tasks that create sessions, one after the other. `acknowledged` are their ids and when each was."""

    net: Network
    count: int
    acknowledged: dict[str, float] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """Begins to write."""
        self._tasks = [asyncio.create_task(self._write(number)) for number in range(self.count)]

    async def stop(self) -> None:
        """Ends it at once: what was not acknowledged by now does not count."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def first_after(self, moment: float) -> float:
        """Seconds from a moment (of `time.time`) to the first acknowledgement of a call made after it."""
        return min((at for at in self.acknowledged.values() if at > moment), default=moment + 99) - moment

    async def lost(self, database_url: str) -> set[str]:
        """The acknowledged ids that the database does not have."""
        connection = await asyncpg.connect(database_url)
        try:
            created = {row["session_id"] for row in await connection.fetch(_CREATED, _OWNER)}
        finally:
            await connection.close()
        return set(self.acknowledged) - created

    async def _write(self, number: int) -> None:
        caller = Caller(self.net, _OWNER, first=number)
        while True:
            session_id = uuid.uuid4().hex
            _, client = caller.next()
            try:
                async with asyncio.timeout(_ONE_CALL):
                    await client.new_session(session_id=session_id)
                self.acknowledged[session_id] = time.time()
            except grpc.aio.AioRpcError as error:
                try:
                    caller.note(error)
                except RefusedError as refused:
                    self.complaints.append(f"a writer was told {refused}")
            except TimeoutError:
                self.net.statuses["no answer"] += 1
            await asyncio.sleep(_PAUSE)
