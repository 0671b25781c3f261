"""Which correlation ids and traces of callers are taken over: those that are harmless in logs and headers."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

CORRELATION_ID_KEY = "x-correlation-id"
TRACEPARENT_KEY = "traceparent"

_CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def correlation_id_from(metadata: Sequence[tuple[str, str | bytes]]) -> str:
    """The caller's id if it sent exactly one and it is harmless in logs and headers, else a new one."""
    value = _only_value(metadata, CORRELATION_ID_KEY)
    return value if value is not None and _CORRELATION_ID.fullmatch(value) else secrets.token_hex(16)


def traceparent_from(metadata: Sequence[tuple[str, str | bytes]]) -> str | None:
    """The caller's `traceparent` if it sent exactly one and it follows the W3C format to the letter."""
    value = _only_value(metadata, TRACEPARENT_KEY)
    return value if value is not None and _TRACEPARENT.fullmatch(value) else None


def _only_value(metadata: Sequence[tuple[str, str | bytes]], key: str) -> str | None:
    values = [value for name, value in metadata if name == key]
    return values[0] if len(values) == 1 and isinstance(values[0], str) else None
