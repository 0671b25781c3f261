"""A composition root of a few lines, for the tests of the command that runs it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from google.protobuf.wrappers_pb2 import StringValue

from server.authentication.selection import authenticator_for
from server.config import Settings
from server.drain_signal import DrainSignal
from server.interceptors.chain import build_chain
from server.interceptors.deadline import Deadline
from server.lifecycle import RuntimeServer, stop_signals
from server.startup_error import StartupError
from services.infrastructure.circuits import ProcessCircuits
from tests.rpc.edge.edge_server import SERVICE, service


async def run(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serves one stream that ends when asked to; HANG_AT_THE_END makes it a process that cannot stop."""
    stop = stop_signals(settings)
    drain, deadline = DrainSignal(), Deadline(settings.unary_timeout)
    chain = build_chain(
        authenticator=authenticator_for(settings), drain=drain, deadline=deadline, circuits=ProcessCircuits()
    )
    server = RuntimeServer(settings, interceptor=chain, drain=drain, deadline=deadline)

    async def watch(request: StringValue, context: Any) -> None:
        await context.accept()
        await drain.wait()
        await context.write(StringValue(value="drain"))

    server.grpc.add_generic_rpc_handlers([service(SERVICE, {}, {"Watch": watch})])
    address = await server.start([SERVICE])
    server.health.report(serving=True)
    ready(address)
    await server.serve_until(stop)
    if "HANG_AT_THE_END" in os.environ:
        await asyncio.Event().wait()


async def migrate(settings: Settings) -> None:
    """Refuses, to show what the command makes of it."""
    raise StartupError(f"cannot migrate {settings.database_kind}")
