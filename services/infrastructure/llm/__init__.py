"""The model client: OpenAI-compatible chat completions, streamed over HTTP, behind the `ModelClient` port."""

from __future__ import annotations

from services.infrastructure.llm.openai_client import OpenAiModelClient
from services.infrastructure.llm.settings import OpenAiSettings

__all__ = ["OpenAiModelClient", "OpenAiSettings"]
