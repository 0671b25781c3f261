"""Says whether a message of the contract holds what a domain object holds, by the names that both give their fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp


def assert_alike(wire: Message, thing: object, *, but: frozenset[str] = frozenset()) -> None:
    """Every field of the dataclass, except those named in `but`, is in the message under its name."""
    assert is_dataclass(thing)
    for field in fields(thing):
        if field.name not in but:
            _assert_value(wire, getattr(thing, field.name), field.name)


def _assert_value(wire: Message, value: object, name: str) -> None:
    descriptor: Any = wire.DESCRIPTOR.fields_by_name[name]
    sent: Any = getattr(wire, name)
    if value is None:
        assert sent == descriptor.default_value if descriptor.message_type is None else not wire.HasField(name)
    elif isinstance(value, Mapping):
        assert dict(sent) == dict(value)
    elif isinstance(value, tuple):
        assert len(sent) == len(value)
        for one, expected in zip(sent, value, strict=True):
            _assert_one(one, descriptor, expected)
    else:
        _assert_one(sent, descriptor, value)


def _assert_one(sent: Any, descriptor: Any, value: object) -> None:
    if isinstance(value, Enum):
        assert descriptor.enum_type.values_by_number[sent].name.endswith(f"_{value.value.upper()}")
    elif isinstance(value, datetime):
        assert isinstance(sent, Timestamp)
        assert sent.ToDatetime(tzinfo=UTC) == value
    elif isinstance(value, timedelta):
        assert isinstance(sent, Duration)
        assert sent.ToTimedelta() == value
    elif isinstance(sent, Duration):
        assert sent.ToMilliseconds() == round(float(str(value)) * 1000)
    elif isinstance(sent, Message):
        assert_alike(sent, value)
    else:
        assert sent == value
