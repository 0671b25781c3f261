"""One call on its way through the chain: what every interceptor may know about it, and their common shape."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from server.interceptors.rpc_context import RpcContext
from services.application.ports import Principal
from services.domain.errors import ErrorReason


@dataclass(slots=True)
class Rpc:
    """A call. `started` is monotonic; `time_left` is how many seconds a caller's deadline allowed then.

    `certificate_names` are the alternative names of the client's certificate, if the connection has verified one.
    `handler` is the task of a unary handler that has begun.
    """

    method: str
    streaming: bool
    request: object
    context: RpcContext
    metadata: Sequence[tuple[str, str | bytes]]
    peer: str
    started: float
    time_left: float | None
    certificate_names: tuple[str, ...] = ()
    principal: Principal | None = None
    reason: ErrorReason | None = None
    handler: asyncio.Task[Any] | None = None
    service: str = field(init=False)

    def __post_init__(self) -> None:
        self.service = self.method.split("/")[1]

    def when_over(self, give_back: Callable[[], None]) -> None:
        """For the end of a call: gives back now what it held, or when its handler ends that its caller has left."""
        if self.handler is None or self.handler.done():
            give_back()
        else:
            self.handler.add_done_callback(lambda _: give_back())


Proceed = Callable[[], Awaitable[Any]]


class RpcInterceptor(Protocol):
    """One concern. Awaits `proceed()` at most once and returns its response, or raises a domain error instead.

    It runs in the call's own task; what it raises reaches the interceptors before it.
    """

    async def __call__(self, rpc: Rpc, proceed: Proceed) -> Any: ...
