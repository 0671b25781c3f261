"""Crowds of turns: many at once, their tokens counted as they come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc

from services.domain.ids import new_id
from tests.bench.targets import Target

_RETRY_DELAY = 0.3


@dataclass(slots=True)
class Crowd:
    """Turns at one target, one for each session: how many have begun to speak, and what has come of them so far.

    `refused` counts what a server did not get done in time, as happens on a busy machine; it is asked again.
    """

    target: Target
    speaking: int = 0
    tokens: int = 0
    messages: int = 0
    refused: int = 0
    turns: dict[str, asyncio.Task[float]] = field(default_factory=dict)

    def join(self, session: str, words: str) -> asyncio.Task[float]:
        """One more turn; its result is the time from sending to its first token, known once the turn has ended."""
        turn = self.turns[session] = asyncio.create_task(self._turn(session, words))
        return turn

    async def stop(self, sessions: Sequence[str]) -> None:
        """Ends the turns of these sessions, here and at the target."""
        for session in sessions:
            self.turns.pop(session).cancel()
        for session in sessions:
            await self.target.stop(session)

    async def join_over(self, seconds: float, sessions: Sequence[str], words: str) -> None:
        """One more turn for each session, evenly over this time, so that their tokens come at different moments."""
        started = time.monotonic()
        for position, session in enumerate(sessions):
            await asyncio.sleep(started + seconds * position / len(sessions) - time.monotonic())
            self.join(session, words)

    async def all_speaking(self) -> None:
        """Returns once every turn so far has said something. Raises what one of them failed with, or TimeoutError after
        half a minute.
        """
        async with asyncio.timeout(30):
            while self.speaking < len(self.turns):
                for turn in self.turns.values():
                    if turn.done():
                        turn.result()
                await asyncio.sleep(0.05)

    async def _turn(self, session: str, words: str) -> float:
        sent, request_id = time.perf_counter(), new_id("request")
        while True:
            try:
                return await self._first_token(session, words, request_id) - sent
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
            self.refused += 1
            await asyncio.sleep(_RETRY_DELAY)

    async def _first_token(self, session: str, words: str, request_id: str) -> float:
        """Hears a whole turn; the time of its first token."""
        first = 0.0
        async for data in self.target.turn(session, words, request_id):
            self.messages += 1
            self.tokens += (tokens := self.target.tokens(data))
            if tokens and not first:
                first = time.perf_counter()
                self.speaking += 1
        if not first:
            raise RuntimeError(f"{self.target.name}: a turn ended without a word")
        return first


@asynccontextmanager
async def crowd(target: Target) -> AsyncIterator[Crowd]:
    """An empty crowd; leaving waits for its turns, of which the first failure is raised."""
    turns = Crowd(target)
    try:
        yield turns
        await asyncio.gather(*turns.turns.values())
    finally:
        for turn in turns.turns.values():
            turn.cancel()
        await asyncio.gather(*turns.turns.values(), return_exceptions=True)
