"""What the load talks to: the floor and the runtime, behind the same few words."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol

import grpc

from agent_runtime.v1.input_pb2 import UserMessage
from agent_runtime.v1.message_service_pb2 import SendMessageRequest, SendMessageResponse
from agent_runtime.v1.session_service_pb2 import GetSessionRequest
from tests.bench.floor import STREAM, UNARY
from tests.support.runtime_client import RuntimeClient

TOKEN = "word "
"""What the scripted model says, over and over; every chunk of its stream is one of these."""

_MESSAGES = 5000  # more than any figure puts into a session


class Target(Protocol):
    """Something that streams the scripted model's answer."""

    name: str
    pid: int

    async def sessions(self, count: int) -> list[str]:
        """So many new places to talk in."""

    def turn(self, session: str, words: str, request_id: str = "") -> grpc.aio.UnaryStreamCall[Any, bytes]:
        """Says something, once however often it is repeated with its id; the call streams what comes of it."""

    def tokens(self, data: bytes) -> int:
        """How many tokens one message of that stream holds."""

    async def stop(self, session: str) -> None:
        """Ends the turn that runs there; nobody listens to it any more."""

    def read(self, session: str) -> Awaitable[Any]:
        """The cheapest read there is."""


class Floor:
    """The floor; it knows no sessions."""

    name = "floor"

    def __init__(self, pid: int, channel: grpc.aio.Channel) -> None:
        self.pid = pid
        self._stream: grpc.aio.UnaryStreamMultiCallable[Any, bytes] = channel.unary_stream(STREAM)
        self._unary: grpc.aio.UnaryUnaryMultiCallable[Any, bytes] = channel.unary_unary(UNARY)

    async def sessions(self, count: int) -> list[str]:
        return [str(number) for number in range(count)]

    def turn(self, session: str, words: str, request_id: str = "") -> grpc.aio.UnaryStreamCall[Any, bytes]:
        return self._stream(words.encode())

    def tokens(self, data: bytes) -> int:
        return data.count(b'"content":')

    async def stop(self, session: str) -> None:
        pass  # it stops with the call

    def read(self, session: str) -> Awaitable[Any]:
        return self._unary(b"")


class Runtime:
    """A server of ours. Its agent works at once: the default one would ask the model first whom a message is for."""

    def __init__(self, name: str, pid: int, channel: grpc.aio.Channel, address: str) -> None:
        self.address = address
        self.name = name
        self.pid = pid
        self.client = RuntimeClient(channel)
        self._send: grpc.aio.UnaryStreamMultiCallable[Any, bytes] = channel.unary_stream(
            "/agent_runtime.v1.MessageService/SendMessage", request_serializer=SendMessageRequest.SerializeToString
        )

    async def sessions(self, count: int) -> list[str]:
        fields = {"agent": "universal", "message_limit": _MESSAGES}
        return [(await self.client.new_session(**fields)).id for _ in range(count)]

    def turn(self, session: str, words: str, request_id: str = "") -> grpc.aio.UnaryStreamCall[Any, bytes]:
        request = SendMessageRequest(session_id=session, user_message=UserMessage(text=words), request_id=request_id)
        return self._send(request, metadata=self.client.metadata)

    def tokens(self, data: bytes) -> int:
        return len(SendMessageResponse.FromString(data).event.text_delta.text) // len(TOKEN)

    async def stop(self, session: str) -> None:
        while True:
            try:
                await self.client.cancel(session, "")
                return
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise

    def read(self, session: str) -> Awaitable[Any]:
        return self.client.sessions.GetSession(GetSessionRequest(session_id=session), metadata=self.client.metadata)
