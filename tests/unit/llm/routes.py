"""A client with routes, their circuits and a clock, against a real server that plays every way a provider answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest

from devtools.scripted_model import Reply, ScriptedModel, running_scripted_model
from services.application.ports.circuits import CircuitState
from services.domain.model_exchange import ModelAnswer
from services.infrastructure.circuits import CircuitLimits, ProcessCircuits
from services.infrastructure.circuits.process_circuits import MODEL_LIMITS
from services.infrastructure.llm import ModelRoute, OpenAiModelClient, OpenAiSettings, Retries, RetrySettings
from services.infrastructure.llm.failures import UpstreamError
from tests.unit.llm.asking import question
from tests.unit.llm.circuits import Hands

ONCE = RetrySettings(attempts=1)


class World:
    """A scripted model, a client that asks it, its circuits, and the clock they go by."""

    def __init__(self, model: ScriptedModel, hands: Hands, circuits: ProcessCircuits, client: OpenAiModelClient):
        self.model = model
        self.hands = hands
        self.circuits = circuits
        self.client = client

    async def ask(self, model: str | None = None) -> ModelAnswer:
        async with self.client.stream(replace(question(), model=model)) as events:
            answer = [event async for event in events][-1]
        assert isinstance(answer, ModelAnswer)
        return answer

    async def fail(self, times: int = 1, model: str | None = None) -> UpstreamError:
        """Asks as often, which must fail each time; the last failure."""
        failures = [await self._failure(model) for _ in range(times)]
        return failures[-1]

    async def _failure(self, model: str | None) -> UpstreamError:
        with pytest.raises(UpstreamError) as failed:
            await self.ask(model)
        return failed.value

    async def requests(self) -> int:
        return (await self.model.counts())["calls"]

    @property
    def state(self) -> CircuitState:
        return self.circuits.of_route(self.model.url, "first").state


@asynccontextmanager
async def world(
    *replies: Reply,
    fallbacks: tuple[str, ...] = (),
    retry: RetrySettings = ONCE,
    limits: CircuitLimits | None = None,
    **settings: float,
) -> AsyncIterator[World]:
    """Fallbacks are further models at the same address, by name."""
    async with running_scripted_model(*replies) as model:
        hands = Hands()
        circuits = ProcessCircuits(model=limits or MODEL_LIMITS, monotonic=hands)
        routes = tuple(ModelRoute(model.url, name, "their-key") for name in fallbacks)
        chosen = OpenAiSettings(model.url, "first", "key", fallbacks=routes, retry=retry, **settings)  # type: ignore[arg-type]
        retries = Retries(retry, sleep=hands.sleep, monotonic=hands)
        async with aclosing(OpenAiModelClient(chosen, circuits, retries)) as client:
            yield World(model, hands, circuits, client)
