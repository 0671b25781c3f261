"""Calls that a test expects to be refused, and what the refusal says."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import grpc

from tests.support.runtime_client import RuntimeClient, read_rest, refused


async def send(client: RuntimeClient, **fields: Any) -> None:
    """SendMessage with any fields, read to its end."""
    await read_rest(client.send_input(**fields))


async def wrong_fields(attempt: Awaitable[object]) -> dict[str, str]:
    """The field violations with which a call is refused."""
    async with refused() as refusal:
        await attempt
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    assert all(refusal().fields.values())
    return refusal().fields


async def not_yet(attempt: Awaitable[object], feature: str) -> None:
    """Expects a call to be refused because it uses what is not offered yet."""
    async with refused() as refusal:
        await attempt
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.UNIMPLEMENTED, "NOT_IMPLEMENTED_YET")
    assert feature in refusal().message
