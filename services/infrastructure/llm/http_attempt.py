"""One HTTP request for one streamed answer, from sending it to closing it: what retries and circuits are around."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress

import httpx

from services.domain.model_exchange import ModelEvent
from services.infrastructure.llm.assembly import AnswerAssembler
from services.infrastructure.llm.bounded_json import decode_json
from services.infrastructure.llm.failures import (
    UpstreamError,
    bad_upstream,
    complaint_of,
    parse_retry_after,
    rejected_status,
    too_large,
    transport_failure,
    truncated,
)
from services.infrastructure.llm.kept_connections import met_a_closed_connection
from services.infrastructure.llm.sse import MAX_EVENT_BYTES, ServerEvent, SseDecoder
from services.infrastructure.llm.stream_timer import StreamTimer

_MAX_ERROR_BYTES = 64 * 1024
_TRAILER_WAIT = 0.1
_RESENDS = 3

_log = logging.getLogger(__name__)


@asynccontextmanager
async def http_attempt(
    http: httpx.AsyncClient, request: httpx.Request, assembler: AnswerAssembler, timer: StreamTimer
) -> AsyncGenerator[AsyncIterator[ModelEvent], None]:
    """Sends the request and yields the answer's events; leaving closes the request at once, finished or not.

    Raises UpstreamError, from entering for everything known by the time the headers are here, else from iterating.
    """
    try:
        response = await _send(http, request, timer)
        try:
            if response.status_code != 200:
                raise await _rejection(response, timer)
            if not _is_identity(response):
                raise bad_upstream()
            async with aclosing(_events(response, assembler, timer)) as events:
                yield events
        finally:
            # What the transport says while a request is thrown away is nobody's concern.
            with suppress(httpx.HTTPError):
                await response.aclose()
    finally:
        timer.close()


async def _send(http: httpx.AsyncClient, request: httpx.Request, timer: StreamTimer) -> httpx.Response:
    """Sends it, again at once if the connection it took turns out to be closed: each time is one connection less."""
    for resends_left in range(_RESENDS, -1, -1):
        try:
            return await timer.wait(http.send(request, stream=True))
        except UpstreamError:
            raise
        except Exception as error:
            if not (resends_left and met_a_closed_connection(error)):
                raise transport_failure(error) from error
    raise AssertionError("the last time returns or raises")


async def _events(
    response: httpx.Response, assembler: AnswerAssembler, timer: StreamTimer
) -> AsyncGenerator[ModelEvent, None]:
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "application/json":
        body = await _read_all(response, timer, MAX_EVENT_BYTES)
        if not body:
            raise truncated()
        for fragment in assembler.feed(ServerEvent(b"", body)):
            yield fragment
        yield assembler.answer()
        return
    if content_type not in ("text/event-stream", ""):
        raise bad_upstream()
    decoder = SseDecoder()
    chunks = response.aiter_raw()
    while not assembler.done:
        try:
            chunk = await timer.wait(anext(chunks, b""))
        except UpstreamError:
            if assembler.finished:
                break
            raise
        except Exception as error:
            # A connection that is lost after the model has finished takes only the usage with it.
            if assembler.finished:
                break
            raise transport_failure(error) from error
        if not chunk:
            for fragment in assembler.feed_tail(decoder.finish()):
                yield fragment
            break
        progress = False
        for event in decoder.feed(chunk):
            for fragment in assembler.feed(event):
                progress = True
                yield fragment
            if assembler.done:
                break
        if progress:
            timer.progressed()
    yield assembler.answer()
    await _read_trailer(chunks)


async def _read_trailer(chunks: AsyncIterator[bytes]) -> None:
    """Takes the few bytes that end the body, without which the connection could not be used again."""
    with suppress(Exception):
        async with asyncio.timeout(_TRAILER_WAIT):
            while await anext(chunks, b""):
                pass


async def _read_all(response: httpx.Response, timer: StreamTimer, limit: int) -> bytes:
    parts, size, chunks = [], 0, response.aiter_raw()
    try:
        while chunk := await timer.wait(anext(chunks, b"")):
            parts.append(chunk)
            size += len(chunk)
            if size > limit:
                raise too_large("bytes of the body")
    except UpstreamError:
        raise
    except Exception as error:
        raise transport_failure(error) from error
    return b"".join(parts)


async def _rejection(response: httpx.Response, timer: StreamTimer) -> UpstreamError:
    body = b""
    with suppress(UpstreamError):
        body = await _read_all(response, timer, _MAX_ERROR_BYTES)
    _log.debug("the model provider answered %d: %r", response.status_code, body[:1024])
    complaint = ""
    with suppress(UpstreamError):
        said = decode_json(body)
        complaint = complaint_of(said.get("error") or said) if isinstance(said, dict) else ""
    retry_after = parse_retry_after(response.headers.get("retry-after"))
    return rejected_status(response.status_code, complaint=complaint, retry_after=retry_after)


def _is_identity(response: httpx.Response) -> bool:
    # Asked not to compress, a provider that does cannot be read within the limits on bytes.
    return response.headers.get("content-encoding", "identity").lower() in ("identity", "")
