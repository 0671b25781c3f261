"""How a session gets its title from its first message."""

from __future__ import annotations

import unicodedata

MAX_TITLE_LENGTH = 500

_ZERO_WIDTH_JOINER = "\u200d"


def title_from(text: str) -> str:
    """The text stripped and cut to 500 characters, never in the middle of what a reader sees as one character."""
    stripped = text.strip()
    if len(stripped) <= MAX_TITLE_LENGTH:
        return stripped
    end = MAX_TITLE_LENGTH
    while end > 0 and _continues(stripped, end):
        end -= 1
    # A run longer than the title itself (five hundred accents on one letter) has no good place to cut.
    return (stripped[:end] or stripped[:MAX_TITLE_LENGTH]).rstrip()


def _continues(text: str, index: int) -> bool:
    """Whether the character at `index` belongs to the same visible character as the one before it."""
    char, before = text[index], text[index - 1]
    if unicodedata.category(char) in ("Mn", "Me", "Mc") or char == _ZERO_WIDTH_JOINER or before == _ZERO_WIDTH_JOINER:
        return True
    if before == "\r" and char == "\n":
        return True
    if "\U0001f3fb" <= char <= "\U0001f3ff" or "\U000e0020" <= char <= "\U000e007f":  # skin tones, tag sequences
        return True
    if _is_hangul_jamo(char) and (_is_hangul_jamo(before) or "\uac00" <= before <= "\ud7a3"):
        return True
    return _is_regional(char) and _regionals_before(text, index) % 2 == 1


def _is_hangul_jamo(char: str) -> bool:
    return "\u1100" <= char <= "\u11ff"


def _is_regional(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _regionals_before(text: str, index: int) -> int:
    count = 0
    while count < index and _is_regional(text[index - 1 - count]):
        count += 1
    return count
