"""Hints over PostgreSQL's LISTEN and NOTIFY, on one connection of their own that no pooler may stand in front of."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import asyncpg

from services.application.ports import Growth, Incarnation
from services.infrastructure.notify.messages import channel_of, read
from services.infrastructure.notify.outgoing import Outgoing

logger = logging.getLogger(__name__)

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 10.0
_NAME_CHECK = 1.0  # seconds between looks at whether this process has a new incarnation

Hear = Callable[[Sequence[Growth] | None], None]


class PostgresWakeUps:
    """The `WakeUps` of replicas on one PostgreSQL. `run` must be running; `hear` gets what the others tell.

    While the connection is away nothing is sent or heard, and what waits is dropped: hints age quickly.
    """

    def __init__(self, url: str, incarnation: Incarnation, hear: Hear) -> None:
        self._url = url
        self._incarnation = incarnation
        self._hear = hear
        self._outgoing = Outgoing()

    def tell(self, incarnations: Sequence[str], growth: Growth) -> None:
        self._outgoing.add(incarnations, growth)

    async def run(self) -> None:
        """Sends and listens for ever, over a new connection whenever the old one is lost."""
        delay = _FIRST_DELAY
        while True:
            try:
                connection = await asyncpg.connect(self._url, timeout=3, command_timeout=5)
                delay = _FIRST_DELAY
                await self._serve(connection)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                logger.warning("replicas cannot wake each other, will try again: %s", type(error).__name__)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)

    async def _serve(self, connection: asyncpg.Connection) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(connection))
                tasks.create_task(self._send(connection))
        except* (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as group:
            raise group.exceptions[0] from None
        finally:
            connection.terminate()

    async def _listen(self, connection: asyncpg.Connection) -> None:
        """Follows the name of this process; hints that came before it listened are made good by looking once."""
        heard_as = ""
        while True:
            if connection.is_closed():
                raise asyncpg.InterfaceError("the connection is closed")
            if heard_as != self._incarnation.name:
                heard_as = self._incarnation.name
                await connection.add_listener(channel_of(heard_as), self._heard)
                self._hear(None)
            await asyncio.sleep(_NAME_CHECK)

    async def _send(self, connection: asyncpg.Connection) -> None:
        while True:
            for channel, payload in await self._outgoing.next():
                await connection.execute("SELECT pg_notify($1, $2)", channel, payload)

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._hear(read(str(payload)))
