"""A question to the model that has everything a question can have."""

from __future__ import annotations

from datetime import UTC, datetime

from services.domain.message import Message, Role
from services.domain.model_exchange import ModelRequest, ToolSpec

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def question(words: str = "hi") -> ModelRequest:
    return ModelRequest(
        messages=(Message("1", Role.USER, words, NOW),),
        system_prompt="be kind",
        correlation_id="corr-1",
        call_id_prefix="call_t1_1",
        tools=(ToolSpec("read_file", "reads", {"type": "object"}),),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
