"""The model client: OpenAI-compatible chat completions, streamed over HTTP, behind the `ModelClient` port."""

from __future__ import annotations

from services.infrastructure.llm.openai_client import OpenAiModelClient
from services.infrastructure.llm.profiles import PROFILES
from services.infrastructure.llm.retries import Retries
from services.infrastructure.llm.settings import ModelRoute, OpenAiSettings, RetrySettings

__all__ = ["PROFILES", "ModelRoute", "OpenAiModelClient", "OpenAiSettings", "Retries", "RetrySettings"]
