"""What `grpc.health.v1` tells balancers: overall and per service, NOT_SERVING until somebody says otherwise."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import aio
from grpc_health.v1.health_pb2 import HealthCheckResponse

OVERALL = ""


class ServiceHealth:
    """The health of one server; callers may watch it change."""

    def __init__(self) -> None:
        self._servicer = aio.HealthServicer()
        self._services: tuple[str, ...] = ()

    async def register(self, server: grpc.aio.Server, services: Sequence[str]) -> None:
        """Adds the health service, with these services and the whole NOT_SERVING. Call it before the server starts."""
        self._services = (OVERALL, *services)
        await self.report(serving=False)
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def report(self, *, serving: bool, service: str | None = None) -> None:
        """Sets one service, or all and the whole; without effect once `shut_down` was called."""
        status = HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
        for name in self._services if service is None else (service,):
            await self._servicer.set(name, status)

    async def shut_down(self) -> None:
        """NOT_SERVING for good."""
        await self._servicer.enter_graceful_shutdown()
