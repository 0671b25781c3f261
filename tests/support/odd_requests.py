"""Requests that no honest client sends, made from the descriptors by a generator of random numbers: the same again for
the same seed.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tests.support.odd_texts import INJECTIONS, JSON_TEXTS, TEXTS
from tests.support.rpcs import Rpc

_WHOLE = {FieldDescriptor.TYPE_INT32: 31, FieldDescriptor.TYPE_INT64: 63}
_SMALL = 1000
_TAME = {"agent": "universal", "current_agent": "universal", "tool": "write_file"}
# A request for a reader that looks for groups in groups, or for a length that is not there.
_BAD_WIRE = (
    b"\x0b" * 101 + b"\x0c" * 101,
    b"\x0b" * 200,
    b"\x0a\xff\xff\xff\xff\x0f",
    b"\xff" * 20,
    b"\x0a\x02\xc3\x28",
    b"\x0a\x03\xed\xa0\x80",
    b"\x08" + b"\x80" * 11 + b"\x01",
    b"\x00",
    b"\x0e",
    b"\x0c",
    b"\x07\x01",
)


class OddRequests:
    """Makes requests; `known` are ids that mean something to the server, so that some get behind the first door."""

    def __init__(self, rng: Random, known: Sequence[str] = ()) -> None:
        self._rng = rng
        self._known = tuple(known)
        self._oddity = 1.0

    def structured(self, rpc: Rpc) -> Message:
        """A request with some fields set: to what is fine, to limits, and to what never can be. Some have but one odd
        value in them, since such get furthest.
        """
        self._oddity = self._rng.choice((0.0, 0.05, 0.2, 1.0))
        return self._filled(rpc.request(), depth=0)

    def nearly(self, good: Message) -> Message:
        """A good request with one field of it, at any depth, cleared or made odd."""
        self._oddity = 1.0
        request = type(good)()
        request.CopyFrom(good)
        inner: Any = request
        while True:
            field = self._rng.choice(inner.DESCRIPTOR.fields)
            deeper = field.message_type is not None and not field.is_repeated and inner.HasField(field.name)
            if not deeper or self._rng.random() < 0.2:
                break
            inner = getattr(inner, field.name)
        inner.ClearField(field.name)
        if self._rng.random() < 0.8:
            self._fill(inner, field, depth=2)
        return request

    def bytes_for(self, rpc: Rpc, good: Message | None = None) -> bytes:
        """What goes out on the wire: an odd request, or one whose bytes were changed afterwards."""
        request = self.structured(rpc) if good is None or self._rng.random() < 0.5 else self.nearly(good)
        data = request.SerializeToString()
        return data if self._rng.random() < 0.7 else self.mutated(data)

    def mutated(self, data: bytes) -> bytes:
        """The bytes with one to three things done to them."""
        changed = bytearray(data)
        for _ in range(self._rng.randint(1, 3)):
            self._change(changed)
        return bytes(changed)

    def _change(self, data: bytearray) -> None:
        rng = self._rng
        at = rng.randrange(len(data) + 1)
        match rng.randrange(8):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:]
            case 2:
                data[at:at] = rng.randbytes(rng.randint(1, 8))
            case 3:
                del data[at : at + rng.randint(1, 8)]
            case 4:
                data[at:at] = data[:64]
            case 5:
                data[at:at] = rng.choice(_BAD_WIRE)
            case 6:
                data += rng.choice(_BAD_WIRE)
            case _:
                data[at : at + 1] = b"\xff"

    def _filled(self, message: Message, depth: int) -> Message:
        for field in message.DESCRIPTOR.fields:
            if self._rng.random() < (0.85 if field.name == "session_id" else 0.5):
                self._fill(message, field, depth)
        return message

    def _fill(self, message: Any, field: Any, depth: int) -> None:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for _ in range(self._count()):
                getattr(message, field.name)[self._text("label")] = self._text("label")
        elif field.is_repeated:
            for _ in range(self._count()):
                if field.message_type is None:
                    getattr(message, field.name).append(self._value(field))
                else:
                    self._filled(getattr(message, field.name).add(), depth + 1)
        elif field.message_type is None:
            setattr(message, field.name, self._value(field))
        elif depth < 4:
            inner = getattr(message, field.name)
            inner.SetInParent()
            self._filled(inner, depth + 1)

    def _count(self) -> int:
        return self._rng.choice((0, 1, 1, 2, 3, 70)) if self._is_odd() else 1

    def _is_odd(self) -> bool:
        return self._rng.random() < self._oddity

    def _value(self, field: Any) -> Any:
        if field.type == FieldDescriptor.TYPE_STRING:
            return self._text(field.name) if self._is_odd() else self._tame_text(field.name)
        if field.type == FieldDescriptor.TYPE_BOOL:
            # Streams that end are streams that can be counted.
            return field.name in ("detach", "stop_at_head") or self._rng.random() < 0.5
        if not self._is_odd():
            return 1
        if field.type == FieldDescriptor.TYPE_ENUM:
            return self._rng.choice((*field.enum_type.values_by_number, -1, 99, 2**31 - 1))
        bits = _WHOLE[field.type]
        edges = (0, 1, -1, 2, 500, 501, 10_000, 10_001, 999_999_999, 10**9, 2**bits - 1, -(2**bits))
        return self._rng.choice((*edges, self._rng.randrange(-(2**bits), 2**bits)))

    def _tame_text(self, name: str) -> str:
        if name == "session_id" and self._known:
            return self._rng.choice(self._known)
        if name == "page_token":
            return ""
        return "{}" if "json" in name else _TAME.get(name, "a")

    def _text(self, name: str) -> str:
        rng = self._rng
        if "json" in name and rng.random() < 0.7:
            return rng.choice(JSON_TEXTS)
        if name.endswith("_id") and self._known and rng.random() < 0.6:
            return rng.choice(self._known)
        pool = INJECTIONS if rng.random() < 0.4 else TEXTS
        chosen = rng.choice(pool)
        # Large ones are rare, since they cost a request's time and find nothing new the second time.
        return chosen if len(chosen) <= _SMALL or rng.random() < 0.1 else chosen[:_SMALL]


def bomb(size: int) -> bytes:
    """So many zeros, compressed."""
    return gzip.compress(bytes(size), compresslevel=9)
