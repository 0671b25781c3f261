"""How entities and events become text in a row, and come back: JSON by their dataclass fields, decoded strictly by
type.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, get_args

import msgspec

from services.domain.domain_events import Fact
from services.domain.session_events import Payload

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def encode(entity: object) -> str:
    """The entity as JSON text; NUL and other controls are escaped, so both databases take it."""
    return _encoder.encode(entity).decode()


def decode(text: str, kind: Callable[..., T]) -> T:
    """The entity of that class. Raises msgspec.ValidationError when the text is not one."""
    decoded: T = _decoder(kind).decode(text)
    return decoded


def kind_of(payload: Payload) -> str:
    """The name under which events of this class are stored."""
    return _KINDS[type(payload)]


def decode_payload(kind: str, text: str) -> Payload:
    """The event payload stored under that kind."""
    payload: Payload = _decoder(_PAYLOADS[kind]).decode(text)
    return payload


def to_microseconds(time: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (time - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The aware UTC time of `to_microseconds`."""
    return _EPOCH + microseconds * _MICROSECOND


def encode_fact(fact: Fact) -> tuple[str, str]:
    """The kind and text under which a domain event's fact is stored."""
    return type(fact).__name__, encode(fact)


def decode_fact(kind: str, text: str) -> Fact:
    """The fact stored under that kind."""
    fact: Fact = _decoder(_FACTS[kind]).decode(text)
    return fact


def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    return decoder


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


_FACTS: dict[str, type[Fact]] = {cls.__name__: cls for cls in get_args(Fact)}
_PAYLOADS: dict[str, type[Payload]] = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower(): cls for cls in get_args(Payload)
}
_KINDS = {cls: kind for kind, cls in _PAYLOADS.items()}
