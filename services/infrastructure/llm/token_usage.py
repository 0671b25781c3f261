"""Reads a provider's token counts, which may be missing, null or nonsense, and estimates them where there are none."""

from __future__ import annotations

from collections.abc import Mapping

from services.domain.model_exchange import Usage

_BYTES_PER_TOKEN = 4
_MAX_TOKENS = 2**31 - 1


def parse_usage(value: object) -> Usage | None:
    """The usage a provider reported, or None if it reports no count of prompt or completion tokens."""
    if not isinstance(value, Mapping) or not ("prompt_tokens" in value or "completion_tokens" in value):
        return None
    return Usage(
        prompt_tokens=_count(value, "prompt_tokens"),
        completion_tokens=_count(value, "completion_tokens"),
        cached_tokens=_count(value.get("prompt_tokens_details"), "cached_tokens"),
        reasoning_tokens=_count(value.get("completion_tokens_details"), "reasoning_tokens"),
    )


def estimated_usage(request_bytes: int, answer_bytes: int) -> Usage:
    """A guess by size, marked as one."""
    return Usage(
        prompt_tokens=-(-request_bytes // _BYTES_PER_TOKEN),
        completion_tokens=-(-answer_bytes // _BYTES_PER_TOKEN),
        estimated=True,
    )


def _count(holder: object, name: str) -> int:
    value = holder.get(name) if isinstance(holder, Mapping) else None
    return min(max(value, 0), _MAX_TOKENS) if type(value) is int else 0
