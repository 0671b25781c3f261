"""Moments and spans: aware datetimes and seconds here, Timestamp and Duration on the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_A_DAY = 86_400
_NANOS_A_SECOND = 1_000_000_000


def fill_timestamp(wire: Timestamp, time: datetime) -> None:
    """Writes the moment into a message that is already in place, which is twice as fast as assigning it."""
    since = time - _EPOCH
    wire.seconds = since.days * _SECONDS_A_DAY + since.seconds
    wire.nanos = since.microseconds * 1_000


def to_timestamp(time: datetime) -> Timestamp:
    """The moment, to the microsecond."""
    wire = Timestamp()
    fill_timestamp(wire, time)
    return wire


def to_datetime(wire: Timestamp) -> datetime:
    """The moment in UTC, cut to the microsecond. Raises ValueError outside of the years 1 to 9999."""
    if not 0 <= wire.nanos < _NANOS_A_SECOND:
        raise ValueError("nanos out of range")
    try:
        return _EPOCH + timedelta(seconds=wire.seconds, microseconds=wire.nanos // 1_000)
    except OverflowError as error:
        raise ValueError("seconds out of range") from error


def to_duration(span: timedelta | float) -> Duration:
    """The span; a number is seconds."""
    wire = Duration()
    if isinstance(span, timedelta):
        wire.FromTimedelta(span)
    else:
        wire.FromNanoseconds(round(span * _NANOS_A_SECOND))
    return wire
