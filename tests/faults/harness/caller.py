"""A client's way to the replicas: through a list, one after the other, as long as it takes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import grpc

from tests.faults.harness.replicas import Replica
from tests.support.runtime_client import RuntimeClient, refusal_of

T = TypeVar("T")

# Longer than any takeover that may pass: who finds no replica for so long has lost the session.
PATIENCE = 40.0
_UNARY_TIMEOUT = 6.0
_PAUSE = 0.05
_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 300),
    ("grpc.use_local_subchannel_pool", 1),
)
# What may be tried again: the replica or the database has gone away, or the answer did not come.
_PASSING = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


class LostSessionError(Exception):
    """A session could not be used for longer than any takeover takes."""


class RefusedError(Exception):
    """A call was refused for a reason that no fault excuses."""


@dataclass
class Network:
    """The channels to all replicas, and the statuses that calls over them ended with."""

    channels: dict[str, grpc.aio.Channel]
    statuses: Counter[str] = field(default_factory=Counter)

    @property
    def names(self) -> list[str]:
        """The replicas, in their order."""
        return list(self.channels)


@asynccontextmanager
async def network(replicas: Sequence[Replica]) -> AsyncIterator[Network]:
    """Channels to these replicas, closed at the end."""
    async with AsyncExitStack() as stack:
        channels = {}
        for replica in replicas:
            channel = grpc.aio.insecure_channel(replica.address, options=_OPTIONS)
            channels[replica.name] = await stack.enter_async_context(channel)
        yield Network(channels)


class Caller:
    """One owner's calls. Each goes to the next replica of the list, and to the one after if it fails in passing."""

    def __init__(self, net: Network, owner: str, first: int = 0) -> None:
        self.owner = owner
        self._net = net
        self._clients = {name: RuntimeClient(channel, owner) for name, channel in net.channels.items()}
        self._turn = first

    def next(self) -> tuple[str, RuntimeClient]:
        """The replica whose turn it is, and a client of it."""
        self._turn += 1
        name = self._net.names[self._turn % len(self._net.names)]
        return name, self._clients[name]

    def at(self, name: str) -> RuntimeClient:
        """A client of one replica."""
        return self._clients[name]

    def note(self, error: grpc.aio.AioRpcError) -> None:
        """Counts the status; raises RefusedError unless another try may help."""
        refusal = refusal_of(error)
        self._net.statuses[refusal.code.name] += 1
        if refusal.code not in _PASSING:
            raise RefusedError(f"{refusal.code.name} {refusal.reason}: {refusal.message}")

    async def call(self, work: Callable[[RuntimeClient], Awaitable[T]]) -> T:
        """What the work returns, tried on one replica after the other.

        Raises RefusedError, and LostSessionError when none answers in time.
        """
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            _, client = self.next()
            try:
                async with asyncio.timeout(_UNARY_TIMEOUT):
                    return await work(client)
            except grpc.aio.AioRpcError as error:
                self.note(error)
            except TimeoutError:
                self._net.statuses["no answer"] += 1
            await asyncio.sleep(_PAUSE)
        raise LostSessionError(f"no replica answered for {PATIENCE:.0f} s")
