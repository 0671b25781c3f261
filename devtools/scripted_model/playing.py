"""Writes one answer to one client: frames at their time, gates, pings, and the fault at its byte."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping

from aiohttp import web

from devtools.scripted_model.frames import DONE_FRAME, Compiled, Frame, usage_frame, whole_completion
from devtools.scripted_model.record import Call, Outcome, Record
from devtools.scripted_model.script import Fault, Reply, Usage

_GARBAGE = bytes(range(0x80, 0x100)) * 2 + b"\n\n}{\n\n"
_PING = b": ping\n\n"


class _FaultStruck(Exception):
    """The byte of the fault has been reached."""


class Performance:
    """One answer being played; `play` returns the response, or is cancelled when the client leaves."""

    def __init__(self, http: web.Request, request: Mapping[str, object], call: Call, record: Record) -> None:
        self._http = http
        self._request = request
        self._call = call
        self._record = record
        self._response = web.StreamResponse()
        self._fault: Fault | None = None

    async def play(self, reply: Reply, compiled: Compiled) -> web.StreamResponse:
        """Plays the reply to its end or its fault."""
        self._fault = reply.fault
        if reply.first_delay:
            await asyncio.sleep(reply.first_delay)
        plain = reply.body is not None or reply.status != 200
        streamed = not plain and self._request.get("stream") is True
        kind = "text/event-stream; charset=utf-8" if streamed else "application/json"
        self._response = web.StreamResponse(status=reply.status, headers=reply.headers)
        self._response.headers["Content-Type"] = reply.content_type or kind
        self._response.enable_chunked_encoding()
        await self._response.prepare(self._http)
        try:
            if plain:
                await self._write((reply.body or "").encode())
            elif streamed:
                await self._stream(reply, compiled)
            else:
                await self._whole(reply, compiled)
            if self._fault is not None:
                raise _FaultStruck
            await self._response.write_eof()
            self._record.end(self._call, Outcome.FINISHED)
        except _FaultStruck:
            await self._strike()
        return self._response

    async def _stream(self, reply: Reply, compiled: Compiled) -> None:
        now = asyncio.get_running_loop().time
        due = now()
        for frame in compiled.frames:
            if frame.gate is not None:
                await self._record.pass_gate(frame.gate)
                due = now()
            if frame.delay:
                # By an absolute schedule, so that a busy machine does not slow the rate down.
                due += frame.delay
                if frame.ping_every:
                    await self._ping(frame, due)
                await asyncio.sleep(max(0.0, due - now()))
            if frame.data:
                await self._write(frame.data)
        options = self._request.get("stream_options")
        if reply.send_usage and isinstance(options, Mapping) and options.get("include_usage") is True:
            await self._write(usage_frame(self._usage(reply, compiled)))
        if reply.done:
            await self._write(DONE_FRAME)

    async def _ping(self, frame: Frame, until: float) -> None:
        while until - asyncio.get_running_loop().time() > frame.ping_every:
            await asyncio.sleep(frame.ping_every)
            await self._write(_PING)

    async def _whole(self, reply: Reply, compiled: Compiled) -> None:
        for frame in compiled.frames:
            if frame.gate is not None:
                await self._record.pass_gate(frame.gate)
            await asyncio.sleep(frame.delay)
        await self._write(whole_completion(compiled, self._usage(reply, compiled)))

    def _usage(self, reply: Reply, compiled: Compiled) -> Usage:
        counted = Usage(prompt_tokens=len(self._call.body) // 4, completion_tokens=compiled.completion_tokens)
        return reply.usage or counted

    async def _write(self, data: bytes) -> None:
        if self._fault is not None:
            room = self._fault.at_byte - self._call.bytes_sent
            if len(data) >= room:
                await self._send(data[:room])
                raise _FaultStruck
        await self._send(data)

    async def _send(self, data: bytes) -> None:
        if data:
            await self._response.write(data)
            self._call.bytes_sent += len(data)

    async def _strike(self) -> None:
        assert self._fault is not None
        kind = self._fault.kind
        if kind == "stall":
            # Ended by the client, which counts as its closing early.
            await asyncio.Event().wait()
        if kind == "garbage":
            await self._send(_GARBAGE)
        self._record.end(self._call, Outcome.FAULT)
        transport = self._http.transport
        if kind in ("end", "garbage"):
            await self._response.write_eof()
        elif transport is not None:
            if kind == "reset":
                connection: socket.socket = transport.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                transport.abort()
            else:
                transport.close()
            # The lost connection cancels this handler; returning would write the proper end of the body.
            await asyncio.Event().wait()
