"""The gRPC context as our handlers get it: whatever is answered carries the correlation id."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Never

import grpc

_ABORT_SECONDS = 5.0

Metadata = tuple[tuple[str, str | bytes], ...]


class RpcContext:
    """Wraps grpc.aio's servicer context; everything not changed here goes through to it.

    A caller that leaves shows in one way only, as CancelledError; gRPC alone would raise an ordinary exception from a
    write, which a broad `except` takes for a failure and gRPC itself logs as one.
    """

    def __init__(self, inner: grpc.aio.ServicerContext[Any, Any]) -> None:
        self._inner = inner
        self._accepted = False
        # Sent with the answer, first thing or last: in the initial metadata, or in the trailers of an error.
        self.answer_metadata: Metadata = ()
        # Called once, just before the initial metadata are sent.
        self.when_accepted: Callable[[], None] | None = None
        self.messages_sent = 0
        self.hung_up = False
        self.aborted_with: grpc.StatusCode | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def accept(self) -> None:
        """Sends the initial metadata unless they are sent; the first write and the end of a good call do it otherwise.

        Not to be called before the call is accepted: a client's retry policy applies only until they arrive.
        """
        if not self._accepted:
            self._accepted = True
            if self.when_accepted is not None:
                self.when_accepted()
            try:
                await self._inner.send_initial_metadata(self.answer_metadata)
            except grpc.aio.InternalError as error:
                raise self._hung_up() from error

    async def write(self, message: Any) -> None:
        """Sends one message of a stream; returns when the transport has taken it. Not to be called concurrently."""
        if not self._accepted:
            await self.accept()
        try:  # once per event, so without the cost of a context manager
            await self._inner.write(message)
        except grpc.aio.InternalError as error:
            raise self._hung_up() from error
        self.messages_sent += 1

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Metadata = ()) -> Never:
        """Ends the call with an error by raising AbortError, which every caller lets pass.

        A peer that reads nothing gets the error when it does, but does not keep the handler: that ends as if cancelled.
        """
        self.aborted_with = code
        try:
            async with asyncio.timeout(_ABORT_SECONDS):
                await self._inner.abort(code, details, (*self.answer_metadata, *trailing_metadata))
        except TimeoutError:
            # The error is on its way. gRPC takes no other AbortError than the one it would have raised.
            raise asyncio.CancelledError from None

    def _hung_up(self) -> asyncio.CancelledError:
        self.hung_up = True
        return asyncio.CancelledError("the caller has left")
