"""The HTTP face of the scripted model: the OpenAI endpoints, and the control endpoints for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from devtools.scripted_model.casting import Casting
from devtools.scripted_model.frames import MODEL
from devtools.scripted_model.pairing import RefusedRequestError, check_request
from devtools.scripted_model.playing import Performance
from devtools.scripted_model.record import Outcome, Record
from devtools.scripted_model.script import Script, parse_script

_MAX_BODY = 64 * 1024 * 1024
_KEPT_HEADERS = ("authorization", "x-correlation-id", "traceparent", "accept", "content-type", "user-agent")


class ScriptedModelServer:
    """The state behind the endpoints; lives on one event loop."""

    def __init__(self, script: Script, *, echo_delay: float = 0.0) -> None:
        self._echo_delay = echo_delay
        self._casting = Casting(script, echo_delay=echo_delay)
        self._record = Record()

    def application(self) -> web.Application:
        """The endpoints."""
        app = web.Application(client_max_size=_MAX_BODY)
        app.add_routes(
            [
                web.post("/v1/chat/completions", self._complete),
                web.get("/v1/models", self._models),
                web.get("/control/calls", self._calls),
                web.get("/control/counts", self._counts),
                web.get("/control/held/{gate}", self._held),
                web.post("/control/release/{gate}", self._release),
                web.post("/control/script", self._script),
                web.post("/control/reset", self._reset),
            ]
        )
        return app

    async def _complete(self, http: web.Request) -> web.StreamResponse:
        raw = await http.read()
        record = self._record
        call = record.begin(raw, {name: http.headers[name] for name in _KEPT_HEADERS if name in http.headers})
        try:
            try:
                request = check_request(msgspec.json.decode(raw))
            except (msgspec.DecodeError, ValueError, RecursionError):
                request = check_request(None)
            reply, compiled = self._casting.choose(request)
            return await Performance(http, request, call, record).play(reply, compiled)
        except RefusedRequestError as refused:
            record.end(call, Outcome.REFUSED)
            return web.json_response(refused.body(), status=400)
        except (asyncio.CancelledError, ConnectionError):
            record.end(call, Outcome.CLOSED_EARLY)
            raise

    async def _models(self, http: web.Request) -> web.Response:
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "devtools"}
        return web.json_response({"object": "list", "data": [model]})

    async def _calls(self, http: web.Request) -> web.Response:
        return web.json_response(self._record.calls())

    async def _counts(self, http: web.Request) -> web.Response:
        """`?outcome=finished&at_least=3` waits until there are so many."""
        outcome = http.query.get("outcome", "calls")
        if outcome not in self._record.counts():
            return web.json_response({"error": f"no such outcome: {outcome}"}, status=400)
        wanted = int(http.query.get("at_least", "0"))
        await self._record.until(lambda: self._record.counts()[outcome] >= wanted)
        return web.json_response(self._record.counts())

    async def _held(self, http: web.Request) -> web.Response:
        """Waits until an answer is held at the gate; `?at_least=3` for as many."""
        gate, wanted = http.match_info["gate"], int(http.query.get("at_least", "1"))
        await self._record.until(lambda: self._record.holding(gate) >= wanted)
        return web.json_response({"holding": self._record.holding(gate)})

    async def _release(self, http: web.Request) -> web.Response:
        self._record.release(http.match_info["gate"])
        return web.json_response({})

    async def _script(self, http: web.Request) -> web.Response:
        try:
            script = parse_script(await http.read())
        except msgspec.DecodeError as error:
            return web.json_response({"error": str(error)}, status=400)
        self._casting = Casting(script, echo_delay=self._echo_delay)
        self._record.close_gates()
        return web.json_response({"replies": len(script.replies)})

    async def _reset(self, http: web.Request) -> web.Response:
        self._casting = Casting(Script(), echo_delay=self._echo_delay)
        self._record.close_gates()
        self._record.forget_calls()
        return web.json_response({})


@asynccontextmanager
async def serving(server: ScriptedModelServer, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serves until left, on a free port if 0; yields the base url, which ends in `/v1`."""
    # Cancelling handlers is how the model notices that a client has left.
    runner = web.AppRunner(server.application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        await site.start()
        bound = runner.addresses[0]
        yield f"http://{bound[0]}:{bound[1]}/v1"
    finally:
        await runner.cleanup()
