"""The one place where gRPC calls our interceptors, the same way for unary and for streaming calls."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import grpc
from grpc_health.v1 import health
from grpc_interceptor.server import AsyncServerInterceptor
from grpc_reflection.v1alpha import reflection

from server.interceptors.calls_in_work import CallsInWork
from server.interceptors.deserialise_guard import guarded
from server.interceptors.rpc import Proceed, Rpc, RpcInterceptor
from server.interceptors.rpc_context import RpcContext

# Balancers and tools use them, with no credential, and they touch nothing of ours.
LEFT_ALONE = frozenset({health.SERVICE_NAME, reflection.SERVICE_NAME})

RpcHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


@dataclass(frozen=True)
class _AnyCall:
    """What is known of all calls of a method: of the first one, the handler would keep the credential."""

    method: str
    invocation_metadata: tuple[()] = ()


class InterceptionSeam(AsyncServerInterceptor):
    """Runs the interceptors in their order around each handler of our services, which take no streams of requests.

    Builds on grpc-interceptor. Only its wrapper of streams is replaced: that is a generator, in which a cancelled call
    may end outside its own task; ours is a coroutine, in which the call ends where it runs.

    `on_call` hears of each call as soon as gRPC hands it over, which is before its request is read; `in_work` are those
    whose request has come.
    """

    def __init__(self, interceptors: Sequence[RpcInterceptor], on_call: Callable[[str], None] | None = None) -> None:
        self._interceptors = tuple(interceptors)
        self._on_call = on_call
        self._handlers: dict[str, RpcHandler] = {}
        self.in_work = CallsInWork()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[RpcHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> RpcHandler | None:
        """The handler of one call with the chain around it; None for an unknown method."""
        method_name = handler_call_details.method
        if self._on_call is not None:
            self._on_call(method_name)
        # One of each method, made with its first call.
        known = self._handlers.get(method_name)
        if known is not None:
            return known
        handler = await continuation(handler_call_details)
        if handler is None or method_name.split("/")[1] in LEFT_ALONE:
            return handler
        self._handlers[method_name] = intercepted = await self._intercepted(handler, method_name)
        return intercepted

    async def _intercepted(self, handler: RpcHandler, method_name: str) -> RpcHandler:
        if handler.response_streaming:

            async def stream(request: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
                await self.intercept(_behaviour(handler), request, context, method_name, streaming=True)

            return grpc.unary_stream_rpc_method_handler(
                stream, guarded(handler.request_deserializer), handler.response_serializer
            )

        serialize = handler.response_serializer or bytes

        async def encoded(request: object, context: RpcContext) -> bytes:
            # Here and not in gRPC, so that the chain sees it fail; gRPC would tell the caller the exception's text.
            return serialize(await _behaviour(handler)(request, context))

        async def guarded_handler(_: grpc.HandlerCallDetails) -> RpcHandler:
            return grpc.unary_unary_rpc_method_handler(encoded, guarded(handler.request_deserializer))

        wrapped: RpcHandler = await super().intercept_service(guarded_handler, _AnyCall(method_name))  # type: ignore[no-untyped-call]
        return wrapped

    async def intercept(
        self,
        method: Callable[..., Any],
        request_or_iterator: object,
        context: grpc.aio.ServicerContext[Any, Any],
        method_name: str,
        streaming: bool = False,
    ) -> Any:
        """One call: the interceptors, then its handler. The response of a unary call; a stream has been written."""
        try:
            return await self._through_chain(method, request_or_iterator, context, method_name, streaming)
        except grpc.aio.AbortError as error:
            # gRPC keeps it with the call, and its frames keep the call: a hundred objects for the garbage collector,
            # which would take a tenth of the time when much is refused.
            error.__context__ = None
            raise error.with_traceback(None) from None

    async def _through_chain(
        self,
        method: Callable[..., Any],
        request_or_iterator: object,
        context: grpc.aio.ServicerContext[Any, Any],
        method_name: str,
        streaming: bool,
    ) -> Any:
        self.in_work.begin()
        rpc = Rpc(
            method=method_name,
            streaming=streaming,
            request=request_or_iterator,
            context=RpcContext(context),
            metadata=tuple(context.invocation_metadata() or ()),
            # Asked now: it is not known any more once the caller has left.
            peer=context.peer(),
            started=time.monotonic(),
            # Of the wall clock, hence asked only here: a step of the clock must not end a call.
            time_left=context.time_remaining(),
            certificate_names=_certificate_names(context),
        )
        proceed: Proceed = partial(_handle, method, rpc)
        for interceptor in reversed(self._interceptors):
            proceed = partial(interceptor, rpc, proceed)
        return await proceed()


def _certificate_names(context: grpc.aio.ServicerContext[Any, Any]) -> tuple[str, ...]:
    names = context.auth_context().get("x509_subject_alternative_name", ())
    return tuple(name.decode("utf-8", "replace") for name in names)


def _behaviour(handler: RpcHandler) -> Callable[..., Any]:
    """The servicer's method; gRPC's types know synchronous ones only."""
    method: Callable[..., Any] | None = handler.unary_stream if handler.response_streaming else handler.unary_unary
    if method is None:
        raise TypeError("a method that takes a stream of requests")
    return method


async def _handle(method: Callable[..., Any], rpc: Rpc) -> Any:
    answer = method(rpc.request, rpc.context)
    if not hasattr(answer, "__aiter__"):
        return await answer
    async with aclosing(answer) as messages:
        async for message in messages:
            await rpc.context.write(message)
