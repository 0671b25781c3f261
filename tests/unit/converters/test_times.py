"""Moments and spans keep their microseconds, and what is no moment is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from server.converters.times import to_datetime, to_duration, to_timestamp


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_comes_back(moment: datetime) -> None:
    wire = to_timestamp(moment)
    assert to_datetime(wire) == moment
    assert wire.ToDatetime(tzinfo=UTC) == moment


def test_a_naive_moment_is_an_error_of_ours() -> None:
    with pytest.raises(TypeError):
        to_timestamp(datetime(2030, 1, 1))


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(2**63 - 1, 0), (-(2**63), 0), (253_402_300_800, 0), (0, -1), (0, 1_000_000_000)]
)
def test_what_is_no_moment_is_refused(seconds: int, nanos: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        to_datetime(Timestamp(seconds=seconds, nanos=nanos))


def test_nanoseconds_are_cut() -> None:
    assert to_datetime(Timestamp(seconds=1, nanos=999)) == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


def test_a_span_is_of_seconds_or_a_timedelta() -> None:
    assert to_duration(1.25).ToTimedelta() == timedelta(seconds=1.25)
    assert to_duration(timedelta(days=2, microseconds=1)).ToTimedelta() == timedelta(days=2, microseconds=1)
