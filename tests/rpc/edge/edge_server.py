"""A real gRPC server with the real chain and whatever handlers a test needs; no test depends on the contract."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue

from server.authentication.development import DevelopmentAuthenticator
from server.drain_signal import DrainSignal
from server.grpc_options import server_options
from server.interceptors.chain import build_chain
from server.interceptors.deadline import Deadline
from server.setting_groups import ConcurrencySettings, Sizes
from server.telemetry.logs import configure_logging
from services.application.ports import Authenticator
from services.infrastructure.circuits import ProcessCircuits
from tests.support.leaks import no_task_left
from tests.support.logging_state import kept_logging

SERVICE = "test.v1.EdgeService"
OPERATIONS = "agent_runtime.v1.OperationsService"

# `async def handler(request: StringValue, context) -> StringValue`, or a stream that writes to the context.
Handler = Callable[[Any, Any], Any]


def service(
    name: str, unary: Mapping[str, Handler] = {}, streams: Mapping[str, Handler] = {}
) -> grpc.GenericRpcHandler:
    """A service whose messages are all StringValue."""
    codec: dict[str, Any] = {
        "request_deserializer": StringValue.FromString,
        "response_serializer": StringValue.SerializeToString,
    }
    methods: dict[str, Any] = {
        method: grpc.unary_unary_rpc_method_handler(handler, **codec) for method, handler in unary.items()
    }
    methods |= {method: grpc.unary_stream_rpc_method_handler(handler, **codec) for method, handler in streams.items()}
    return grpc.method_handlers_generic_handler(name, methods)


@dataclass
class Edge:
    """What a test sees: a channel, the log, and the parts a stopping process would use."""

    address: str
    channel: grpc.aio.Channel
    drain: DrainSignal
    deadline: Deadline
    log: io.StringIO = field(default_factory=io.StringIO)

    def unary(
        self,
        method: str,
        text: str | bytes = "",
        *,
        metadata: tuple[tuple[str, str | bytes], ...] = (),
        timeout: float | None = None,
        service: str = SERVICE,
    ) -> grpc.aio.UnaryUnaryCall[Any, Any]:
        """Starts a call; bytes go out as they are."""
        return self.channel.unary_unary(
            f"/{service}/{method}", request_serializer=_encoded, response_deserializer=StringValue.FromString
        )(text, metadata=metadata, timeout=timeout)

    def stream(
        self,
        method: str,
        text: str | bytes = "",
        *,
        metadata: tuple[tuple[str, str | bytes], ...] = (),
        timeout: float | None = None,
    ) -> grpc.aio.UnaryStreamCall[Any, Any]:
        """Starts a call; bytes go out as they are."""
        return self.channel.unary_stream(
            f"/{SERVICE}/{method}", request_serializer=_encoded, response_deserializer=StringValue.FromString
        )(text, metadata=metadata, timeout=timeout)

    def log_lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """The records logged so far; each line must be JSON."""
        records = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [record for record in records if event in (None, record["event"])]

    async def access_lines(self, number: int) -> list[dict[str, Any]]:
        """The lines about calls, once there are so many: a caller knows of an error before the log does."""
        await eventually(lambda: len(self.log_lines("rpc")) >= number)
        return self.log_lines("rpc")


@asynccontextmanager
async def running_edge(
    *,
    unary: Mapping[str, Handler] = {},
    streams: Mapping[str, Handler] = {},
    operations: Mapping[str, Handler] = {},
    authenticator: Authenticator | None = None,
    unary_timeout: float = 30.0,
    concurrency: ConcurrencySettings = ConcurrencySettings(),  # noqa: B008 - frozen
) -> AsyncIterator[Edge]:
    """Serves on a free port of 127.0.0.1 until the block ends; logs go to `Edge.log`."""
    drain, deadline = DrainSignal(), Deadline(unary_timeout)
    chain = build_chain(
        authenticator=authenticator or DevelopmentAuthenticator(),
        drain=drain,
        deadline=deadline,
        circuits=ProcessCircuits(),
        concurrency=concurrency,
    )
    server = grpc.aio.server(interceptors=[chain], options=server_options(Sizes().grpc_message))
    server.add_generic_rpc_handlers([service(SERVICE, unary, streams), service(OPERATIONS, operations)])
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    with kept_logging():
        async with (
            no_task_left(),
            grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel,
        ):
            edge = Edge(address, channel, drain, deadline)
            configure_logging(level="INFO", stream=edge.log)
            await server.start()
            try:
                yield edge
            finally:
                await channel.close()
                await server.stop(0)
                await deadline.finish(within=1.0)


async def next_value(call: Any) -> str:
    """The text of the next message of a stream; fails at its end."""
    message = await call.read()
    assert isinstance(message, StringValue), message
    return message.value


async def eventually(condition: Callable[[], bool]) -> None:
    """Waits for something that has no event to wait for; fails after 5 s."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def _encoded(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else StringValue(value=text).SerializeToString()
