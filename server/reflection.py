"""Reflection that does not keep a stopping process waiting for a client that says nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from server.drain_signal import DrainSignal


def add_reflection(server: grpc.aio.Server, services: Sequence[str], drain: DrainSignal) -> None:
    """Lets the server describe these services, by full name. Its streams end in order when the signal is given."""
    servicer = _EndingReflection(services, drain)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]


class _EndingReflection(reflection.aio.ReflectionServicer):
    def __init__(self, services: Sequence[str], drain: DrainSignal) -> None:
        super().__init__(services)
        self._drain = drain

    # The generated types know neither that it is a generator nor what it is given.
    async def ServerReflectionInfo(  # type: ignore[override]
        self, request_iterator: AsyncIterable[Any], context: Any
    ) -> AsyncIterator[Any]:
        answers: Any = super().ServerReflectionInfo(_until(self._drain, request_iterator), context)
        async for answer in answers:
            yield answer


async def _until(drain: DrainSignal, requests: AsyncIterable[Any]) -> AsyncIterator[Any]:
    """The requests up to the signal: as if the client had said that there are no more."""
    draining = asyncio.ensure_future(drain.wait())
    iterator = aiter(requests)
    try:
        while True:
            reading = asyncio.ensure_future(anext(iterator, None))
            try:
                await asyncio.wait({reading, draining}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                reading.cancel()  # without effect on one that is done
            if not reading.done() or (request := reading.result()) is None:
                return
            yield request
    finally:
        draining.cancel()
