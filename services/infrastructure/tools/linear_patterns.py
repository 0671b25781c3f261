"""Regular expressions that strangers wrote: matched in linear time, within bounded memory, or refused."""

from __future__ import annotations

from typing import Protocol, cast

import re2

MAX_PATTERN_CHARACTERS = 1000

_MEMORY_BYTES = 64 << 10  # of one pattern, compiled


class Pattern(Protocol):
    """A compiled pattern; `programsize` says how much work one character can be."""

    programsize: int

    def search(self, text: str) -> object | None:
        """Anything but None if it matches somewhere in the text."""


def compile_pattern(pattern: str) -> Pattern:
    """The pattern, compiled. Raises ValueError with the reason for one that RE2 does not take, or a large one."""
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise ValueError(f"it has more than {MAX_PATTERN_CHARACTERS} characters")
    options = re2.Options()
    options.max_mem = _MEMORY_BYTES
    options.log_errors = False
    try:
        return cast(Pattern, re2.compile(pattern, options))
    except re2.error as error:
        (reason,) = error.args
        raise ValueError(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from None
