"""Arguments of a tool call: read strictly, and bound to what a person approved by a hash.

Nothing is guessed or mended: what runs must be what was shown, so a text that two readers could read differently (keys
given twice, numbers beyond any range) is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping

MAX_DEPTH = 64
MAX_DIGITS = 4300

_MEBIBYTE = 1024 * 1024
_BROKEN_CHARACTER = re.compile("[\ud800-\udfff]")


class ArgumentsError(ValueError):
    """The text is no acceptable set of arguments; the message says why, in words for the model."""


def parse_arguments(text: str, *, max_bytes: int = _MEBIBYTE) -> dict[str, object]:
    """The arguments in a JSON text: exactly one object, with nothing around it but white space.

    Raises ArgumentsError for more than `max_bytes` of UTF-8, a key given twice, NaN or Infinity, a number out of range
    (over 4,300 digits, or beyond a double), more than 64 levels, or text that is not Unicode.
    """
    if len(text) > max_bytes or len(text.encode(errors="replace")) > max_bytes:
        raise ArgumentsError(f"the arguments are longer than {max_bytes} bytes")
    if not text.strip():
        raise ArgumentsError("the arguments are empty; without arguments, send {}")
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_float,
            parse_int=_int,
        )
    except json.JSONDecodeError as error:
        raise ArgumentsError(f"the arguments are not valid JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise _too_deep() from None
    if not isinstance(value, dict):
        raise ArgumentsError("the arguments must be one JSON object")
    _check(value)
    return value


def canonical_json(value: object) -> str:
    """The same text for the same JSON value: keys sorted, no spaces, characters as they are.

    As RFC 8785, but numbers keep the form that Python gives them, so that integers beyond a double stay exact. Raises
    ValueError for what is not JSON.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    if _BROKEN_CHARACTER.search(text):
        raise ValueError("the value contains broken characters")
    return text


def arguments_hash(
    tool: str, arguments: Mapping[str, object], session_id: str, call_id: str, policy_version: str
) -> str:
    """SHA-256, in hexadecimal, of everything an approval is about; a decision must echo it."""
    approved = {
        "arguments": dict(arguments),
        "call_id": call_id,
        "policy_version": policy_version,
        "session_id": session_id,
        "tool": tool,
    }
    return hashlib.sha256(canonical_json(approved).encode()).hexdigest()


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in members if keys.count(key) > 1)
        raise ArgumentsError(f"the key {twice[:100]!a} is given twice")
    return members


def _refuse_constant(name: str) -> object:
    raise ArgumentsError(f"{name} is not a JSON number")


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ArgumentsError("a number is out of range")
    return value


def _int(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        raise ArgumentsError(f"a number has more than {MAX_DIGITS} digits")
    return int(digits)


def _check(value: dict[str, object]) -> None:
    """Depth and characters, level by level: however deep a value is, checking it is not."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                _check_texts(item)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
            elif isinstance(item, str):
                _check_texts((item,))
        level = below
    if any(isinstance(item, dict | list) for item in level):
        raise _too_deep()
    _check_texts(item for item in level if isinstance(item, str))


def _check_texts(texts: Iterable[str]) -> None:
    if any(_BROKEN_CHARACTER.search(text) for text in texts):
        raise ArgumentsError("a text contains half of a surrogate pair, which is not a character")


def _too_deep() -> ArgumentsError:
    return ArgumentsError(f"the arguments are nested more than {MAX_DEPTH} levels deep")
