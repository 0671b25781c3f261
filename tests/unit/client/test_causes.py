"""Why there is no connection: what never passes is not tried again, and a person is told at once."""

from __future__ import annotations

import grpc
import pytest

from client.channel import open_channel
from client.errors import RuntimeCallError, call_error
from client.reconnection import Backoff, ReconnectPolicy
from tests.support.credentials import Authority


async def _error_of(address: str, authority: Authority) -> RuntimeCallError:
    credentials = grpc.ssl_channel_credentials(authority.certificate)
    async with open_channel(address, credentials) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/any/call")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"", timeout=10)
    error = call_error(caught.value)
    assert isinstance(error, RuntimeCallError)
    return error


@pytest.mark.parametrize(
    ("name", "encrypted", "believed", "cause"),
    [
        ("127.0.0.1", True, False, "the server's certificate is not believed"),
        ("other.example", True, True, "the server's certificate is for another name"),
        ("127.0.0.1", False, True, "the server does not speak TLS on this port"),
    ],
)
async def test_what_is_wrong_with_encryption_is_said_and_never_passes(
    name: str, encrypted: bool, believed: bool, cause: str
) -> None:
    authority = Authority()
    certificate, key = authority.issue(name)
    server = grpc.aio.server()
    credentials = grpc.ssl_server_credentials([(key, certificate)])
    address = "127.0.0.1:0"
    port = server.add_secure_port(address, credentials) if encrypted else server.add_insecure_port(address)
    await server.start()
    try:
        error = await _error_of(f"127.0.0.1:{port}", authority if believed else Authority())
    finally:
        await server.stop(0)
    assert error.cause == cause
    assert not error.passes
    with pytest.raises(RuntimeCallError):
        await Backoff(ReconnectPolicy()).before_next_try(error)


def test_a_name_nobody_knows_is_said_and_may_be_known_later() -> None:
    """A machine that has just lost its network knows no names."""
    error = RuntimeCallError(grpc.StatusCode.UNAVAILABLE, "errors resolving x:1: [… Domain name not found]")
    assert error.cause == "no such host is known"
    assert error.passes


def test_a_server_that_is_away_has_no_further_cause() -> None:
    error = RuntimeCallError(grpc.StatusCode.UNAVAILABLE, "last error: Failed to connect: Connection refused")
    assert error.cause == ""
    assert error.passes
