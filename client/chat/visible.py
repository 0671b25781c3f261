"""Shows text from models and files as what it is: nothing in it may steer the terminal or hide from the reader."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.text import Text

_PLAIN = re.compile(r"[ -~\n\t]*")
_LAYOUT = "\n\t"
# Printable by their category, and still nothing to see.
_BLANK = frozenset({0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, 0xFFFC, *range(0xE0100, 0xE01F0)})
# Joiners of emoji and spaces of other widths: harmless in an answer, worth a look in what a person approves.
_HARMLESS = frozenset({0x200D, *range(0xFE00, 0xFE10), 0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000})
_WARNING = "bold red reverse"


def visible(text: str) -> str:
    """The text of an answer with every hidden character escaped, as `\\x1b` or `\\u202e`; line feeds and tabs stay."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(piece for piece, _ in _pieces(text, allowed=_HARMLESS))


def exact(text: str, style: str = "") -> Text:
    """The text of something to be approved: every hidden character escaped, and the escapes marked as such."""
    if _PLAIN.fullmatch(text):
        return Text(text, style=style)
    return Text.assemble(*((piece, _WARNING if escaped else "") for piece, escaped in _pieces(text)), style=style)


def has_hidden(text: str) -> bool:
    """Whether `exact` would mark something. A carriage return before a line feed is no reason to worry."""
    unix = text.replace("\r\n", "\n")
    return not _PLAIN.fullmatch(unix) and any(escaped for _, escaped in _pieces(unix))


def one_line(text: str, limit: int) -> str:
    """The text on one line of at most `limit` characters."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _pieces(text: str, allowed: frozenset[int] = frozenset()) -> Iterator[tuple[str, bool]]:
    for character in text:
        number = ord(character)
        is_hidden = not character.isprintable() or number in _BLANK or number in _HARMLESS
        if character in _LAYOUT or number in allowed or not is_hidden:
            yield character, False
        else:
            yield _escape(number), True


def _escape(number: int) -> str:
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
