"""Whatever bytes a caller sends as a request, reading them ends in fields or in a refusal, in nothing else (G10)."""

from __future__ import annotations

from random import Random

import pytest
from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from server.converters.page_tokens import PageTokens
from server.errors import MAX_DETAILS_BYTES, status_of
from services.domain.errors import InvalidArgumentError, NotImplementedYetError, RuntimeServiceError
from tests.support.clock import ManualClock
from tests.support.odd_requests import OddRequests
from tests.support.readers import READERS
from tests.support.rpcs import OFFERED, RPCS, Rpc

each_rpc = pytest.mark.parametrize("rpc", [rpc for rpc in RPCS if rpc.name in OFFERED], ids=lambda rpc: rpc.name)
TOKENS = PageTokens(b"s" * 32, ManualClock())


def refusal(rpc: Rpc, data: bytes) -> RuntimeServiceError | None:
    """All that the server does before a use case is asked; anything but a refusal or none is raised."""
    try:
        request = rpc.request.FromString(data)
    except DecodeError:
        return None  # refused by whoever decodes
    try:
        READERS[rpc.name](request)
        if "page_token" in rpc.request.DESCRIPTOR.fields_by_name:
            TOKENS.read("owner", request)  # type: ignore[arg-type]
    except (InvalidArgumentError, NotImplementedYetError) as error:
        return error
    return None


def read(rpc: Rpc, data: bytes) -> None:
    refused = refusal(rpc, data)
    if isinstance(refused, InvalidArgumentError):
        assert refused.violations
        assert all(violation.description for violation in refused.violations)
    if refused is not None:
        assert status_of(refused).ByteSize() <= MAX_DETAILS_BYTES


def test_every_rpc_has_a_reader() -> None:
    assert set(READERS) == OFFERED


def test_protobuf_is_decoded_by_the_library_that_bounds_depth() -> None:
    assert api_implementation.Type() == "upb"


@each_rpc
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
@example(seed=0)
def test_odd_requests_are_read_or_refused(rpc: Rpc, seed: int) -> None:
    odd = OddRequests(Random(seed), known=["s1"])
    for _ in range(8):
        read(rpc, odd.bytes_for(rpc))


@each_rpc
@settings(max_examples=50, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(rpc: Rpc, data: bytes) -> None:
    read(rpc, data)
