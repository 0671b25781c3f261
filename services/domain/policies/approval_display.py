"""A tool call as the person reads it who decides about it: nothing invisible, nothing that only looks like layout.

Every argument is a line `name: value`; text of several lines follows its name with `| ` before each line, so that no
content can pass for another argument. What cannot be seen, or moves what can, is written `\\u{XXXX}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_DISPLAY_BYTES = 64 << 10

_LONG_CHARACTERS = 1000
_NOTE_BYTES = 200
# Printable by their category, and still nothing to see, or a change to how their neighbour looks.
_UNSEEN = frozenset(
    {
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, 0xFFFC, 0x1D159),
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    }
)
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LIKE_JSON = re.compile(r'(-?[0-9]|[{["\s]).*|.*\s|true|false|null|', re.DOTALL)
_CUT_ESCAPE = re.compile(r"\\(u(\{[0-9A-F]*)?)?$")
_FIRST = ("path", "source", "destination", "command", "cwd")
_LINE_FEED, _TAB = 0x0A, 0x09


@dataclass(frozen=True, slots=True)
class Display:
    """A call as text of at most 64 KiB of UTF-8, and whether anything of it is unseen without its escapes."""

    text: str
    has_hidden_characters: bool


def display_of(tool: str, arguments: Mapping[str, object]) -> Display:
    """The display of a call with parsed arguments; the same for equal arguments, whatever their order.

    What is long comes last. A text that must be cut says at its end how much is not shown; hidden characters are looked
    for in all of it.
    """
    layout, line = _Visible(keeps_layout=True), _Visible(keeps_layout=False)
    shown = [tool.translate(line)]
    for name, value in sorted(arguments.items(), key=_place):
        label = name if _PLAIN_NAME.fullmatch(name) else _inline(name, line)
        if isinstance(value, str) and ("\n" in value or (tool, name) == ("write_file", "content")):
            shown.append(f"{label}: {_block(value, layout)}")
        elif isinstance(value, str) and (name == "command" or not _LIKE_JSON.fullmatch(value)):
            shown.append(f"{label}: {_escaped(value, line)}")
        else:
            shown.append(f"{label}: {_inline(value, line)}")
    return Display(_cut("\n".join(shown)), layout.met_hidden or line.met_hidden)


class _Visible(dict[int, int | str]):
    """What `str.translate` writes for each character, found out when it is met."""

    def __init__(self, *, keeps_layout: bool) -> None:
        super().__init__({code: code if keeps_layout else _escape(code) for code in (_LINE_FEED, _TAB)})
        self.met_hidden = False

    def __missing__(self, code: int) -> int | str:
        is_hidden = code in _UNSEEN or not chr(code).isprintable()
        self.met_hidden |= is_hidden
        self[code] = _escape(code) if is_hidden else code
        return self[code]


def _escape(code: int) -> str:
    return f"\\u{{{code:X}}}"


def _escaped(text: str, visible: _Visible) -> str:
    """The text; one that already looks like an escape has its backslash escaped, so that it is not mistaken for one."""
    return text.replace("\\u{", f"{_escape(ord(chr(92)))}u{{").translate(visible)


def _place(argument: tuple[str, object]) -> tuple[bool, int, str]:
    name, value = argument
    is_long = name == "content" or (isinstance(value, str | list | dict) and len(value) > _LONG_CHARACTERS)
    return is_long, _FIRST.index(name) if name in _FIRST else len(_FIRST), name


def _block(text: str, visible: _Visible) -> str:
    if not text:
        return "empty"
    lines = text.count("\n") + 1
    size = f"{lines} line{'s' if lines > 1 else ''}, {len(text.encode(errors='surrogatepass'))} bytes"
    ends = text.count("\r\n")
    if 0 < ends == text.count("\n") == text.count("\r"):
        text = text.replace("\r\n", "\n")
        size += ", lines end in CRLF"
    return "\n| ".join((size, *_escaped(text, visible).split("\n")))


def _inline(value: object, visible: _Visible) -> str:
    """As JSON, with our escapes instead of JSON's."""
    if isinstance(value, str):
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted.translate(visible)}"'
    if isinstance(value, Mapping):
        members = sorted(value.items())
        return "{" + ", ".join(f"{_inline(name, visible)}: {_inline(inner, visible)}" for name, inner in members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(inner, visible) for inner in value) + "]"
    if value is None or isinstance(value, bool):
        return str(value).lower() if value is not None else "null"
    return str(value)


def _cut(text: str) -> str:
    data = text.encode()
    if len(data) <= MAX_DISPLAY_BYTES:
        return text
    head = _CUT_ESCAPE.sub("", data[: MAX_DISPLAY_BYTES - _NOTE_BYTES].decode(errors="ignore"))
    return f"{head}\n[cut here: the last {len(data) - len(head.encode())} of {len(data)} bytes are not shown]"
