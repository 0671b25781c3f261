"""What is stored of a session: its log as every replica tells it, and the rows of the log as the database has them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import asyncpg
import grpc

from tests.faults.harness.caller import Caller, Network
from tests.support.runtime_client import Event

_ROWS = """
SELECT e.sequence, e.writer_epoch, e.writer_position FROM session_events e JOIN sessions s USING (session_key)
WHERE s.owner_id = $1 AND s.session_id = $2 ORDER BY e.sequence
"""
_HEAD = """
SELECT h.last_sequence FROM session_heads h JOIN sessions s USING (session_key)
WHERE s.owner_id = $1 AND s.session_id = $2
"""
_PATIENCE = 60.0
_ONE_LOG = 15.0
_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the log. Owners write under an epoch at a position in it, commands under neither."""

    sequence: int
    epoch: int | None
    position: int | None


@dataclass(frozen=True, slots=True)
class Stored:
    """`logs` are the events by the name of the replica that told them, `rows` what the database holds."""

    logs: dict[str, list[Event]]
    rows: list[Row]
    last_sequence: int

    @property
    def events(self) -> list[Event]:
        """The log; that all replicas tell the same one is for the judge to say."""
        return next(iter(self.logs.values()))


async def read_stored(net: Network, caller: Caller, database_url: str, session_id: str) -> Stored:
    """Everything stored of a session at rest, told by every replica that answers, of which there must be one.

    Raises TimeoutError when replicas or database stay away.
    """
    async with asyncio.timeout(_PATIENCE):
        while True:
            try:
                logs = await _logs(net, caller, session_id)
                if logs:
                    return Stored(logs, *await _rows(database_url, caller.owner, session_id))
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pass
            await asyncio.sleep(_PAUSE)


async def _logs(net: Network, caller: Caller, session_id: str) -> dict[str, list[Event]]:
    logs = {}
    for name in net.names:
        try:
            async with asyncio.timeout(_ONE_LOG):
                logs[name] = await caller.at(name).log(session_id)
        except (grpc.aio.AioRpcError, TimeoutError):
            continue  # a replica that is down says nothing
    return logs


async def _rows(database_url: str, owner: str, session_id: str) -> tuple[list[Row], int]:
    connection = await asyncpg.connect(database_url)
    try:
        rows = [Row(*row) for row in await connection.fetch(_ROWS, owner, session_id)]
        return rows, await connection.fetchval(_HEAD, owner, session_id)
    finally:
        await connection.close()
