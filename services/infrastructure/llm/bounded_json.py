"""JSON from a provider: decoded fast, refused when deep, and with text that a database and protobuf can hold."""

from __future__ import annotations

import re

import msgspec

from services.infrastructure.llm.failures import bad_upstream

MAX_DEPTH = 64

_decoder = msgspec.json.Decoder()
_surrogates = re.compile(
    rb"(\\[^u])"  # any other escape, so that an escaped backslash is not taken for the start of one
    rb"|(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"  # a proper pair
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_unstorable = re.compile("[\x00\ud800-\udfff]")


def decode_json(data: bytes) -> object:
    """The value of a JSON text. Lone surrogate escapes become U+FFFD.

    Raises UpstreamError for what is not JSON (NaN and overflowing numbers included) or nests more than 64 deep.
    """
    try:
        try:
            value: object = _decoder.decode(data)
        except msgspec.DecodeError:
            repaired = _surrogates.sub(lambda m: m[0] if m[1] or m[2] else b"\\ufffd", data)
            if repaired == data:
                raise
            value = _decoder.decode(repaired)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise bad_upstream() from error
    # Counting brackets is cheap and almost always enough to know that the value is shallow.
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        raise bad_upstream()
    return value


def is_json_object(text: str | bytes) -> bool:
    """Whether this is the complete text of a JSON object."""
    try:
        return isinstance(_decoder.decode(text), dict)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False


def clean_text(text: str) -> str:
    """The text with U+FFFD for NUL and lone surrogates, which neither PostgreSQL nor protobuf can hold."""
    return text if text.isascii() and "\x00" not in text else _unstorable.sub("\ufffd", text)


def canonical_json(value: object) -> str:
    """The same text for the same value: sorted keys, no spaces."""
    return msgspec.json.encode(value, order="deterministic").decode()


def _deeper_than(value: object, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        level = below
    return any(isinstance(item, (dict, list)) for item in level)
