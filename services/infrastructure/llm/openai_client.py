"""The model client for any OpenAI-compatible endpoint; one per process, shared by all turns."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from functools import partial

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from services.application.ports.circuits import Admission, CircuitOpenError, Circuits
from services.domain.model_exchange import ModelAnswer, ModelEvent, ModelRequest
from services.infrastructure.llm.assembly import AnswerAssembler
from services.infrastructure.llm.chat_format import request_body
from services.infrastructure.llm.failures import UpstreamError, circuit_open
from services.infrastructure.llm.http_attempt import http_attempt
from services.infrastructure.llm.kept_connections import watching_connections
from services.infrastructure.llm.profiles import RequestShape, reshaped
from services.infrastructure.llm.retries import Retries
from services.infrastructure.llm.routes import OpenedRoute, Routes
from services.infrastructure.llm.settings import OpenAiSettings
from services.infrastructure.llm.stream_timer import StreamTimer


class OpenAiModelClient:
    """A `ModelClient` over httpx on the aiohttp transport: httpx's own loses its pool to cancelled streams.

    Until the first piece of an answer, a question that fails is asked on the next route, and all over again after a
    wait; from then on a failure is final. Every request passes the circuit of its route and is one outcome there.

    Ignores proxy settings of the environment, follows no redirects and keeps no cookies. To be made and closed on the
    event loop that uses it; any number of streams at once, of which `max_connections` are sent and the others wait
    for a connection as long as for connecting.
    """

    def __init__(self, settings: OpenAiSettings, circuits: Circuits, retries: Retries | None = None) -> None:
        """Opens nothing yet; raises ValueError for a `base_url` that is no http or https URL, or an unknown profile."""
        self._settings = settings
        self._routes = Routes(settings, circuits)
        self._retries = retries or Retries(settings.retry)
        limits = httpx.Limits(max_connections=settings.max_connections)
        ssl_context = httpx.create_ssl_context(trust_env=False)

        def new_session() -> aiohttp.ClientSession:
            connector = aiohttp.TCPConnector(limit=settings.max_connections, ssl=ssl_context)
            return aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[watching_connections()]
            )

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
        """See `ModelClient.stream`; every failure is an UpstreamError, a ModelError that knows its kind.

        The answer's `model` is the one that gave it. While no route may be asked, the failure is immediate and its
        `retry_after` is the time to the next probe.
        """
        async with AsyncExitStack() as begun:
            yield await self._retries.run(partial(self._ask, begun, request))

    async def _ask(self, begun: AsyncExitStack, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """The answer of the first route that begins to give one; what it holds open is closed with `begun`."""
        routes = self._routes.of(request.model)
        failures: list[UpstreamError] = []
        for route in routes:
            try:
                return await self._ask_route(begun, request, route)
            except CircuitOpenError:
                continue
            except UpstreamError as error:
                if not error.worth_asking_elsewhere:
                    raise
                failures.append(error)
        transient = [error for error in failures if error.transient]
        waits = [wait for route in routes if (wait := route.circuit.open_for()) is not None]
        if len(waits) < len(routes) and failures:
            raise (transient or failures)[0]
        raise circuit_open(min(waits, default=0.0)) from next(iter(failures), None)

    async def _ask_route(
        self, begun: AsyncExitStack, request: ModelRequest, route: OpenedRoute
    ) -> AsyncIterator[ModelEvent]:
        """Asks once, or twice if the provider refuses something that can be said otherwise."""
        try:
            return await self._begin(begun, request, route, route.shape)
        except UpstreamError as error:
            shape = reshaped(route.shape, error.complaint)
            if shape is None:
                raise
        answer = await self._begin(begun, request, route, shape)
        route.shape = shape
        return answer

    async def _begin(
        self, begun: AsyncExitStack, request: ModelRequest, route: OpenedRoute, shape: RequestShape
    ) -> AsyncIterator[ModelEvent]:
        """Sends one request and waits for the first piece of its answer. Raises CircuitOpenError, UpstreamError."""
        body = request_body(request, route.model, shape)
        assembler = AnswerAssembler(
            model=route.model,
            call_id_prefix=request.call_id_prefix,
            taken_call_ids={call.id for message in request.messages for call in message.tool_calls},
            request_bytes=len(body),
        )
        http_request = self._http.build_request("POST", route.url, content=body, headers=_headers(request, route))
        admission = route.circuit.admit()
        async with AsyncExitStack() as attempt:
            attempt.enter_context(_outcome(admission))
            events = await attempt.enter_async_context(
                http_attempt(self._http, http_request, assembler, StreamTimer(self._settings))
            )
            first = await anext(events)
            answer = _answer(first, events, admission.succeeded)
            await attempt.enter_async_context(aclosing(answer))
            begun.push_async_exit(attempt.pop_all())
        return answer


async def _answer(
    first: ModelEvent, rest: AsyncIterator[ModelEvent], complete: Callable[[], None]
) -> AsyncGenerator[ModelEvent, None]:
    """All events; `complete` is called when the whole answer is here, before it is handed over."""
    if isinstance(first, ModelAnswer):
        complete()
    yield first
    async for event in rest:
        if isinstance(event, ModelAnswer):
            complete()
        yield event


@contextmanager
def _outcome(admission: Admission) -> Iterator[None]:
    """What becomes of a request counts for its circuit; a reader who leaves or fails says nothing about the model."""
    try:
        yield
    except UpstreamError as error:
        if error.blames_route:
            admission.failed()
        raise
    finally:
        admission.dropped()


def _headers(request: ModelRequest, route: OpenedRoute) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "accept": "text/event-stream, application/json",
        "accept-encoding": "identity",
        "x-correlation-id": request.correlation_id,
    }
    if route.api_key:
        headers["authorization"] = f"Bearer {route.api_key}"
    if request.traceparent is not None:
        # The caller's trace goes on with a span of its own for each request, also for one that is a repetition.
        version, trace_id, _, flags = request.traceparent.split("-")
        headers["traceparent"] = f"{version}-{trace_id}-{_span_id()}-{flags}"
    return headers


def _span_id() -> str:
    """Sixteen hexadecimal digits that are not all zeros, which would make the header invalid."""
    return f"{secrets.randbits(64) or 1:016x}"
