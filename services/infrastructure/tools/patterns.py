"""Patterns of approval rules."""

from __future__ import annotations

from functools import lru_cache

from services.infrastructure.tools.linear_patterns import Pattern, compile_pattern


class Re2Patterns:
    """The `Patterns` of RE2; keeps the newest few compiled."""

    def flaw_of(self, pattern: str) -> str | None:
        try:
            _whole(pattern)
        except ValueError as error:
            return f"is no RE2 pattern: {error}"
        return None

    def matches(self, pattern: str, text: str) -> bool:
        try:
            return _whole(pattern).search(text) is not None
        except ValueError:
            return False


@lru_cache(maxsize=256)
def _whole(pattern: str) -> Pattern:
    """The pattern for a whole text; compiled by itself first, so that it cannot close the group it is put into."""
    compile_pattern(pattern)
    return compile_pattern(rf"\A(?:{pattern})\z")
