"""Patterns of approval rules."""

from __future__ import annotations

from functools import lru_cache

from services.domain.policies.approval_rules import Matches
from services.infrastructure.tools.linear_patterns import Pattern, compile_pattern

_WORK = 8_000_000  # steps of one call's patterns together, some 50 ms when all are as slow as they can be


class Re2Patterns:
    """The `Patterns` of RE2; keeps the newest few compiled."""

    def flaw_of(self, pattern: str) -> str | None:
        try:
            _whole(pattern)
        except ValueError as error:
            return f"is no RE2 pattern: {error}"
        return None

    def matching(self) -> Matches:
        left = _WORK

        def matches(pattern: str, text: str) -> bool | None:
            nonlocal left
            try:
                whole = _whole(pattern)
            except ValueError:
                return False
            left -= whole.programsize * len(text)
            return whole.search(text) is not None if left >= 0 else None

        return matches


@lru_cache(maxsize=256)
def _whole(pattern: str) -> Pattern:
    """The pattern for a whole text, lines and all; compiled by itself first, so that it cannot close the group it is
    put into.
    """
    compile_pattern(pattern)
    return compile_pattern(rf"\A(?s:{pattern})\z")
