"""A second client, which sees the whole session from its first event on, whatever breaks meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from types import TracebackType

from agent_runtime.v1.session_event_pb2 import SessionEvent
from client.runtime_client import RuntimeClient

_PATIENCE_SECONDS = 15.0


class Watcher:
    """Watches from 0 while the context is open; `events` holds what it was shown, in the order it came."""

    def __init__(self, client: RuntimeClient, session_id: str) -> None:
        self.events: list[SessionEvent] = []
        self._client = client
        self._session_id = session_id
        self._grown = asyncio.Condition()
        self._watching: asyncio.Task[None] | None = None

    async def reached(self, sequence: int) -> None:
        """Returns when it has seen this number. Raises TimeoutError after 15 s."""
        async with asyncio.timeout(_PATIENCE_SECONDS), self._grown:
            await self._grown.wait_for(lambda: self.events and self.events[-1].sequence >= sequence)

    async def __aenter__(self) -> Watcher:
        self._watching = asyncio.create_task(self._watch(), name="watcher")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._watching is not None
        self._watching.cancel()
        # What it failed with shows in what it has not seen.
        await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch(self) -> None:
        async with aclosing(self._client.watch(self._session_id, after_sequence=0)) as items:
            async for item in items:
                if isinstance(item, SessionEvent):
                    async with self._grown:
                        self.events.append(item)
                        self._grown.notify_all()
