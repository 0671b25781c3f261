"""What was used, split by model and by tool: the terms of every sum of costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from services.domain.model_exchange import Usage

MAX_NAMES = 100
"""Names a sum is split by; what comes after them is counted as OTHER. Models invent names of tools without end."""
OTHER = "(other)"
_MAX_NAME = 200  # characters

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What one model gave and took; `model_time` is in seconds, from request to last piece, over all answers."""

    model_calls: int = 0
    model_time: float = 0.0
    usage: Usage = field(default_factory=Usage)

    def __add__(self, other: ModelUsage) -> ModelUsage:
        return ModelUsage(
            self.model_calls + other.model_calls,
            self.model_time + other.model_time,
            self.usage + other.usage,
        )


@dataclass(frozen=True, slots=True)
class ToolUsage:
    """Calls of one tool: all that were made, and those with an error result."""

    tool_calls: int = 0
    failed_tool_calls: int = 0

    def __add__(self, other: ToolUsage) -> ToolUsage:
        return ToolUsage(self.tool_calls + other.tool_calls, self.failed_tool_calls + other.failed_tool_calls)


def counted_by_model(sums: Mapping[str, ModelUsage], name: str, used: ModelUsage) -> dict[str, ModelUsage]:
    """The sums with that added under the model's name."""
    key = _key(sums, name)
    return {**sums, key: sums.get(key, ModelUsage()) + used}


def counted_by_tool(sums: Mapping[str, ToolUsage], name: str, used: ToolUsage) -> dict[str, ToolUsage]:
    """The sums with that added under the tool's name."""
    key = _key(sums, name)
    return {**sums, key: sums.get(key, ToolUsage()) + used}


def _key(sums: Mapping[str, T], name: str) -> str:
    short = name[:_MAX_NAME]
    return short if short in sums or len(sums) < MAX_NAMES else OTHER
