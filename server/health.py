"""What `grpc.health.v1` tells balancers: overall and per service, NOT_SERVING until somebody says otherwise.

Not the service that comes with gRPC: its watchers never leave, so that each stop would wait for all of its grace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

OVERALL = ""

_UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN


class ServiceHealth(health_pb2_grpc.HealthServicer):
    """The health of one server, and the service that tells it; callers may watch it change. For one event loop."""

    def __init__(self) -> None:
        self._statuses: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._shut_down = False
        self._closed = False

    def register(self, server: grpc.aio.Server, services: Sequence[str]) -> None:
        """Adds the health service, with these services and the whole NOT_SERVING. Call it before the server starts."""
        self._statuses = dict.fromkeys((OVERALL, *services), HealthCheckResponse.NOT_SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self, server)

    def report(self, *, serving: bool, service: str | None = None) -> None:
        """Sets one service, or all and the whole; without effect once `shut_down` was called."""
        if self._shut_down:
            return
        status = HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
        for name in self._statuses if service is None else (service,):
            self._statuses[name] = status
        self._tell()

    def shut_down(self) -> None:
        """NOT_SERVING for good."""
        self.report(serving=False)
        self._shut_down = True

    def close(self) -> None:
        """Ends every watch, once it has told the last word; they are not to keep a stop waiting."""
        self._closed = True
        self._tell()

    async def Check(self, request: HealthCheckRequest, context: Any) -> HealthCheckResponse:
        if request.service not in self._statuses:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return self._answer(request.service)

    async def Watch(self, request: HealthCheckRequest, context: Any) -> None:
        told = None
        while True:
            changed = self._changed
            answer = self._answer(request.service)
            if answer.status != told:
                await context.write(answer)
                told = answer.status
                continue  # it may have changed again while the watcher took it
            if self._closed:
                return
            await changed.wait()

    def _answer(self, service: str) -> HealthCheckResponse:
        return HealthCheckResponse(status=self._statuses.get(service, _UNKNOWN))

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
