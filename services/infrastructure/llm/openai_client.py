"""The model client for any OpenAI-compatible endpoint; one per process, shared by all turns."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from services.domain.model_exchange import ModelEvent, ModelRequest
from services.infrastructure.llm.assembly import AnswerAssembler
from services.infrastructure.llm.chat_format import request_body
from services.infrastructure.llm.http_attempt import http_attempt
from services.infrastructure.llm.settings import OpenAiSettings
from services.infrastructure.llm.stream_timer import StreamTimer


class OpenAiModelClient:
    """A `ModelClient` over httpx on the aiohttp transport: httpx's own loses its pool to cancelled streams.

    Ignores proxy settings of the environment, follows no redirects and keeps no cookies. To be made and closed on the
    event loop that uses it; any number of streams at once, of which `max_connections` are sent and the others wait
    for a connection as long as for connecting.
    """

    def __init__(self, settings: OpenAiSettings) -> None:
        """Opens nothing yet; raises ValueError if `base_url` is no http or https URL."""
        self._settings = settings
        self._url = _http_url(settings.completions_url)
        limits = httpx.Limits(max_connections=settings.max_connections)
        ssl_context = httpx.create_ssl_context(trust_env=False)

        def new_session() -> aiohttp.ClientSession:
            connector = aiohttp.TCPConnector(limit=settings.max_connections, ssl=ssl_context)
            return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

        self._http = httpx.AsyncClient(
            transport=AiohttpTransport(verify=ssl_context, trust_env=False, limits=limits, client=new_session),
            # StreamTimer keeps all other limits, for less than a timer per read.
            timeout=httpx.Timeout(None, connect=settings.connect_timeout, pool=settings.connect_timeout),
            trust_env=False,
            follow_redirects=False,
        )

    async def aclose(self) -> None:
        """Closes all connections; streams that still run fail."""
        await self._http.aclose()

    @asynccontextmanager
    async def stream(self, request: ModelRequest) -> AsyncGenerator[AsyncIterator[ModelEvent], None]:
        """See `ModelClient.stream`; every failure is an UpstreamError, a ModelError that knows its kind."""
        body = request_body(request, self._settings.model)
        assembler = AnswerAssembler(
            model=request.model or self._settings.model,
            call_id_prefix=request.call_id_prefix,
            taken_call_ids={call.id for message in request.messages for call in message.tool_calls},
            request_bytes=len(body),
        )
        http_request = self._http.build_request("POST", self._url, content=body, headers=self._headers(request))
        # Every answer is one attempt so far; retries, breaker and other routes belong around this call.
        async with http_attempt(self._http, http_request, assembler, StreamTimer(self._settings)) as events:
            yield events

    def _headers(self, request: ModelRequest) -> dict[str, str]:
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream, application/json",
            "accept-encoding": "identity",
            "x-correlation-id": request.correlation_id,
        }
        if self._settings.api_key:
            headers["authorization"] = f"Bearer {self._settings.api_key}"
        if request.traceparent is not None:
            headers["traceparent"] = request.traceparent
        return headers


def _http_url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError("the model's base_url is not a URL") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("the model's base_url must start with http:// or https:// and name a host")
    return url
