"""Every RPC of the contract as the descriptors have it, and how to call one with any bytes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from agent_runtime.v1 import (
    agent_service_pb2,
    approval_service_pb2,
    message_service_pb2,
    operations_service_pb2,
    session_service_pb2,
)
from tests.support.runtime_client import read_rest

_FILES = (session_service_pb2, agent_service_pb2, message_service_pb2, approval_service_pb2, operations_service_pb2)
_PATIENCE = 10.0

Metadata = tuple[tuple[str, str], ...]
Call: TypeAlias = "grpc.aio.UnaryUnaryCall[bytes, bytes] | grpc.aio.UnaryStreamCall[bytes, bytes]"


@dataclass(frozen=True)
class Rpc:
    """One RPC; `name` is such as `SessionService/GetSession`."""

    name: str
    path: str
    request: type[Message]
    streaming: bool

    async def call(self, channel: grpc.aio.Channel, data: bytes, metadata: Metadata = ()) -> list[bytes]:
        """Sends these bytes as the request and returns the bytes of every answer. Raises AioRpcError."""
        return await _answers(self._start(channel, data, metadata))

    async def hear(
        self, channel: grpc.aio.Channel, data: bytes, metadata: Metadata = ()
    ) -> tuple[grpc.StatusCode, bytes]:
        """How the call ended, and all that came back over the wire: answers, status and metadata, one after another."""
        call = self._start(channel, data, metadata)
        heard: list[bytes] = []
        with suppress(grpc.aio.AioRpcError):
            heard += await _answers(call)
        heard.append((await call.details() or "").encode())
        for key, value in (*(await call.initial_metadata() or ()), *(await call.trailing_metadata() or ())):
            heard += [key.encode(), value if isinstance(value, bytes) else value.encode()]
        return await call.code(), b"\n".join(heard)

    def _start(self, channel: grpc.aio.Channel, data: bytes, metadata: Metadata) -> Call:
        if self.streaming:
            stream: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(self.path)
            return stream(data, metadata=metadata, timeout=_PATIENCE)
        unary: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(self.path)
        return unary(data, metadata=metadata, timeout=_PATIENCE)


async def _answers(call: Call) -> list[bytes]:
    return await read_rest(call) if isinstance(call, grpc.aio.UnaryStreamCall) else [await call]


def _rpc(method: MethodDescriptor) -> Rpc:
    service = method.containing_service
    return Rpc(
        name=f"{service.name}/{method.name}",
        path=f"/{service.full_name}/{method.name}",
        request=GetMessageClass(method.input_type),
        streaming=method.server_streaming,
    )


RPCS = tuple(
    _rpc(method)
    for file in _FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
)
RESPONSES = {
    f"{service.name}/{method.name}": GetMessageClass(method.output_type)
    for file in _FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
"""What each RPC answers with, by its name."""
OFFERED = frozenset(
    {
        "SessionService/CreateSession",
        "SessionService/GetSession",
        "SessionService/ListSessions",
        "SessionService/UpdateSession",
        "SessionService/DeactivateSession",
        "SessionService/ActivateSession",
        "SessionService/DeleteSession",
        "SessionService/ClearMessages",
        "SessionService/ForkSession",
        "SessionService/ListMessages",
        "SessionService/GetSessionUsage",
        "AgentService/ListAgents",
        "AgentService/GetAgent",
        "AgentService/GetAgentContext",
        "AgentService/SwitchAgent",
        "AgentService/ResetAgent",
        "AgentService/ListAgentSwitches",
        "AgentService/GetAgentUsageStats",
        "MessageService/SendMessage",
        "MessageService/WatchSession",
        "MessageService/CancelTurn",
        "MessageService/GetTurn",
        "MessageService/ListTurns",
        "MessageService/ListOpenToolCalls",
        "MessageService/ListPendingInputs",
        "MessageService/WithdrawInput",
        "ApprovalService/ListApprovals",
        "ApprovalService/GetApproval",
        "ApprovalService/DecideApproval",
        "ApprovalService/ListApprovalRules",
        "ApprovalService/CreateApprovalRule",
        "ApprovalService/DeleteApprovalRule",
    }
)
"""What this release does; every other RPC answers NOT_IMPLEMENTED_YET."""
