"""Headers from a peer that keeps no rules: they name no principal, forge no log line and break nothing."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from server.authentication.static_keys import StaticKeyAuthenticator
from server.identity_settings import ServiceKey
from services.application.correlation import current_correlation_id
from tests.rpc.edge.edge_server import SERVICE, running_edge
from tests.support.raw_http2 import raw_call

KEY = "gateway-" + "k" * 32
AUTHENTICATOR = StaticKeyAuthenticator(
    [ServiceKey.model_validate({"key": KEY, "name": "gateway", "owner": "gateway", "gateway": True})]
)
BEARER = (b"authorization", f"Bearer {KEY}".encode())

HOSTILE_VALUES = [
    b"a\nforged: line",
    b"a\r\nforged: line",
    b"\x1b[31mred",
    b"nul\x00",
    b"\xff\xfe",
    b"\xc3\x28",
    b'"},{"event":"forged"',
    "я".encode(),
    b"x" * 1000,
    b"",
]


@pytest.mark.parametrize("value", HOSTILE_VALUES)
async def test_a_hostile_correlation_id_is_replaced(value: bytes) -> None:
    seen: list[str | None] = []

    async def handler(request: StringValue, context: Any) -> StringValue:
        seen.append(current_correlation_id())
        return request

    async with running_edge(unary={"Call": handler}, authenticator=AUTHENTICATOR) as edge:
        headers = [BEARER, (b"x-correlation-id", value), (b"traceparent", value), (b"user-agent", value)]
        await raw_call(edge.address, f"/{SERVICE}/Call", headers)
        # The core may refuse such a header itself; if it lets it in, we have replaced it.
        assert all(one is not None and len(one) == 32 and one.isalnum() for one in seen)
        assert len(edge.log_lines()) == len(seen)
        assert all(line["event"] == "rpc" and line["code"] == "OK" for line in edge.log_lines())
        # And the server is as well as before.
        metadata = (("authorization", f"Bearer {KEY}"),)
        assert (await edge.unary("Call", "still here", metadata=metadata)).value == "still here"


async def test_most_hostile_values_do_reach_us() -> None:
    """Else the test above would prove nothing."""
    reached: list[int] = []

    async def handler(request: StringValue, context: Any) -> StringValue:
        reached.append(1)
        return request

    async with running_edge(unary={"Call": handler}, authenticator=AUTHENTICATOR) as edge:
        for value in HOSTILE_VALUES:
            await raw_call(edge.address, f"/{SERVICE}/Call", [BEARER, (b"x-correlation-id", value)])
    assert len(reached) >= len(HOSTILE_VALUES) // 2


@pytest.mark.parametrize("value", [value for value in HOSTILE_VALUES if value])
@pytest.mark.parametrize("name", [b"authorization", b"x-owner-id"])
async def test_a_hostile_credential_or_owner_reaches_no_handler(name: bytes, value: bytes) -> None:
    reached: list[object] = []

    async def handler(request: StringValue, context: Any) -> StringValue:
        reached.append(request)
        return request

    headers = [(name, b"Bearer " + value)] if name == b"authorization" else [BEARER, (name, value)]
    async with running_edge(unary={"Call": handler}, authenticator=AUTHENTICATOR) as edge:
        await raw_call(edge.address, f"/{SERVICE}/Call", headers)
        assert reached == []
        assert {line["event"] for line in edge.log_lines()} <= {"rpc"}
        assert {line.get("reason") for line in edge.log_lines()} <= {"UNAUTHENTICATED", "INVALID_ARGUMENT"}
