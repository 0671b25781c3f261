"""Patterns of paths, small enough to be sure of: `*` is part of one name, `**` is any number of folders.

`*.md` without a slash means a name at any depth; `docs/*.md` means directly in docs, `docs/**` everything below it.
A `*` that begins a name stands for at least one character, so that `*.md` is not a file called `.md`. The case of
letters, and how accents are composed, makes no difference. Names are matched from left to right and never anew, so
that no pattern makes a long name slow.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def path_matches(pattern: str, path: str) -> bool:
    """Whether the whole path matches; both in normal form, relative, with `/`."""
    names = _folded(path).split("/")
    expected = _folded(pattern).split("/")
    if len(expected) == 1:
        expected.insert(0, "**")
    first, *rest = _split_at_any_depth(expected)
    if not rest:
        return _names_match(first, names)
    *middle, last = rest
    # What follows a final ** is at least one name: docs/** is not docs itself.
    end = len(names) - max(1, len(last))
    if len(first) > end or not _names_match(first, names[: len(first)]):
        return False
    if last and not _names_match(last, names[end:]):
        return False
    position = len(first)
    for group in middle:
        while position + len(group) <= end and not _names_match(group, names[position : position + len(group)]):
            position += 1
        position += len(group)
    return position <= end


def _split_at_any_depth(expected: Sequence[str]) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for name in expected:
        if name == "**":
            groups.append([])
        else:
            groups[-1].append(name)
    return groups


def _names_match(expected: Sequence[str], names: Sequence[str]) -> bool:
    return len(expected) == len(names) and all(map(_name_matches, expected, names))


def _name_matches(pattern: str, name: str) -> bool:
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == name
    *middle, last = rest
    if not name.startswith(first):
        return False
    position = len(first) or 1
    for piece in middle:
        found = name.find(piece, position)
        if found < 0:
            return False
        position = found + len(piece)
    return position + len(last) <= len(name) and name.endswith(last)


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).lower()
