"""Streams that survive their connection: each goes on after the highest number handled, without doubles or holes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeVar

import grpc

from agent_runtime.v1.message_service_pb2 import SendMessageRequest, SendMessageResponse
from agent_runtime.v1.session_event_pb2 import SessionEvent
from agent_runtime.v1.session_stream_pb2 import (
    STREAM_GAP_REASON_COMPACTED,
    SessionSnapshot,
    StreamGap,
    WatchSessionRequest,
    WatchSessionResponse,
)
from client.errors import RuntimeCallError, StreamEndedError, call_error
from client.reconnection import Backoff, ReconnectPolicy

# Heartbeats come every 15 s; whatever has been silent for three of them is dead.
SILENCE_SECONDS = 45.0

Request = TypeVar("Request")
Item = TypeVar("Item")
Open = Callable[[Request], "grpc.aio.UnaryStreamCall[Request, Item]"]
Watched = SessionSnapshot | SessionEvent | StreamGap


async def follow_input(
    open_call: Open[SendMessageRequest, SendMessageResponse], request: SendMessageRequest, policy: ReconnectPolicy
) -> AsyncGenerator[SessionEvent, None]:
    """The events of an input's stream, each once, to its end. `request` needs a request_id.

    Raises RuntimeCallError if it is refused or coming back fails, StreamEndedError if the history was cleared.
    """
    wanted = SendMessageRequest()
    wanted.CopyFrom(request)
    backoff = Backoff(policy)
    while True:
        drained, broken = False, None
        try:
            async with aclosing(_items(open_call(wanted))) as items:
                async for item in items:
                    backoff.progressed()
                    match item.WhichOneof("item"):
                        case "event" if item.event.sequence > wanted.after_sequence:
                            wanted.after_sequence = item.event.sequence
                            yield item.event
                        case "gap":
                            wanted.after_sequence = max(wanted.after_sequence, item.gap.to_sequence)
                            if item.gap.reason != STREAM_GAP_REASON_COMPACTED:
                                raise StreamEndedError("the session was cleared meanwhile")
                        case "drain":
                            drained = True
            if not drained:
                return
        except RuntimeCallError as error:
            broken = error
        await backoff.before_next_try(broken)


async def follow_session(
    open_call: Open[WatchSessionRequest, WatchSessionResponse], request: WatchSessionRequest, policy: ReconnectPolicy
) -> AsyncGenerator[Watched, None]:
    """What a session's log holds from `request` on, each event once; with `snapshot` that comes first.

    `request` needs an after_sequence or `snapshot`, else a break before the first event would lose some. Never ends
    but for `stop_at_head` and after SessionDeleted. Raises RuntimeCallError as `follow_input` does.
    """
    wanted = WatchSessionRequest()
    wanted.CopyFrom(request)
    backoff = Backoff(policy)
    while True:
        drained, broken = False, None
        try:
            async with aclosing(_items(open_call(wanted))) as items:
                async for item in items:
                    backoff.progressed()
                    match item.WhichOneof("item"):
                        case "snapshot":
                            if not wanted.HasField("after_sequence"):
                                wanted.after_sequence = item.snapshot.as_of_sequence
                            wanted.snapshot = False
                            yield item.snapshot
                        case "event" if item.event.sequence > wanted.after_sequence:
                            wanted.after_sequence = item.event.sequence
                            yield item.event
                        case "gap":
                            wanted.after_sequence = max(wanted.after_sequence, item.gap.to_sequence)
                            # The snapshot that follows is asked for again if the stream breaks before it.
                            wanted.snapshot = item.gap.reason != STREAM_GAP_REASON_COMPACTED
                            yield item.gap
                        case "drain":
                            drained = True
            if not drained:
                return
        except RuntimeCallError as error:
            broken = error
        await backoff.before_next_try(broken)


async def _items(call: grpc.aio.UnaryStreamCall[Request, Item]) -> AsyncGenerator[Item, None]:
    """The items of one call; raises RuntimeCallError for its status, and for a silence."""
    try:
        while True:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    item = await call.read()
            except TimeoutError:
                raise RuntimeCallError(grpc.StatusCode.UNAVAILABLE, "the stream fell silent") from None
            if item is grpc.aio.EOF:
                return
            yield item  # type: ignore[misc]
    except grpc.aio.AioRpcError as error:
        raise call_error(error) from error
    finally:
        call.cancel()
