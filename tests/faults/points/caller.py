"""A client that does what clients are asked to: repeats with the same request id, goes on after its cursor.

What it saw and was told is the evidence that the judge looks at.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import grpc

from tests.faults.points.deployment import Deployment
from tests.support.runtime_client import Event, RuntimeClient, refusal_of

T = TypeVar("T")

PATIENCE = 40.0
_PAUSE = 0.05
# What a call ends with while servers come and go.
_COME_BACK = (grpc.StatusCode.UNAVAILABLE,)


class StreamMovedError(Exception):
    """The server asks to go on elsewhere."""


class Caller:
    """One owner of one session. `copies` is how many times every mutating call is sent at once."""

    def __init__(self, deployment: Deployment, owner: str, *, copies: int = 1, forgives: bool = False) -> None:
        self.owner = owner
        self.seen: dict[int, Event] = {}
        self.complaints: list[str] = []
        self.sent: set[str] = set()
        self.executed: list[str] = []
        self.last_first = False  # whether to turn to the last server first
        self._deployment = deployment
        self._copies = copies
        self._forgives = forgives
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def call(self, rpc: Callable[[RuntimeClient], Awaitable[T]]) -> T:
        """One call that changes something, until it is answered; every copy must be answered alike."""
        answers = await asyncio.gather(*(self._persistently(rpc) for _ in range(self._copies)))
        if any(answer != answers[0] for answer in answers):
            self.complaints.append(f"copies of one request were answered differently: {answers[:2]}")
        return answers[0]

    async def read(self, rpc: Callable[[RuntimeClient], Awaitable[T]]) -> T:
        """One call that changes nothing, until it is answered."""
        return await self._persistently(rpc)

    async def send(self, session_id: str, request_id: str, **fields: Any) -> list[Event]:
        """One input and all events of its stream."""
        copies = (self.send_until(session_id, request_id, lambda _: False, **fields) for _ in range(self._copies))
        streams = await asyncio.gather(*copies)
        if any(stream != streams[0] for stream in streams):
            self.complaints.append("copies of one input were streamed differently")
        return streams[0]

    async def send_until(
        self, session_id: str, request_id: str, done: Callable[[list[Event]], bool], **fields: Any
    ) -> list[Event]:
        """One input and the events of its stream up to the one that makes `done` true of them; then it hangs up."""
        cursor: dict[int, Event] = {}

        async def until(client: RuntimeClient) -> list[Event]:
            return await self._stream(client, session_id, request_id, fields, cursor, done)

        return await self._persistently(until)

    async def follow(self, session_id: str, done: Callable[[list[Event]], bool]) -> None:
        """Watches the session from its start at the server that callers turn to last, until `done` is true of it."""
        got: dict[int, Event] = {}

        async def until(client: RuntimeClient) -> None:
            stream = client.watch(session_id, after_sequence=max(got, default=0))
            try:
                async for item in stream:
                    if item.HasField("drain"):
                        raise StreamMovedError
                    if item.HasField("event"):
                        self._record(item.event)
                        got[item.event.sequence] = item.event
                        if done(list(got.values())):
                            return
            finally:
                stream.cancel()

        await self._persistently(until, last_first=True)
        if sorted(got) != list(range(1, len(got) + 1)):
            self.complaints.append(f"G2: a watcher saw {sorted(got)}")

    async def log(self, session_id: str) -> tuple[list[Event], int]:
        """The session's log as it is stored now and the number it was cleared through; what is shown counts as seen."""
        events, cleared = await self.read(lambda client: _log(client, session_id))
        for event in events:
            self._record(event)
        return events, cleared

    async def _stream(
        self,
        client: RuntimeClient,
        session_id: str,
        request_id: str,
        fields: dict[str, Any],
        got: dict[int, Event],
        done: Callable[[list[Event]], bool],
    ) -> list[Event]:
        again = {"after_sequence": max(got)} if got else {}
        stream = client.send_input(session_id, request_id=request_id, **fields, **again)
        try:
            async for item in stream:
                if item.HasField("drain"):
                    raise StreamMovedError
                if not item.HasField("event"):
                    self.complaints.append(f"an input's stream said {item.WhichOneof('item')}")
                    continue
                self._record(item.event)
                got[item.event.sequence] = item.event
                self.sent.add(request_id)
                if done(list(got.values())):
                    break
        finally:
            stream.cancel()
        return [got[number] for number in sorted(got)]

    def saw(self, events: list[Event]) -> None:
        """Takes note of events that were seen in some other way."""
        for event in events:
            self._record(event)

    def _record(self, event: Event) -> None:
        earlier = self.seen.setdefault(event.sequence, event)
        if earlier != event:
            self.complaints.append(f"number {event.sequence} was shown as two events")

    async def _persistently(self, rpc: Callable[[RuntimeClient], Awaitable[T]], *, last_first: bool = False) -> T:
        backwards = last_first or self.last_first
        loop = asyncio.get_running_loop()
        give_up, last = loop.time() + PATIENCE, ""
        while loop.time() < give_up:
            addresses = self._deployment.addresses()
            for address in reversed(addresses) if backwards else addresses:
                try:
                    async with asyncio.timeout(give_up - loop.time()):
                        return await rpc(self._client(address))
                except StreamMovedError:
                    last = "a drain"
                except grpc.aio.AioRpcError as error:
                    last = f"{error.code().name} {refusal_of(error).reason}: {error.details()}"
                    if not self._comes_back(error):
                        raise
            await asyncio.sleep(_PAUSE)
        raise TimeoutError(f"no answer within {PATIENCE:g} s; the last was {last}")

    def _comes_back(self, error: grpc.aio.AioRpcError) -> bool:
        return error.code() in _COME_BACK or (self._forgives and error.code() is grpc.StatusCode.INTERNAL)

    def _client(self, address: str) -> RuntimeClient:
        if address not in self._channels:
            self._channels[address] = grpc.aio.insecure_channel(address)
        return RuntimeClient(self._channels[address], self.owner)

    async def close(self) -> None:
        """Gives the connections back."""
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))


async def _log(client: RuntimeClient, session_id: str) -> tuple[list[Event], int]:
    events: list[Event] = []
    cleared = 0
    async for item in client.watch(session_id, after_sequence=0, stop_at_head=True):
        if item.HasField("event"):
            events.append(item.event)
        elif item.HasField("gap"):
            cleared = item.gap.to_sequence
    return events, cleared


@asynccontextmanager
async def calling(deployment: Deployment, owner: str, **options: Any) -> AsyncIterator[Caller]:
    """A caller, closed at the end."""
    caller = Caller(deployment, owner, **options)
    try:
        yield caller
    finally:
        await caller.close()
