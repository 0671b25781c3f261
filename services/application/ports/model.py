"""The language model, as the engine sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.domain.model_exchange import ModelEvent, ModelRequest


class ModelClient(Protocol):
    """One streamed question to a language model."""

    def stream(self, request: ModelRequest) -> AbstractAsyncContextManager[AsyncIterator[ModelEvent]]:
        """Fragments as they arrive, then exactly one ModelAnswer, the last item.

        Leaving the context closes the HTTP request at once. Raises ModelError (from entering or iterating) for every
        failure of the provider; a provider's error text is never delivered as an answer. Many streams may run at once.
        """
