"""Hundreds of cancelled streams on a small pool leave the client as healthy as before; httpx's own transport wedges."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing

from devtools.scripted_model import reply, running_scripted_model, text
from services.domain.model_exchange import ModelAnswer
from services.infrastructure.llm import OpenAiModelClient, OpenAiSettings
from services.infrastructure.llm.failures import UpstreamError
from tests.unit.llm.asking import question
from tests.unit.llm.circuits import patient_circuits

POOL = 10
CANCELS = 400


async def test_the_pool_survives_400_cancels() -> None:
    rng = random.Random(11)
    cancelled = 0
    chatter = reply(text("word " * 40, chunk_delay=0.002), repeat=True)
    async with running_scripted_model(chatter) as model:
        settings = OpenAiSettings(model.url, "m", connect_timeout=5, max_connections=POOL)
        async with aclosing(OpenAiModelClient(settings, patient_circuits())) as client:

            async def one_stream() -> None:
                async with client.stream(question()) as events:
                    async for _ in events:
                        pass

            async def cancel_streams() -> None:
                nonlocal cancelled
                while cancelled < CANCELS:
                    task = asyncio.create_task(one_stream())
                    await asyncio.sleep(rng.random() * 0.01)
                    if task.cancel():
                        cancelled += 1
                    try:
                        await task
                    except (asyncio.CancelledError, UpstreamError):
                        continue

            await asyncio.gather(*(cancel_streams() for _ in range(2 * POOL)))
            assert cancelled >= CANCELS

            async def whole_answer() -> str:
                async with client.stream(question()) as events:
                    answers = [event async for event in events if isinstance(event, ModelAnswer)]
                return answers[0].text

            # All at once: every connection of the pool must be there to be had.
            async with asyncio.timeout(10):
                assert set(await asyncio.gather(*(whole_answer() for _ in range(POOL)))) == {"word " * 40}
        counts = await model.counts()
        assert counts["playing"] == 0
