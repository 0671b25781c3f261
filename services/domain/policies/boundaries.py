"""Where a history may be cut: never between an assistant's tool calls and their last result."""

from __future__ import annotations

from collections.abc import Sequence

from services.domain.message import Message


def is_boundary(history: Sequence[Message]) -> bool:
    """Whether this beginning of a history answers every call that is made in it."""
    called = {call.id for message in history for call in message.tool_calls}
    answered = {message.tool_call_id for message in history if message.tool_call_id is not None}
    return called <= answered
