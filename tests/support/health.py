"""What a balancer hears of a server's health."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

_PATIENCE = 10.0


class HealthClient:
    """Asks `grpc.health.v1`; the service `""` means the whole server."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = health_pb2_grpc.HealthStub(channel)

    async def check(self, service: str = "") -> int:
        """The status now. Raises AioRpcError for a service nobody knows."""
        answer = await self._stub.Check(health_pb2.HealthCheckRequest(service=service))
        return answer.status  # type: ignore[no-any-return]

    async def becomes(self, status: int, service: str = "") -> float:
        """Watches until the status is this; returns the seconds it took. Raises TimeoutError after ten."""
        began = time.monotonic()
        watch = self._stub.Watch(health_pb2.HealthCheckRequest(service=service))
        async with asyncio.timeout(_PATIENCE):
            while (await watch.read()).status != status:
                pass
        watch.cancel()
        return time.monotonic() - began
