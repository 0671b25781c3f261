"""No call gets past a missing credential, and no handler sees another principal than the key proves."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from server.authentication.static_keys import StaticKeyAuthenticator
from server.identity_settings import ServiceKey
from server.interceptors.authentication import current_principal
from services.domain.errors import UnauthenticatedError
from tests.rpc.edge.edge_server import OPERATIONS, running_edge
from tests.rpc.edge.rpc_errors import refusal_of

GATEWAY, USER, OPERATOR = "gateway-" + "k" * 32, "user-" + "k" * 32, "operator-" + "k" * 32

AUTHENTICATOR = StaticKeyAuthenticator(
    [
        ServiceKey.model_validate({"key": GATEWAY, "name": "gateway", "owner": "gateway", "gateway": True}),
        ServiceKey.model_validate({"key": USER, "name": "user", "owner": "alice"}),
        ServiceKey.model_validate({"key": OPERATOR, "name": "operator", "owner": "ops", "roles": ["operator"]}),
    ]
)


def bearer(key: str, *more: tuple[str, str | bytes]) -> tuple[tuple[str, str | bytes], ...]:
    return (("authorization", f"Bearer {key}"), *more)


async def who(request: StringValue, context: Any) -> StringValue:
    principal = current_principal()
    return StringValue(value=f"{principal.name} for {principal.owner_id}")


async def who_in_stream(request: StringValue, context: Any) -> None:
    await context.write(await who(request, context))


async def test_the_handler_sees_the_principal_of_the_key() -> None:
    async with running_edge(unary={"Call": who}, streams={"Watch": who_in_stream}, authenticator=AUTHENTICATOR) as edge:
        assert (await edge.unary("Call", metadata=bearer(USER))).value == "user for alice"
        acting = bearer(GATEWAY, ("x-owner-id", "bob"))
        assert (await edge.unary("Call", metadata=acting)).value == "gateway for bob"
        assert [message.value async for message in edge.stream("Watch", metadata=acting)] == ["gateway for bob"]
        assert [(line["principal"], line["owner"]) for line in edge.log_lines("rpc")] == [
            ("user", "alice"),
            ("gateway", "bob"),
            ("gateway", "bob"),
        ]


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        bearer(""),
        bearer("wrong-" + "k" * 32),
        bearer(USER, ("authorization", f"Bearer {USER}")),
        (("authorization-bin", f"Bearer {USER}".encode()),),
    ],
)
async def test_strangers_reach_no_handler_and_their_credential_no_log(
    metadata: tuple[tuple[str, str | bytes], ...],
) -> None:
    reached: list[object] = []

    async def handler(request: StringValue, context: Any) -> StringValue:
        reached.append(request)
        return request

    async with running_edge(unary={"Call": handler}, streams={"Watch": handler}, authenticator=AUTHENTICATOR) as edge:
        refusals = [
            await refusal_of(edge.unary("Call", metadata=metadata)),
            await refusal_of(edge.stream("Watch", metadata=metadata)),
            # Not even whether the request was well-formed.
            await refusal_of(edge.unary("Call", b"\xff", metadata=metadata)),
        ]
        assert {refusal.code for refusal in refusals} == {grpc.StatusCode.UNAUTHENTICATED}
        assert {refusal.message for refusal in refusals} == {"a valid credential is required"}
        assert reached == []
        assert "k" * 32 not in edge.log.getvalue()
        assert not any("principal" in line for line in edge.log_lines("rpc"))


async def test_only_a_gateway_may_name_an_owner() -> None:
    async with running_edge(unary={"Call": who}, authenticator=AUTHENTICATOR) as edge:
        refusal = await refusal_of(edge.unary("Call", metadata=bearer(USER, ("x-owner-id", "bob"))))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "GATEWAY_KEY_REQUIRED")
        malformed = await refusal_of(edge.unary("Call", metadata=bearer(GATEWAY, ("x-owner-id", "b b"))))
        assert (malformed.code, malformed.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("x-owner-id",))


async def test_operations_are_for_operators() -> None:
    async with running_edge(operations={"GetStatus": who}, authenticator=AUTHENTICATOR) as edge:
        refusal = await refusal_of(edge.unary("GetStatus", metadata=bearer(USER), service=OPERATIONS))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "OPERATOR_ROLE_REQUIRED")
        answer = await edge.unary("GetStatus", metadata=bearer(OPERATOR), service=OPERATIONS)
        assert answer.value == "operator for ops"


async def test_nobody_is_the_principal_outside_of_a_call() -> None:
    with pytest.raises(UnauthenticatedError):
        current_principal()
